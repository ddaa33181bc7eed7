/** @file test_images.c  What is done with images: subsets, label noise, scaling, gather, glyphs. */
#include "../../src/data/files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/data/scaling.h"
#include "../../src/data/source.h"
#include <cmocka.h>

enum { classes = 10, count = 997 };

/* Labels of uneven classes: class c holds about c + 2 parts in 65. */
static nl_images uneven_images(uint16_t labels[count])
{
    nl_rng rng = nl_rng_open(1, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    for (int k = 0; k < count; k++) {
        int part = (int)nl_rng_below(&rng, 65);
        int c = 0;

        while (part >= c + 2) {
            part -= c + 2;
            c++;
        }
        labels[k] = (uint16_t)c;
    }
    return (nl_images){.count = count, .labels = labels};
}

static void permute(const nl_images *images, uint32_t seed, nl_purpose purpose, int order[count])
{
    assert_int_equal(nl_images_permute(images, classes, seed, purpose, order), NL_OK);
}

static void a_permutation_holds_every_image_once(void **state)
{
    uint16_t labels[count];
    nl_images images = uneven_images(labels);
    int order[count];
    int seen[count] = {0};

    (void)state;
    permute(&images, 3, NL_PURPOSE_SUBSET, order);
    for (int k = 0; k < count; k++) {
        assert_in_range(order[k], 0, count - 1);
        seen[order[k]]++;
    }
    for (int k = 0; k < count; k++) {
        assert_int_equal(seen[k], 1);
    }
}

/* Every slice that ends before the first class runs out is balanced: prefixes are subsets of the
 * study, a slice after a prefix is its test set after the probe. */
static void every_slice_is_balanced_while_classes_last(void **state)
{
    uint16_t labels[count];
    nl_images images = uneven_images(labels);
    int order[count];
    int size[classes] = {0};
    int smallest = count;

    (void)state;
    permute(&images, 5, NL_PURPOSE_SUBSET, order);
    for (int k = 0; k < count; k++) {
        size[labels[k]]++;
    }
    for (int c = 0; c < classes; c++) {
        smallest = size[c] < smallest ? size[c] : smallest;
    }
    assert_true(smallest > 10);
    for (int from = 0; from < 25; from++) {
        int seen[classes] = {0};

        for (int k = from; k < smallest * classes; k++) {
            int low = count;
            int high = 0;

            seen[labels[order[k]]]++;
            for (int c = 0; c < classes; c++) {
                low = seen[c] < low ? seen[c] : low;
                high = seen[c] > high ? seen[c] : high;
            }
            assert_true(high - low <= 1);
        }
    }
}

/* A class that runs out is skipped: the others go on taking turns. */
static void classes_that_run_out_are_skipped(void **state)
{
    const uint16_t labels[] = {0, 1, 1, 1, 2, 2, 2, 2, 2};
    const nl_images images = {.count = 9, .labels = labels};
    int order[9];
    int seen[3] = {0};

    (void)state;
    assert_int_equal(nl_images_permute(&images, 4, 0, NL_PURPOSE_SUBSET, order), NL_OK);
    for (int k = 0; k < 7; k++) {
        seen[labels[order[k]]]++;
    }
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 3);
    assert_int_equal(seen[2], 3);
    assert_int_equal(labels[order[7]], 2);
    assert_int_equal(labels[order[8]], 2);
}

static void permutations_depend_on_seed_and_purpose(void **state)
{
    uint16_t labels[count];
    nl_images images = uneven_images(labels);
    int first[count];
    int again[count];

    (void)state;
    permute(&images, 3, NL_PURPOSE_SUBSET, first);
    permute(&images, 3, NL_PURPOSE_SUBSET, again);
    assert_memory_equal(first, again, sizeof first);
    permute(&images, 4, NL_PURPOSE_SUBSET, again);
    assert_memory_not_equal(first, again, sizeof first);
    permute(&images, 3, NL_PURPOSE_TEST_DRAW, again);
    assert_memory_not_equal(first, again, sizeof first);
}

/* Within a class and among classes, every order is as likely. */
static void permutations_are_uniform(void **state)
{
    const uint16_t labels[] = {0, 0, 0, 1};
    const nl_images images = {.count = 4, .labels = labels};
    enum { trials = 6000 };
    int first_class[2] = {0};
    int first_image[3] = {0};

    (void)state;
    for (uint32_t seed = 0; seed < trials; seed++) {
        int order[4];

        assert_int_equal(nl_images_permute(&images, 2, seed, NL_PURPOSE_SUBSET, order), NL_OK);
        first_class[labels[order[0]]]++;
        first_image[labels[order[0]] == 0 ? order[0] : order[1]]++;
    }
    assert_true(abs(first_class[0] - trials / 2) < 5 * 39); /* 5 standard deviations */
    for (int k = 0; k < 3; k++) {
        assert_true(abs(first_image[k] - trials / 3) < 5 * 37);
    }
}

