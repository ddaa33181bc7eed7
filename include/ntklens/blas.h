/** @file blas.h  The BLAS calls that several rooms make, in their Fortran form.  No MPI. */
#ifndef NTKLENS_BLAS_H
#define NTKLENS_BLAS_H

/** Floating-point format of kernels and eigensolves. */
typedef enum nl_precision { NL_DOUBLE, NL_SINGLE } nl_precision;

void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);

void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

#endif
