/** @file test_convolution.c  Direct convolution against its definition, in each format and width of
 *  vectors. */
#include "../../src/nn/convolution.h"
#include "../reference/convolution.h"

#include "ntklens/linalg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { samples = 2 };

/** Numbers of one array, in both formats, and what the reference makes of it. */
typedef struct array {
    size_t size;
    double *wide, *expected;
    float *narrow;
} array;

static array array_of(size_t size)
{
    array a = {size, nl_calloc(size, sizeof(double)), nl_calloc(size, sizeof(double)),
               nl_calloc(size, sizeof(float))};

    assert_non_null(a.wide);
    assert_non_null(a.expected);
    assert_non_null(a.narrow);
    return a;
}

static array random_array(size_t size, uint32_t stream)
{
    nl_rng rng = nl_rng_open(7, NL_PURPOSE_SELF_TEST, stream, 0, 0);
    array a = array_of(size);

    for (size_t k = 0; k < size; k++) {
        a.narrow[k] = (float)nl_rng_normal(&rng);
        a.wide[k] = (double)a.narrow[k];
    }
    return a;
}

static void forget(array *a)
{
    free(a->wide);
    free(a->expected);
    free(a->narrow);
}

/* Over the largest of what is expected. */
static void expect_result(const array *a)
{
    double largest = 0.0;

    for (size_t k = 0; k < a->size; k++) {
        largest = fmax(largest, fabs(a->expected[k]));
    }
    for (size_t k = 0; k < a->size; k++) {
        assert_true(fabs(a->wide[k] - a->expected[k]) <= 1e-13 * largest);
        assert_true(fabs((double)a->narrow[k] - a->expected[k]) <= 1e-5 * largest);
    }
}

/* What was there before must not matter. */
static void soil(array *a)
{
    for (size_t k = 0; k < a->size; k++) {
        a->wide[k] = NAN;
        a->narrow[k] = NAN;
    }
}

static int widest_vectors(void)
{
    const nl_vectors vectors = nl_cpu_here().vectors;

    return vectors >= NL_VECTORS_AVX512 ? 64 : vectors >= NL_VECTORS_AVX2 ? 32 : 16;
}

/** One convolution and its arrays. */
typedef struct fixture {
    nl_convolution shape;
    array w, x, bias, delta, z, below, g, sums, packed, scratch;
} fixture;

static fixture fixture_of(nl_shape in, int channels, int kernel, int stride)
{
    const nl_convolution v = nl_convolution_of(in, channels, kernel, stride, 16);
    const reference_convolution r = {v.in, v.out, kernel, stride};
    const size_t weights =
        (size_t)nl_shape_size((nl_shape){kernel * kernel, in.channels, channels});
    const size_t size_in = samples * (size_t)nl_shape_size(v.in);
    const size_t size_out = samples * (size_t)nl_shape_size(v.out);
    fixture f = {
        .shape = v,
        .w = random_array(weights, 0),
        .x = random_array(size_in, 1),
        .delta = random_array(size_out, 2),
        .bias = random_array((size_t)channels, 3),
        .z = array_of(size_out),
        .below = array_of(size_in),
        .g = array_of(weights),
        .sums = array_of((size_t)channels),
        .packed = array_of(nl_convolution_packed(&v)),
        .scratch = array_of(nl_convolution_scratch(&v)),
    };

    reference_convolve(&r, samples, f.w.wide, f.x.wide, f.z.expected);
    reference_convolve_back(&r, samples, f.w.wide, f.x.wide, f.delta.wide, f.below.expected,
                            f.g.expected);
    for (size_t k = 0; k < size_out; k++) {
        f.sums.expected[k % (size_t)channels] += f.delta.wide[k];
    }
    return f;
}

/* Both ways in both formats, results scaled; forward with a bias and relu, where wanted, backward
 * zero where x is not positive. */