static void label_noise_redraws_its_fraction(void **state)
{
    enum { labels = 50000 };
    const double noise = 0.3;
    int changed = 0;
    int drawn[classes] = {0};

    (void)state;
    for (int k = 0; k < labels; k++) {
        int label = nl_noisy_label(4, k, classes, noise, 11);

        assert_in_range(label, 0, classes - 1);
        changed += label != 4;
        drawn[label]++;
        assert_int_equal(nl_noisy_label(4, k, classes, 0.0, 11), 4);
    }
    /* a redrawn label is the old one in a tenth of the cases; 5 standard deviations */
    assert_true(fabs(changed - 0.27 * labels) < 5.0 * sqrt(0.27 * 0.73 * labels));
    for (int c = 0; c < classes; c++) {
        assert_true(c == 4 || fabs(drawn[c] - 0.03 * labels) < 5.0 * sqrt(0.03 * 0.97 * labels));
    }
}

static void label_noise_is_nested_and_depends_on_the_seed(void **state)
{
    int differing = 0;

    (void)state;
    for (int k = 0; k < 2000; k++) {
        int low = nl_noisy_label(9, k, classes, 0.2, 5);

        if (low != 9) { /* redrawn at 0.2: redrawn to the same at 0.6 */
            assert_int_equal(nl_noisy_label(9, k, classes, 0.6, 5), low);
        }
        differing += nl_noisy_label(9, k, classes, 0.6, 6) != nl_noisy_label(9, k, classes, 0.6, 5);
    }
    assert_true(differing > 500);
}

/* Three channels of 2 x 3 pixels, two images; channel c holds byte 10 c + something. */
static const nl_dataset_info tiny_info = {.source = NL_CIFAR10,
                                          .channels = 3,
                                          .height = 2,
                                          .width = 3,
                                          .inputs = 18,
                                          .classes = 2,
                                          .train_count = 2};
static const uint8_t tiny_pixels[2][18] = {
    {0, 255, 0, 255, 0, 255, 10, 20, 30, 40, 50, 60, 7, 7, 7, 7, 7, 8},
    {0, 255, 0, 255, 0, 255, 70, 80, 90, 100, 110, 120, 7, 7, 7, 7, 7, 7},
};
static const nl_images tiny_images = {.count = 2, .pixels = tiny_pixels[0]};

static void scaling_is_by_population_mean_and_deviation_a_channel(void **state)
{
    nl_scaling scaling;

    (void)state;
    assert_int_equal(nl_scaling_of_images(&tiny_info, &tiny_images, true, &scaling), NL_OK);
    assert_true(fabs(scaling.mean[0] - 0.5) < 1e-15);
    assert_true(fabs(scaling.std[0] - 0.5) < 1e-15);
    assert_true(fabs(scaling.mean[1] - 65.0 / 255.0) < 1e-15);
    assert_true(fabs(scaling.std[1] - 10.0 * sqrt(143.0 / 12.0) / 255.0) < 1e-15);
    assert_true(fabs(scaling.mean[2] - (7.0 + 1.0 / 12.0) / 255.0) < 1e-15);
    assert_true(fabs(scaling.std[2] - sqrt(11.0) / 12.0 / 255.0) < 1e-15);
    for (int c = 0; c < 3; c++) {
        assert_true(scaling.scale[c] == (float)(1.0 / (255.0 * scaling.std[c])));
        assert_true(scaling.shift[c] == (float)(-scaling.mean[c] / scaling.std[c]));
    }
    nl_scaling_free(&scaling);
}

