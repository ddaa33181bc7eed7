/**
 * @file blas.h  What rooms other than linalg call of BLAS and LAPACK: Fortran interface,
 * column-major, every argument by address.  No MPI.
 *
 * Today's Fortran compilers have a caller pass the lengths of character arguments behind the
 * others. LAPACK and ScaLAPACK are Fortran and end in calls of further routines: such a tail call
 * may write the lengths where it believes ours to be, over our stack, so they are passed
 * (linalg/fortran.h too).  BLAS routines call nothing but, after an error, XERBLA, which fits into
 * registers, and read no length: there they are left out.
 */
#ifndef NTKLENS_BLAS_H
#define NTKLENS_BLAS_H

#include <stddef.h>

/** Floating-point format of kernels and eigensolves. */
typedef enum nl_precision { NL_DOUBLE, NL_SINGLE } nl_precision;

/** C [m x n] = alpha op(A) [m x k] op(B) [k x n] + beta C; op by 'N' or 'T'. */
void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);
void sgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

/** Multiplications, m n k, up to which the BLAS at hand does not copy A and B first if A is not
 *  transposed, which makes it a third faster (OpenBLAS with its kernels for AVX-512); 0: it always
 *  copies. */
double nl_blas_small_product(void);

/** y [m or n] = alpha op(A) x + beta y, A [m x n]; op by 'N' or 'T'. */
void dgemv_(const char *op, const int *m, const int *n, const double *alpha, const double *a,
            const int *lda, const double *x, const int *incx, const double *beta, double *y,
            const int *incy);

/** LAPACK: A = L L^T [n x n]; and the solution B [n x columns] of A X = B from it. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info,
             size_t uplo_length);
void dpotrs_(const char *uplo, const int *n, const int *columns, const double *a, const int *lda,
             double *b, const int *ldb, int *info, size_t uplo_length);

#endif
