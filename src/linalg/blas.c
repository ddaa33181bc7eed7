/** @file blas.c  What the BLAS at hand tells of itself.
 *
 * Looked up at run time: the program links with, and runs on, any BLAS. */
#include "ntklens/linalg.h"

#include <dlfcn.h>
#include <limits.h>
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

/* The library that a function comes from; false: the system does not tell. */
static bool find_library(const char *name, Dl_info *library)
{
    function *found = find_function(name);
    void *address = NULL;

    memcpy(&address, &found, sizeof address);
    return address != NULL && dladdr(address, library) != 0;
}

/* Does the library of one function, or one that it needs, have the other?  Several libraries called
 * libblas.so.3 may be loaded beside OpenBLAS, and one of them be asked. */
static bool come_together(const char *name, const char *other)
{
    Dl_info one;
    Dl_info two;
    void *handle = NULL;
    bool together = false;

    if (!find_library(name, &one) || !find_library(other, &two)) {
        return false;
    }
    if (one.dli_fbase == two.dli_fbase) {
        return true;
    }
    handle = dlopen(one.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (handle != NULL) {
        together = dlsym(handle, other) != NULL;
        dlclose(handle);
    }
    return together;
}

/* NULL where products are not OpenBLAS's. */
static const char *openblas_text(const char *name)
{
    char *(*text)(void) = (char *(*)(void))find_function(name);

    return text != NULL && come_together("dgemm_", "openblas_get_config") ? text() : NULL;
}

void nl_blas_set_threads(int threads)
{
    void (*set_threads)(int) = (void (*)(int))find_function("openblas_set_num_threads");
    void (*set_blis)(long) = (void (*)(long))find_function("bli_thread_set_num_threads");

    if (set_threads != NULL) {
        set_threads(threads > 1 ? threads : 1);
    }
    if (set_blis != NULL) {
        set_blis(threads > 1 ? threads : 1);
    }
}

bool nl_blas_is_reentrant(void)
{
    int (*get_parallel)(void) = (int (*)(void))find_function("openblas_get_parallel");

    return get_parallel == NULL || get_parallel() != 0;
}

const char *nl_blas_kernel(void)
{
    const char *name = openblas_text("openblas_get_corename");

    return name != NULL ? name : "unknown";
}

/* "OpenBLAS 0.3.21" of "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
static void shorten(const char *config, char out[64])
{
    size_t length = strcspn(config, " ");

    if (config[length] == ' ') {
        length += 1 + strcspn(config + length + 1, " ");
    }
    snprintf(out, 64, "%.*s", (int)length, config);
}

/* Of a BLAS that does not tell its name: its file, whose name ends with the version. */
static void name_file(char out[64])
{
    char path[PATH_MAX];
    const char *file = nl_blas_file();
    const char *name = NULL;

    if (file == NULL) {
        snprintf(out, 64, "unknown");
        return;
    }
    name = realpath(file, path) != NULL ? path : file;
    name = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    snprintf(out, 64, "%.*s", 40, name);
}

const char *nl_blas_version(char out[64])
{
    const char *config = openblas_text("openblas_get_config");
    char *(*blis)(void) = (char *(*)(void))find_function("bli_info_get_version_str");
    char *(*other)(void) = (char *(*)(void))find_function("openblas_get_config");
    size_t length = 0;

    if (config != NULL) {
        shorten(config, out);
        return out;
    }
    if (blis != NULL && come_together("dgemm_", "bli_info_get_version_str")) {
        snprintf(out, 64, "BLIS %.40s", blis());
    } else {
        name_file(out);
    }
    if (nl_blas_is_mixed() && other != NULL) {
        char lapack[64];

        shorten(other(), lapack);
        length = strlen(out);
        snprintf(out + length, 64 - length, ", LAPACK %s", lapack);
    }
    return out;
}

bool nl_blas_is_mixed(void)
{
    return come_together("dpotrf_", "openblas_get_config") !=
           come_together("dgemm_", "openblas_get_config");
}

const char *nl_blas_file(void)
{
    Dl_info library;

    return find_library("dgemm_", &library) ? library.dli_fname : NULL;
}

bool nl_blas_has_choice(void)
{
    const char *config = openblas_text("openblas_get_config");

    return config != NULL && strstr(config, "DYNAMIC_ARCH") != NULL;
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

double nl_inner(size_t n, const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t k = 0; k < n; k++) {
        sum += a[k] * b[k];
    }
    return sum;
}