/* Channel c of 2 images of 2 x 3: c + {1 .. 6} * 0.1^c, and that mirrored. */
static void real_pixels_of_any_number_of_channels_are_scaled_as_they_are(void **state)
{
    enum { channels = 5, area = 6 };
    const nl_dataset_info info = {
        .channels = channels, .height = 2, .width = 3, .inputs = channels * area, .real = true};
    const int indices[2] = {1, 0};
    float values[2][channels * area];
    float x[2][channels * area];
    nl_scaling scaling;

    (void)state;
    for (int p = 0; p < channels * area; p++) {
        const double unit = pow(0.1, p / area);

        values[0][p] = (float)(p / area + (p % area + 1) * unit);
        values[1][p] = (float)(p / area + (area - p % area) * unit);
    }
    assert_int_equal(
        nl_scaling_of_images(&info, &(nl_images){2, NULL, NULL, values[0]}, true, &scaling), NL_OK);
    assert_int_equal(scaling.channels, channels);
    for (int c = 0; c < channels; c++) {
        const double unit = pow(0.1, c);

        assert_true(fabs(scaling.mean[c] - (c + 3.5 * unit)) < 1e-6);
        assert_true(fabs(scaling.std[c] - sqrt(35.0 / 12.0) * unit) < 1e-6);
    }
    nl_images_gather(&info, &(nl_images){2, NULL, NULL, values[0]}, &scaling, 2, indices, x[0]);
    for (int p = 0; p < channels * area; p++) {
        float expected = scaling.scale[p / area] * values[1][p];

        expected += scaling.shift[p / area];
        assert_true(x[0][p] == expected);
    }
    nl_scaling_free(&scaling);
    assert_int_equal(
        nl_scaling_of_images(&info, &(nl_images){2, NULL, NULL, values[0]}, false, &scaling),
        NL_OK);
    nl_images_gather(&info, &(nl_images){2, NULL, NULL, values[0]}, &scaling, 2, indices, x[0]);
    assert_memory_equal(x[0], values[1], sizeof x[0]);
    assert_memory_equal(x[1], values[0], sizeof x[1]);
    nl_scaling_free(&scaling);
}

/* A component that never changes does no harm to the others. */
static void vectors_have_one_scaling(void **state)
{
    const nl_dataset_info info = {
        .channels = 4, .height = 1, .width = 1, .inputs = 4, .vectors = true};
    const uint8_t pixels[2][4] = {{0, 10, 20, 30}, {0, 20, 30, 50}};
    nl_scaling scaling;

    (void)state;
    assert_int_equal(
        nl_scaling_of_images(&info, &(nl_images){2, pixels[0], NULL, NULL}, true, &scaling), NL_OK);
    assert_int_equal(scaling.channels, 1);
    assert_true(fabs(scaling.mean[0] - 20.0 / 255.0) < 1e-15);
    assert_true(fabs(scaling.std[0] - sqrt(5200.0 / 8.0 - 400.0) / 255.0) < 1e-15);
    nl_scaling_free(&scaling);
}

/* Sums of one white image do not fit 32 bits. */
static void large_images_are_summed_exactly(void **state)
{
    enum { side = 300 };
    const nl_dataset_info info = {
        .channels = 1, .height = side, .width = side, .inputs = side * side};
    static uint8_t pixels[2 * side * side];
    nl_scaling scaling;

    (void)state;
    memset(pixels, 255, side * side);
    assert_int_equal(
        nl_scaling_of_images(&info, &(nl_images){2, pixels, NULL, NULL}, true, &scaling), NL_OK);
    assert_true(scaling.mean[0] == 0.5 && scaling.std[0] == 0.5);
    nl_scaling_free(&scaling);
}

static void without_standardization_pixels_are_divided_by_255(void **state)
{
    nl_scaling scaling;

    (void)state;
    assert_int_equal(nl_scaling_of_images(&tiny_info, &tiny_images, false, &scaling), NL_OK);
    for (int c = 0; c < 3; c++) {
        assert_true(scaling.mean[c] == 0.0 && scaling.std[c] == 1.0);
        assert_true(scaling.scale[c] == 1.0f / 255.0f && scaling.shift[c] == 0.0f);
    }
    nl_scaling_free(&scaling);
}

static void a_constant_channel_cannot_be_standardized(void **state)
{
    uint8_t pixels[2][18];
    nl_scaling scaling;

    (void)state;
    memcpy(pixels, tiny_pixels, sizeof pixels);
    pixels[0][17] = 7;
    assert_int_equal(
        nl_scaling_of_images(&tiny_info, &(nl_images){2, pixels[0], NULL, NULL}, true, &scaling),
        NL_ERR_DATA);
}

static void gathered_rows_are_scaled_images_and_nothing_else(void **state)
{
    const nl_scaling scaling = {.channels = 3,
                                .scale = (float[]){0.013f, 1.7f, -0.3f},
                                .shift = (float[]){-0.4f, 0.1f, 3.0f}};
    const int indices[3] = {1, 0, 1};
    float x[4 * 18];

    (void)state;
    for (int p = 0; p < 4 * 18; p++) {
        x[p] = -99.0f;
    }
    nl_images_gather(&tiny_info, &tiny_images, &scaling, 3, indices, x);
    for (int i = 0; i < 3; i++) {
        for (int p = 0; p < 18; p++) {
            float expected = scaling.scale[p / 6] * (float)tiny_pixels[indices[i]][p];

            expected += scaling.shift[p / 6];
            assert_true(x[i * 18 + p] == expected);
        }
    }
    for (int p = 3 * 18; p < 4 * 18; p++) {
        assert_true(x[p] == -99.0f);
    }
}

