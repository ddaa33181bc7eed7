/** @file solver_shim.c  LD_PRELOAD: a LAPACK that is wrong once.
 *
 * The first tridiagonal matrix of order NTKLENS_WRONG_ORDER has a wrong diagonal; of the first
 * matrix of order NTKLENS_LOST_ORDER in single precision, the smallest 70 eigenvalues are zero.
 *
 * Where NTKLENS_WRONG_RULES is set, nodes of all quadrature rules are a fifth too large. */
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

typedef void solve(const char *jobz, const char *uplo, const int *n, void *a, const int *ia,
                   const int *ja, const int *desca, void *w, void *z, const int *iz, const int *jz,
                   const int *descz, void *work, const int *lwork, int *info, size_t jobz_length,
                   size_t uplo_length);
solve pssyev_;

void pssyev_(const char *jobz, const char *uplo, const int *n, void *a, const int *ia,
             const int *ja, const int *desca, void *w, void *z, const int *iz, const int *jz,
             const int *descz, void *work, const int *lwork, int *info, size_t jobz_length,
             size_t uplo_length)
{
    enum { lost = 70 };
    static int done;
    const char *order = getenv("NTKLENS_LOST_ORDER");
    void *address = dlsym(RTLD_NEXT, "pssyev_");
    solve *real = NULL;

    memcpy(&real, &address, sizeof real);
    real(jobz, uplo, n, a, ia, ja, desca, w, z, iz, jz, descz, work, lwork, info, jobz_length,
         uplo_length);
    if (*lwork > 0 && order != NULL && atoi(order) == *n && !done) {
        done = 1;
        memset(w, 0, lost * sizeof(float));
    }
}

typedef void rule(const char *compz, const int *n, double *d, double *e, double *z, const int *ldz,
                  double *work, int *info, size_t compz_length);
rule dsteqr_;

void dsteqr_(const char *compz, const int *n, double *d, double *e, double *z, const int *ldz,
             double *work, int *info, size_t compz_length)
{
    void *address = dlsym(RTLD_NEXT, "dsteqr_");
    rule *real = NULL;

    memcpy(&real, &address, sizeof real);
    real(compz, n, d, e, z, ldz, work, info, compz_length);
    for (int k = 0; getenv("NTKLENS_WRONG_RULES") != NULL && k < *n; k++) {
        d[k] *= 1.2;
    }
}
