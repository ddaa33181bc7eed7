/** @file test_cpu.c  Which BLAS kernels a CPU deserves. */
#include "ntklens/linalg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_cpu_gets_kernels_that_use_it(void **state)
{
    static const struct {
        nl_vectors vectors;
        bool amd;
        const char *kernel, *better; /* NULL: it stays as it is */
    } cases[] = {
        {NL_VECTORS_AVX512, false, "Prescott", "SkylakeX"},
        {NL_VECTORS_AVX512, true, "Prescott", "SkylakeX"},
        {NL_VECTORS_AVX512, true, "Zen", "SkylakeX"},
        {NL_VECTORS_AVX512, false, "Haswell", "SkylakeX"},
        {NL_VECTORS_AVX512, false, "SkylakeX", NULL},
        {NL_VECTORS_AVX512, false, "Cooperlake", NULL},
        {NL_VECTORS_AVX512, false, "SapphireRapids", NULL},
        {NL_VECTORS_AVX2, false, "Prescott", "Haswell"},
        {NL_VECTORS_AVX2, true, "Barcelona", "Zen"},
        {NL_VECTORS_AVX2, true, "Zen", NULL},
        {NL_VECTORS_AVX2, false, "haswell", NULL},
        {NL_VECTORS_AVX, false, "Nehalem", "Sandybridge"},
        {NL_VECTORS_AVX, true, "Bulldozer", NULL},
        {NL_VECTORS_AVX, false, "Haswell", NULL}, /* the user's word for it */
        {NL_VECTORS_SSE, false, "Prescott", NULL},
        {NL_VECTORS_AVX512, false, "unknown", NULL},
        {NL_VECTORS_UNKNOWN, false, "NEOVERSEN1", NULL},
        {NL_VECTORS_UNKNOWN, false, "Prescott", NULL},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        const nl_cpu cpu = {.vectors = cases[k].vectors, .amd = cases[k].amd};
        const char *better = nl_blas_better_kernel(cpu, cases[k].kernel);

        if (cases[k].better == NULL) {
            assert_null(better);
        } else {
            assert_non_null(better);
            assert_string_equal(better, cases[k].better);
            assert_null(nl_blas_better_kernel(cpu, better)); /* hence no loop */
        }
    }
}

static void this_blas_tells_of_itself(void **state)
{
    (void)state;
    assert_non_null(nl_blas_file());
    assert_true(nl_blas_speed(NL_DOUBLE) > 0.0);
    assert_true(nl_blas_speed(NL_SINGLE) > 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cpu_gets_kernels_that_use_it),
        cmocka_unit_test(this_blas_tells_of_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
