/**
 * @file blas.h  The BLAS routines that more than one room calls: Fortran interface, column-major,
 * every argument by address.  No MPI.
 *
 * The hidden lengths of character arguments are left out: they are all one character long, and no
 * BLAS reads them.
 */
#ifndef NTKLENS_BLAS_H
#define NTKLENS_BLAS_H

/** Floating-point format of kernels and eigensolves. */
typedef enum nl_precision { NL_DOUBLE, NL_SINGLE } nl_precision;

/** C [m x n] = alpha op(A) [m x k] op(B) [k x n] + beta C; op by 'N' or 'T'. */
void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);
void sgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

/** y [m or n] = alpha op(A) x + beta y, A [m x n]; op by 'N' or 'T'. */
void dgemv_(const char *op, const int *m, const int *n, const double *alpha, const double *a,
            const int *lda, const double *x, const int *incx, const double *beta, double *y,
            const int *incy);

#endif