static void pass(fixture *f, bool ends)
{
    const nl_convolution *v = &f->shape;
    nl_convolving wide[2] = {
        {.way = NL_FORWARD, .samples = samples, .ending = {.scale = 1.0, .shift = 0.5}},
        {.way = NL_BACKWARD, .samples = samples, .ending = {.scale = 1.0, .repeats = 1}}};
    nl_convolving narrow[2] = {wide[0], wide[1]};

    for (int way = 0; way < 2; way++) {
        wide[way].packed = f->packed.wide;
        wide[way].scratch = f->scratch.wide;
        narrow[way].packed = f->packed.narrow;
        narrow[way].scratch = f->scratch.narrow;
    }
    if (ends) {
        wide[0].ending.bias = f->bias.wide;
        narrow[0].ending.bias = f->bias.narrow;
        wide[0].ending.relu = narrow[0].ending.relu = true;
        wide[1].ending.mask = f->x.wide;
        narrow[1].ending.mask = f->x.narrow;
    }
    nl_convolution_pack_double(v, NL_FORWARD, f->w.wide, f->packed.wide, f->scratch.wide);
    nl_convolution_pack_single(v, NL_FORWARD, f->w.narrow, f->packed.narrow, f->scratch.narrow);
    nl_convolution_pass_double(v, &wide[0], f->x.wide, f->z.wide);
    nl_convolution_pass_single(v, &narrow[0], f->x.narrow, f->z.narrow);
    nl_convolution_pack_double(v, NL_BACKWARD, f->w.wide, f->packed.wide, f->scratch.wide);
    nl_convolution_pack_single(v, NL_BACKWARD, f->w.narrow, f->packed.narrow, f->scratch.narrow);
    nl_convolution_pass_double(v, &wide[1], f->delta.wide, f->below.wide);
    nl_convolution_pass_single(v, &narrow[1], f->delta.narrow, f->below.narrow);
}

static void run(fixture *f, int vector_bytes, bool ends)
{
    const nl_convolution *v = &f->shape;
    nl_gradient_range all = {
        .samples = samples, .deltas = 1, .channels = {.count = v->out.channels}};

    f->shape.vector_bytes = vector_bytes;
    soil(&f->z);
    soil(&f->below);
    soil(&f->g);
    soil(&f->sums);
    soil(&f->scratch);
    soil(&f->packed);
    pass(f, ends);
    all.sums = f->sums.wide;
    nl_convolution_gradient_double(v, &all, f->x.wide, f->delta.wide, f->g.wide, f->scratch.wide);
    all.sums = f->sums.narrow;
    nl_convolution_gradient_single(v, &all, f->x.narrow, f->delta.narrow, f->g.narrow,
                                   f->scratch.narrow);
}

static void close_fixture(fixture *f)
{
    forget(&f->w);
    forget(&f->x);
    forget(&f->delta);
    forget(&f->z);
    forget(&f->below);
    forget(&f->bias);
    forget(&f->g);
    forget(&f->sums);
    forget(&f->packed);
    forget(&f->scratch);
}

static const nl_shape images[] = {{7, 5, 0}, {8, 8, 0}, {1, 1, 0}, {2, 17, 0}};
static const int channels[][2] = {{1, 1}, {3, 16}, {2, 33}, {16, 8}, {33, 31}};

typedef void check(fixture *f);

static void over_all_shapes(check *checked)
{
    for (size_t i = 0; i < NL_COUNT(images); i++) {
        for (size_t c = 0; c < NL_COUNT(channels); c++) {
            for (int kernel = 1; kernel <= 5; kernel += 2) {
                for (int stride = 1; stride <= 2; stride++) {
                    nl_shape in = images[i];
                    fixture f;

                    in.channels = channels[c][0];
                    f = fixture_of(in, channels[c][1], kernel, stride);
                    checked(&f);
                    close_fixture(&f);
                }
            }
        }
    }
}

static void expect_reference(fixture *f)
{
    for (int bytes = 16; bytes <= widest_vectors(); bytes *= 2) {
        run(f, bytes, false);
        expect_result(&f->z);
        expect_result(&f->below);
        expect_result(&f->g);
        expect_result(&f->sums);
    }
}

