/** @file test_base.c  Status table, text, numbers as text, random numbers. */
#include "ntklens/base.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void exit_codes_are_those_of_the_contract(void **state)
{
    (void)state;
    assert_int_equal(nl_status_exit_code(NL_OK), 0);
    assert_int_equal(nl_status_exit_code(NL_ERR_INTERNAL), 1);
    assert_int_equal(nl_status_exit_code(NL_ERR_STUDY), 2);
    assert_int_equal(nl_status_exit_code(NL_ERR_DATA), 3);
    assert_int_equal(nl_status_exit_code(NL_ERR_NUMERIC), 4);
    assert_int_equal(nl_status_exit_code(NL_STOPPED), 75);
    assert_int_equal(nl_status_exit_code((nl_status)1000), 1);
    assert_int_equal(nl_status_exit_code(nl_write_status(ENOSPC)), 75);
    assert_int_equal(nl_status_exit_code(nl_write_status(EROFS)), 75);
    assert_int_equal(nl_status_exit_code(nl_write_status(EIO)), 1);
    assert_string_equal(nl_status_text((nl_status)-1), "unknown status");
}

static void doubles_read_back_and_stay_short(void **state)
{
    const double values[] = {0.0, 0.1, 1.0 / 3.0, -2.5e-310, 6.02214076e23, INFINITY, -INFINITY};
    char text[32];

    (void)state;
    for (size_t k = 0; k < NL_COUNT(values); k++) {
        assert_true(strtod(nl_format_double(values[k], text), NULL) == values[k]);
    }
    assert_string_equal(nl_format_double(0.1, text), "0.1");
    assert_string_equal(nl_format_double(60.0, text), "60");
    assert_string_equal(nl_format_double(-NAN, text), "nan");
}

static void text_grows(void **state)
{
    nl_text text = {0};

    (void)state;
    for (int k = 0; k < 1000; k++) {
        nl_text_append(&text, "%d,", k % 10);
    }
    assert_false(text.failed);
    assert_int_equal(text.length, 2000);
    assert_string_equal(text.data + 1994, "7,8,9,");
    nl_text_free(&text);
    assert_null(text.data);
}

static void blocks_are_aligned_and_overflow_is_refused(void **state)
{
    char *block = nl_calloc(7, 3);

    (void)state;
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (int k = 0; k < 21; k++) {
        assert_int_equal(block[k], 0);
    }
    free(block);
    assert_null(nl_calloc(SIZE_MAX / 2, 3));
}

/* Known answer of philox4x32-10 (Random123's kat_vectors): zero key and counter. */
static void large_blocks_take_whole_pages(void **state)
{
    const double page = 2.0 * 1024 * 1024;

    (void)state;
    assert_true(nl_block_bytes(page - 1.0) == page - 1.0);
    assert_true(nl_block_bytes(page) == page);
    assert_true(nl_block_bytes(page + 1.0) == 2.0 * page);
}

static void random_bits_are_those_of_philox(void **state)
{
    const uint32_t expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    nl_rng rng = {.used = 4};

    (void)state;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(nl_rng_u32(&rng), expected[k]);
    }
}

static void normals_have_the_moments_of_a_normal(void **state)
{
    enum { count = 200000 };
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, 1, 2, 3);
    double moment[5] = {0};

    (void)state;
    for (int k = 0; k < count; k++) {
        double z = nl_rng_normal(&rng);

        for (int p = 1; p <= 4; p++) {
            moment[p] += pow(z, p) / count;
        }
    }
    /* standard errors: 1, sqrt 2, sqrt 15, sqrt 96 over sqrt(count); five of them allowed */
    assert_true(fabs(moment[1]) < 5.0 * 1.0 / sqrt(count));
    assert_true(fabs(moment[2] - 1.0) < 5.0 * sqrt(2.0) / sqrt(count));
    assert_true(fabs(moment[3]) < 5.0 * sqrt(15.0) / sqrt(count));
    assert_true(fabs(moment[4] - 3.0) < 5.0 * sqrt(96.0) / sqrt(count));
}

static void shuffles_are_uniform_and_depend_on_their_stream_only(void **state)
{
    int seen[6] = {0};

    (void)state;
    for (uint32_t trial = 0; trial < 6000; trial++) {
        nl_rng rng = nl_rng_open(trial, NL_PURPOSE_SELF_TEST, 0, 0, 0);
        nl_rng again = nl_rng_open(trial, NL_PURPOSE_SELF_TEST, 0, 0, 0);
        int a[3] = {0, 1, 2};
        int b[3] = {0, 1, 2};

        nl_rng_shuffle(&rng, a, 3);
        nl_rng_shuffle(&again, b, 3);
        assert_memory_equal(a, b, sizeof a);
        seen[a[0] * 2 + (a[1] > a[2])]++;
    }
    for (int k = 0; k < 6; k++) {
        assert_true(abs(seen[k] - 1000) < 150); /* 5 standard deviations */
    }
}

static void control_characters_are_escaped_and_texts_kept(void **state)
{
    char out[64];
    char masked[] = "a\x1b[2J\xc2\x9b\xff\n\xc3\xa9";

    (void)state;
    assert_string_equal(nl_escaped("gr\xc3\xbc\xc3\x9f \"x\" \\", out, sizeof out),
                        "gr\xc3\xbc\xc3\x9f \"x\" \\");
    assert_string_equal(nl_escaped("\x1b[31m\n\r\t\x07\x7f", out, sizeof out),
                        "\\x1b[31m\\n\\r\\t\\x07\\x7f");
    assert_string_equal(nl_escaped("\xc2\x9b", out, sizeof out), "\\xc2\\x9b"); /* C1: CSI */
    assert_string_equal(nl_escaped("\xe2\x80\xae", out, sizeof out),
                        "\\xe2\\x80\\xae"); /* right to left from here on */
    assert_string_equal(nl_escaped("\x9b\xc3", out, sizeof out), "\\x9b\\xc3"); /* no UTF-8 */
    assert_string_equal(nl_escaped("abc\x1b", out, 7), "abc"); /* whole escapes only */
    assert_string_equal(nl_escaped("\xc3\xa9\xc3\xa9", out, 4), "\xc3\xa9");
    nl_mask_controls(masked);
    assert_string_equal(masked, "a?[2J????\xc3\xa9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_those_of_the_contract),
        cmocka_unit_test(doubles_read_back_and_stay_short),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(blocks_are_aligned_and_overflow_is_refused),
        cmocka_unit_test(large_blocks_take_whole_pages),
        cmocka_unit_test(control_characters_are_escaped_and_texts_kept),
        cmocka_unit_test(random_bits_are_those_of_philox),
        cmocka_unit_test(normals_have_the_moments_of_a_normal),
        cmocka_unit_test(shuffles_are_uniform_and_depend_on_their_stream_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
