/** @file test_gemm.c  Products in pieces and transposes, against loops. */
#include "ntklens/base.h"
#include "ntklens/blas.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { most = 300, size = most * most };

/** Numbers in both precisions. */
typedef struct numbers {
    double *wide;
    float *narrow;
} numbers;

static numbers random_numbers(uint32_t stream)
{
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, stream, 0, 0);
    numbers x = {nl_calloc(size, sizeof *x.wide), nl_calloc(size, sizeof *x.narrow)};

    assert_non_null(x.wide);
    assert_non_null(x.narrow);
    for (int k = 0; k < size; k++) {
        x.narrow[k] = (float)nl_rng_normal(&rng);
        x.wide[k] = (double)x.narrow[k];
    }
    return x;
}

static void forget(numbers *x)
{
    free(x->wide);
    free(x->narrow);
}

/** A product and the strides of its factors. */
typedef struct shape {
    int m, n, k, lda, ldb, ldc;
    char op;
    double alpha, beta;
} shape;

static double expected(const shape *s, const double *a, const double *b, double before, int i,
                       int j)
{
    double sum = 0.0;

    for (int l = 0; l < s->k; l++) {
        sum += a[l * s->lda + i] * (s->op == 'N' ? b[j * s->ldb + l] : b[l * s->ldb + j]);
    }
    return s->alpha * sum + (s->beta != 0.0 ? s->beta * before : 0.0);
}

static void expect_product(const shape *s, bool pieces)
{
    numbers a = random_numbers(1);
    numbers b = random_numbers(2);
    numbers c = random_numbers(3);
    numbers before = random_numbers(3);

    if (s->beta == 0.0) { /* what was there does not count, whatever it was */
        c.wide[0] = NAN;
        c.narrow[0] = NAN;
    }
    nl_gemm_double(pieces, s->op, s->m, s->n, s->k, s->alpha, a.wide, s->lda, b.wide, s->ldb,
                   s->beta, c.wide, s->ldc);
    nl_gemm_single(pieces, s->op, s->m, s->n, s->k, (float)s->alpha, a.narrow, s->lda, b.narrow,
                   s->ldb, (float)s->beta, c.narrow, s->ldc);
    for (int j = 0; j < s->n; j++) {
        for (int i = 0; i < s->ldc; i++) {
            const int at = j * s->ldc + i;
            const double right =
                i < s->m ? expected(s, a.wide, b.wide, before.wide[at], i, j) : before.wide[at];

            assert_true(fabs(c.wide[at] - right) <= 1e-12 * s->k);
            assert_true(fabs((double)c.narrow[at] - right) <= 1e-5 * s->k);
        }
    }
    forget(&a);
    forget(&b);
    forget(&c);
    forget(&before);
}

static void products_equal_sums(void **state)
{
    static const shape shapes[] = {
        {1, 1, 1, 1, 1, 1, 'N', 1.0, 0.0},
        {65, 129, 130, 70, 130, 66, 'N', -0.5, 1.0},
        {64, 121, 128, 64, 121, 64, 'T', 1.0, 0.0},
        {200, 37, 257, 201, 257, 203, 'N', 2.0, 0.25},
        {130, 200, 299, 131, 203, 130, 'T', 1.0, 1.0},
        {7, 250, 3, 9, 5, 8, 'N', 1.0, 0.0},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(shapes); k++) {
        expect_product(&shapes[k], false);
        expect_product(&shapes[k], true);
    }
}

static void transposes_move_every_entry(void **state)
{
    static const int shapes[][2] = {{1, 1}, {4, 4}, {3, 9}, {9, 3}, {32, 75}, {129, 128}, {8, 1}};

    (void)state;
    for (size_t s = 0; s < NL_COUNT(shapes); s++) {
        const int rows = shapes[s][0];
        const int cols = shapes[s][1];
        numbers from = random_numbers(1);
        numbers to = random_numbers(2);
        numbers before = random_numbers(2);

        nl_transpose_double(rows, cols, from.wide, cols + 1, to.wide, rows + 2);
        nl_transpose_single(rows, cols, from.narrow, cols + 1, to.narrow, rows + 2);
        for (int k = 0; k < cols; k++) {
            for (int i = 0; i < rows + 2; i++) {
                const int at = k * (rows + 2) + i;
                const double right = i < rows ? from.wide[i * (cols + 1) + k] : before.wide[at];

                assert_true(to.wide[at] == right);
                assert_true((double)to.narrow[at] == right);
            }
        }
        forget(&from);
        forget(&to);
        forget(&before);
    }
}

static void parts_are_even_and_cover(void **state)
{
    (void)state;
    for (int length = 1; length <= 400; length++) {
        for (int at_most = 8; at_most <= 128; at_most += 8) {
            const int part = nl_even_part(length, at_most);
            const int fewest = (length + at_most - 1) / at_most;

            assert_true(part >= 1 && part <= at_most && part % 8 == 0);
            assert_int_equal((length + part - 1) / part, fewest);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_sums),
        cmocka_unit_test(transposes_move_every_entry),
        cmocka_unit_test(parts_are_even_and_cover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
