/** @file flip_shim.c  LD_PRELOAD: a BLAS of which one product has one flipped bit.
 *
 * NTKLENS_FLIP_CALL: which call of dgemm, from 1; NTKLENS_FLIP_BIT: which bit of an element of its
 * result, 0 is the last of the mantissa.  NTKLENS_FLIP_EVERY: that call and every one after it.
 * NTKLENS_FLIP_COUNT: file for the number of calls.  It needs OpenBLAS, as the program does, so
 * that it is taken for it. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void product(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
                     const double *alpha, const double *a, const int *lda, const double *b,
                     const int *ldb, const double *beta, double *c, const int *ldc);
product dgemm_;
char *openblas_get_config(void);
__attribute__((destructor)) void flip_shim_end(void);
const char *flip_shim_blas(void);

static long calls;

const char *flip_shim_blas(void)
{
    return openblas_get_config();
}

static long number(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? atol(text) : -1;
}

void flip_shim_end(void)
{
    const char *path = getenv("NTKLENS_FLIP_COUNT");
    FILE *file = path != NULL && calls > 0 ? fopen(path, "w") : NULL;

    if (file != NULL) {
        fprintf(file, "%ld\n", calls);
        fclose(file);
    }
}

void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc)
{
    static product *real;
    const long wanted = number("NTKLENS_FLIP_CALL");
    const long bit = number("NTKLENS_FLIP_BIT");

    if (real == NULL) {
        void *address = dlsym(RTLD_NEXT, "dgemm_");

        memcpy(&real, &address, sizeof real);
    }
    real(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    calls++;
    if (*m > 0 && *n > 0 && wanted > 0 && bit >= 0 &&
        (calls == wanted || (calls > wanted && getenv("NTKLENS_FLIP_EVERY") != NULL))) {
        const long at = calls * 7919 % ((long)*m * *n);
        double *element = c + (size_t)(at / *m) * (size_t)*ldc + (size_t)(at % *m);
        uint64_t bits = 0;

        memcpy(&bits, element, sizeof bits);
        bits ^= UINT64_C(1) << bit;
        memcpy(element, &bits, sizeof bits);
    }
}
