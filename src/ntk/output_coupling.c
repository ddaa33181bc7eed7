/**
 * @file output_coupling.c  How far the gradients of different outputs hang together.
 *
 * A wide network's full kernel tends to T x I_C, T the traced kernel: outputs that move
 * independently and alike.  What is missing to that,
 *   |Theta - T x I_C|_F^2 = sum_ij ( sum_{a != b} Theta[(i,a),(j,b)]^2
 *                                    + sum_a (Theta[(i,a),(j,a)] - T_ij)^2 ),
 * is summed as it stands: a difference of norms would lose the digits of small distances.
 */
#include "samples.h"

#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <gsl/gsl_eigen.h>
#include <gsl/gsl_sort_vector.h>
#include <stdlib.h>

enum { lanes = 16 }; /* sums side by side, which fill vectors */

/** Local sums over the part of a full kernel on and below the diagonal. */
typedef struct coupling {
    const nl_dmat *a;
    int outputs;              /* C */
    nl_local_samples samples; /* owned */
    double *mask;             /* owned; [C x local_rows]: 0 where the row is of output a, else 1 */
    double *sums;             /* owned; [0]: |Theta - T x I_C|_F^2; then N B, [C x C] */
} coupling;

static inline __attribute__((always_inline)) double
masked_squares(nl_precision precision, int count, const double *mask, const void *values, int first)
{
    double sum[lanes] = {0};
    double total = 0.0;
    int k = 0;

    for (; k + lanes <= count; k += lanes) {
        for (int lane = 0; lane < lanes; lane++) {
            const double v =
                nl_element(values, (size_t)first + (size_t)k + (size_t)lane, precision);

            sum[lane] += mask[k + lane] * v * v;
        }
    }
    for (int lane = 0; k < count; k++, lane++) {
        const double v = nl_element(values, (size_t)first + (size_t)k, precision);

        sum[lane] += mask[k] * v * v;
    }
    for (int lane = 0; lane < lanes; lane++) {
        total += sum[lane];
    }
    return total;
}

NL_VECTOR_CLONES
static double masked_squares_double(int count, const double *mask, const void *values, int first)
{
    return masked_squares(NL_DOUBLE, count, mask, values, first);
}

NL_VECTOR_CLONES
static double masked_squares_single(int count, const double *mask, const void *values, int first)
{
    return masked_squares(NL_SINGLE, count, mask, values, first);
}

/* Entry of local sample i and output a, local sample j and output b. */
static double entry(const coupling *c, int i, int a, int j, int b)
{
    const size_t unit = (size_t)c->outputs;
    const size_t row = (size_t)i * unit + (size_t)a;
    const size_t col = (size_t)j * unit + (size_t)b;

    return nl_element(c->a->local, col * (size_t)c->a->ld + row, c->a->precision);
}

/* sum_a (Theta[(i,a),(j,a)] - T_ij)^2 */
static double spread_of_outputs(const coupling *c, int i, int j)
{
    double mean = 0.0;
    double sum = 0.0;

    for (int a = 0; a < c->outputs; a++) {
        mean += entry(c, i, a, j, a) / c->outputs;
    }
    for (int a = 0; a < c->outputs; a++) {
        const double d = entry(c, i, a, j, a) - mean;

        sum += d * d;
    }
    return sum;
}

/* Entries of different outputs in the samples from local row sample i on, of the columns of j. */
static double different_outputs(const coupling *c, int i, int j)
{
    const int first = i * c->outputs;
    double sum = 0.0;

    for (int b = 0; b < c->outputs; b++) {
        const size_t col = (size_t)j * (size_t)c->outputs + (size_t)b;
        const void *values = (const char *)c->a->local +
                             col * (size_t)c->a->ld * nl_precision_bytes(c->a->precision);
        const double *mask = c->mask + (size_t)b * (size_t)c->a->local_rows + first;

        sum += (c->a->precision == NL_DOUBLE ? masked_squares_double : masked_squares_single)(
            c->a->local_rows - first, mask, values, first);
    }
    return sum;
}