/* Also where the row begins at an address of another alignment. */
static void an_image_has_the_same_bits_wherever_it_stands(void **state)
{
    const nl_dataset_info info = {.channels = 1, .height = 28, .width = 28, .inputs = 784};
    const nl_scaling scaling = {
        .channels = 1, .scale = (float[]){0.0127f}, .shift = (float[]){-0.4242f}};
    static uint8_t pixels[2][784];
    static float alone[784];
    static float batch[5 * 784 + 8];
    const nl_images images = {.count = 2, .pixels = pixels[0]};

    (void)state;
    nl_glyph_draw(false, 8, pixels[0]);
    nl_glyph_draw(false, 9, pixels[1]);
    nl_images_gather(&info, &images, &scaling, 1, (const int[]){1}, alone);
    for (int offset = 0; offset < 8; offset++) {
        nl_images_gather(&info, &images, &scaling, 5, (const int[]){0, 1, 0, 1, 1}, batch + offset);
        assert_memory_equal(batch + offset + 1 * 784, alone, sizeof alone);
        assert_memory_equal(batch + offset + 3 * 784, alone, sizeof alone);
        assert_memory_equal(batch + offset + 4 * 784, alone, sizeof alone);
    }
}

static void a_glyph_depends_on_its_index_only(void **state)
{
    uint8_t first[784];
    uint8_t again[784];

    (void)state;
    for (int k = 0; k < 30; k++) {
        assert_int_equal(nl_glyph_draw(false, k, first), k % 10);
        nl_glyph_draw(true, k, again);
        assert_memory_not_equal(first, again, sizeof first); /* the test stream is another */
        nl_glyph_draw(false, 500 + k, again);
        assert_memory_not_equal(first, again, sizeof first);
        nl_glyph_draw(false, k, again);
        assert_memory_equal(first, again, sizeof first);
    }
}

/* Studies of glyphs are comparable only while these bytes stay what they are. */
static void glyphs_are_those_of_every_release(void **state)
{
    nl_dataset_info info;
    uint8_t *pixels = NULL;
    uint16_t *labels = NULL;

    (void)state;
    assert_int_equal(nl_dataset_probe(NL_GLYPHS, NULL, &info), NL_OK);
    assert_int_equal(info.train_count, 20000);
    assert_int_equal(info.test_count, 5000);
    assert_int_equal(info.inputs, 784);
    pixels = nl_calloc(20000, 784);
    labels = nl_calloc(20000, sizeof *labels);
    assert_int_equal(nl_source_read(&info, NULL, false, pixels, labels), NL_OK);
    assert_int_equal(crc32_z(0, pixels, 20000 * 784), 0xe37a625f);
    assert_int_equal(labels[1234], 4);
    assert_int_equal(nl_source_read(&info, NULL, true, pixels, labels), NL_OK);
    assert_int_equal(crc32_z(0, pixels, 5000 * 784), 0x4ff7973e);
    free(pixels);
    free(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_permutation_holds_every_image_once),
        cmocka_unit_test(every_slice_is_balanced_while_classes_last),
        cmocka_unit_test(classes_that_run_out_are_skipped),
        cmocka_unit_test(permutations_depend_on_seed_and_purpose),
        cmocka_unit_test(permutations_are_uniform),
        cmocka_unit_test(label_noise_redraws_its_fraction),
        cmocka_unit_test(label_noise_is_nested_and_depends_on_the_seed),
        cmocka_unit_test(scaling_is_by_population_mean_and_deviation_a_channel),
        cmocka_unit_test(real_pixels_of_any_number_of_channels_are_scaled_as_they_are),
        cmocka_unit_test(vectors_have_one_scaling),
        cmocka_unit_test(large_images_are_summed_exactly),
        cmocka_unit_test(without_standardization_pixels_are_divided_by_255),
        cmocka_unit_test(a_constant_channel_cannot_be_standardized),
        cmocka_unit_test(gathered_rows_are_scaled_images_and_nothing_else),
        cmocka_unit_test(an_image_has_the_same_bits_wherever_it_stands),
        cmocka_unit_test(a_glyph_depends_on_its_index_only),
        cmocka_unit_test(glyphs_are_those_of_every_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
