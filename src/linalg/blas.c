/** @file blas.c  What the BLAS at hand tells of itself.
 *
 * Looked up at run time: the program links with, and runs on, any BLAS. */
#include "ntklens/linalg.h"

#include <dlfcn.h>
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

double nl_precision_eps(nl_precision precision)
{
    return precision == NL_DOUBLE ? 0x1p-52 : 0x1p-23;
}

size_t nl_precision_bytes(nl_precision precision)
{
    return precision == NL_DOUBLE ? sizeof(double) : sizeof(float);
}