static void expect_endings(fixture *f)
{
    const size_t channels_out = (size_t)f->shape.out.channels;

    for (size_t k = 0; k < f->z.size; k++) {
        f->z.expected[k] = fmax(f->z.expected[k] + 0.5 * f->bias.wide[k % channels_out], 0.0);
    }
    for (size_t k = 0; k < f->below.size; k++) {
        f->below.expected[k] = f->x.wide[k] > 0.0 ? f->below.expected[k] : 0.0;
    }
    for (int bytes = 16; bytes <= widest_vectors(); bytes *= 2) {
        run(f, bytes, true);
        expect_result(&f->z);
        expect_result(&f->below);
    }
}

static void results_end_with_bias_relu_and_mask(void **state)
{
    (void)state;
    over_all_shapes(expect_endings);
}

static void passes_equal_their_definition(void **state)
{
    (void)state;
    over_all_shapes(expect_reference);
}

/* Keeps the results where the reference's were. */
static void expect_same_bits(fixture *f)
{
    array *const results[] = {&f->z, &f->below, &f->g, &f->sums};

    if (widest_vectors() < 64) {
        return;
    }
    run(f, 32, true);
    for (size_t k = 0; k < NL_COUNT(results); k++) {
        memcpy(results[k]->expected, results[k]->wide, results[k]->size * sizeof(double));
    }
    run(f, 64, true);
    for (size_t k = 0; k < NL_COUNT(results); k++) {
        assert_memory_equal(results[k]->expected, results[k]->wide,
                            results[k]->size * sizeof(double));
    }
}

static void bits_do_not_depend_on_the_width_of_fused_vectors(void **state)
{
    (void)state;
    over_all_shapes(expect_same_bits);
}

/* Of an image that is zero but at one pixel: relu's slope at zero is zero, so that rounding may not
 * put an output on one of its sides. */
static void outputs_that_see_zeros_are_zero(void **state)
{
    const nl_shape in = {9, 8, 32};
    const int row = 5;
    const int column = 3;
    fixture f = fixture_of(in, 32, 3, 1);

    (void)state;
    memset(f.x.narrow, 0, f.x.size * sizeof *f.x.narrow);
    f.x.narrow[(row * in.width + column) * in.channels] = 1.5F;
    for (int bytes = 16; bytes <= widest_vectors(); bytes *= 2) {
        const float *z = f.z.narrow;

        run(&f, bytes, false);
        for (int y = 0; y < in.height; y++) {
            for (int x = 0; x < in.width; x++, z += f.shape.out.channels) {
                const bool sees_pixel = abs(y - row) < 2 && abs(x - column) < 2;

                for (int k = 0; k < f.shape.out.channels; k++) {
                    assert_true((z[k] != 0.0F) == sees_pixel);
                }
            }
        }
    }
    close_fixture(&f);
}

static void padding_keeps_the_shape_and_strides_halve_it(void **state)
{
    const nl_shape in = {7, 8, 3};

    (void)state;
    for (int kernel = 1; kernel <= 5; kernel += 2) {
        const nl_convolution same = nl_convolution_of(in, 4, kernel, 1, 16);
        const nl_convolution half = nl_convolution_of(in, 4, kernel, 2, 16);

        assert_int_equal(same.out.height, 7);
        assert_int_equal(same.out.width, 8);
        assert_int_equal(half.out.height, 4);
        assert_int_equal(half.out.width, 4);
        assert_int_equal(half.out.channels, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_equal_their_definition),
        cmocka_unit_test(results_end_with_bias_relu_and_mask),
        cmocka_unit_test(bits_do_not_depend_on_the_width_of_fused_vectors),
        cmocka_unit_test(outputs_that_see_zeros_are_zero),
        cmocka_unit_test(padding_keeps_the_shape_and_strides_halve_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
