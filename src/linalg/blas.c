/** @file blas.c  What the BLAS at hand tells of itself.
 *
 * Looked up at run time: the program links with, and runs on, any BLAS. */
#include "ntklens/linalg.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef void function(void);

static function *find_function(const char *name)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    function *found = NULL;

    memcpy(&found, &address, sizeof found); /* ISO C has no cast from object to function pointer */
    return found;
}

void nl_blas_set_threads(int threads)
{
    void (*set_threads)(int) = (void (*)(int))find_function("openblas_set_num_threads");

    if (set_threads != NULL) {
        set_threads(threads > 1 ? threads : 1);
    }
}

const char *nl_blas_kernel(void)
{
    char *(*corename)(void) = (char *(*)(void))find_function("openblas_get_corename");

    return corename != NULL ? corename() : "unknown";
}

const char *nl_blas_version(char out[64])
{
    char *(*config)(void) = (char *(*)(void))find_function("openblas_get_config");
    const char *text = config != NULL ? config() : "unknown";
    size_t length = strcspn(text, " "); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */

    if (text[length] == ' ') {
        length += 1 + strcspn(text + length + 1, " ");
    }
    snprintf(out, 64, "%.*s", (int)length, text);
    return out;
}

const char *nl_blas_file(void)
{
    function *gemm = find_function("dgemm_");
    void *address = NULL;
    Dl_info info;

    memcpy(&address, &gemm, sizeof address);
    return address != NULL && dladdr(address, &info) != 0 ? info.dli_fname : NULL;
}

bool nl_blas_has_choice(void)
{
    char *(*config)(void) = (char *(*)(void))find_function("openblas_get_config");

    return config != NULL && strstr(config(), "DYNAMIC_ARCH") != NULL;
}

static void multiply(nl_precision precision, int n, const void *a, const void *b, void *c)
{
    const double one = 1.0;
    const double zero = 0.0;
    const float one_single = 1.0F;
    const float zero_single = 0.0F;

    if (precision == NL_DOUBLE) {
        dgemm_("T", "N", &n, &n, &n, &one, a, &n, b, &n, &zero, c, &n);
    } else {
        sgemm_("T", "N", &n, &n, &n, &one_single, a, &n, b, &n, &zero_single, c, &n);
    }
}

double nl_blas_speed(nl_precision precision)
{
    enum { order = 320, turns = 4 };
    const size_t elements = (size_t)order * order;
    char *memory = nl_calloc(3 * elements, nl_precision_bytes(precision)); /* zeros do as well */
    const size_t stride = elements * nl_precision_bytes(precision);
    double best = INFINITY;

    if (memory == NULL) {
        return NAN;
    }
    for (int turn = 0; turn < turns; turn++) { /* the first one warms up */
        const double start = nl_now();

        multiply(precision, order, memory, memory + stride, memory + 2 * stride);
        best = fmin(best, nl_now() - start);
    }
    free(memory);
    return 2e-9 * (double)elements * order / best;
}

double nl_precision_eps(nl_precision precision)
{
    return precision == NL_DOUBLE ? 0x1p-52 : 0x1p-23;
}

size_t nl_precision_bytes(nl_precision precision)
{
    return precision == NL_DOUBLE ? sizeof(double) : sizeof(float);
}
