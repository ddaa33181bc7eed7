/** @file blas.h  The BLAS routines that more than one room calls: Fortran interface, column-major,
 * every argument by address.  No MPI.
 *
 * The hidden lengths of character arguments are left out: they are all one character long, and no
 * BLAS reads them. */
#ifndef NTKLENS_BLAS_H
#define NTKLENS_BLAS_H

/* C = alpha op(A) op(B) + beta C, op(A) [m x k], op(B) [k x n] */
void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);
void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

/* C = alpha op(A) op(A)^T + beta C, one triangle of C [n x n], op(A) [n x k] */
void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *beta, double *c, const int *ldc);
void ssyrk_(const char *uplo, const char *trans, const int *n, const int *k, const float *alpha,
            const float *a, const int *lda, const float *beta, float *c, const int *ldc);

/* y = alpha op(A) x + beta y, A [m x n] */
void dgemv_(const char *trans, const int *m, const int *n, const double *alpha, const double *a,
            const int *lda, const double *x, const int *incx, const double *beta, double *y,
            const int *incy);
void sgemv_(const char *trans, const int *m, const int *n, const float *alpha, const float *a,
            const int *lda, const float *x, const int *incx, const float *beta, float *y,
            const int *incy);

/* A += alpha x y^T, A [m x n] */
void dger_(const int *m, const int *n, const double *alpha, const double *x, const int *incx,
           const double *y, const int *incy, double *a, const int *lda);
void sger_(const int *m, const int *n, const float *alpha, const float *x, const int *incx,
           const float *y, const int *incy, float *a, const int *lda);

/* y += alpha x */
void daxpy_(const int *n, const double *alpha, const double *x, const int *incx, double *y,
            const int *incy);
void saxpy_(const int *n, const float *alpha, const float *x, const int *incx, float *y,
            const int *incy);

#endif
