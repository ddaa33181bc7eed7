/** @file solver_shim.c  LD_PRELOAD: a LAPACK that is wrong once.
 *
 * The first tridiagonal matrix of order NTKLENS_WRONG_ORDER has a wrong diagonal. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void reduction(const char *uplo, const int *n, double *a, const int *lda, double *d,
                       double *e, double *tau, double *work, const int *lwork, int *info,
                       size_t uplo_length);
reduction dsytrd_;

void dsytrd_(const char *uplo, const int *n, double *a, const int *lda, double *d, double *e,
             double *tau, double *work, const int *lwork, int *info, size_t uplo_length)
{
    static int done;
    const char *order = getenv("NTKLENS_WRONG_ORDER");
    void *address = dlsym(RTLD_NEXT, "dsytrd_");
    reduction *real = NULL;

    memcpy(&real, &address, sizeof real);
    real(uplo, n, a, lda, d, e, tau, work, lwork, info, uplo_length);
    if (*lwork > 0 && order != NULL && atoi(order) == *n && !done) {
        done = 1;
        d[0] *= 2.0;
    }
}
