/** @file blas.h  The few Fortran BLAS routines called, by any room; column-major. */
#ifndef NTKLENS_BLAS_H
#define NTKLENS_BLAS_H

/** C [m x n] = alpha op(A) [m x k] op(B) [k x n] + beta C; op by 'N' or 'T'. */
void sgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);
void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);

#endif