/* The block of a sample with itself, of which only the lower half is stored. */
static void add_diagonal_block(coupling *c, int i, int j)
{
    c->sums[0] += spread_of_outputs(c, i, j);
    for (int b = 0; b < c->outputs; b++) {
        for (int a = b; a < c->outputs; a++) {
            const double value = entry(c, i, a, j, b);

            c->sums[0] += a > b ? 2.0 * value * value : 0.0;
            c->sums[1 + a * c->outputs + b] += value;
        }
    }
}

static void add_samples(coupling *c)
{
    for (int j = 0; j < c->samples.cols; j++) {
        int i = 0;

        while (i < c->samples.rows && c->samples.row[i] < c->samples.col[j]) {
            i++;
        }
        if (i < c->samples.rows && c->samples.row[i] == c->samples.col[j]) {
            add_diagonal_block(c, i, j);
            i++;
        }
        if (i < c->samples.rows) { /* and the same above the diagonal */
            c->sums[0] += 2.0 * different_outputs(c, i, j);
        }
        for (; i < c->samples.rows; i++) {
            c->sums[0] += 2.0 * spread_of_outputs(c, i, j);
        }
    }
}

static nl_status prepare(const nl_dmat *a, int outputs, coupling *c)
{
    const size_t rows = (size_t)a->local_rows;
    nl_status status = NL_OK;

    *c = (coupling){.a = a, .outputs = outputs};
    status = nl_local_samples_list(a, outputs, &c->samples);
    if (status != NL_OK) {
        return status;
    }
    c->mask = nl_calloc((size_t)outputs * rows, sizeof *c->mask);
    c->sums = nl_calloc(1 + (size_t)outputs * (size_t)outputs, sizeof *c->sums);
    if (c->mask == NULL || c->sums == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for sums over %d outputs", outputs);
    }
    for (size_t k = 0; k < (size_t)outputs * rows; k++) {
        c->mask[k] = k % rows % (size_t)outputs == k / rows ? 0.0 : 1.0;
    }
    return NL_OK;
}

/* Effective rank of a symmetric matrix [n x n] of which the lower half is given; destroyed. */
static nl_status rank_of_lower(int n, double *lower, double *effective_rank)
{
    const size_t size = (size_t)n;
    gsl_matrix_view matrix = gsl_matrix_view_array(lower, size, size);
    gsl_vector *lambda = gsl_vector_alloc(size);
    gsl_eigen_symm_workspace *work = gsl_eigen_symm_alloc(size);
    nl_status status = lambda != NULL && work != NULL
                           ? NL_OK
                           : NL_FAIL(NL_ERR_NOMEM, "out of memory for %d eigenvalues", n);

    if (status == NL_OK && gsl_eigen_symm(&matrix.matrix, lambda, work) == 0) {
        gsl_sort_vector(lambda);
        gsl_vector_reverse(lambda);
        *effective_rank = nl_observe(n, lambda->data, nl_precision_eps(NL_DOUBLE)).effective_rank;
    }
    gsl_eigen_symm_free(work);
    gsl_vector_free(lambda);
    return status;
}

nl_status nl_observe_outputs(const nl_dmat *a, int outputs, double frobenius2, nl_observables *out)
{
    coupling c = {0};
    nl_status status = nl_agree(a->grid->comm, prepare(a, outputs, &c));

    if (status == NL_OK) {
        add_samples(&c);
        status = nl_grid_sum(a->grid, c.sums, 1 + outputs * outputs);
    }
    if (status == NL_OK) {
        out->identity_distance = sqrt(c.sums[0] / frobenius2);
        status = nl_agree(a->grid->comm,
                          rank_of_lower(outputs, c.sums + 1, &out->effective_rank_outputs));
    }
    nl_local_samples_free(&c.samples);
    free(c.mask);
    free(c.sums);
    return status;
}
