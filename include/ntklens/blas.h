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

#include <stdbool.h>
#include <stddef.h>

/** Floating-point format of kernels and eigensolves. */
typedef enum nl_precision { NL_DOUBLE, NL_SINGLE } nl_precision;
size_t nl_precision_bytes(nl_precision precision);

/** C [m x n] = alpha op(A) [m x k] op(B) [k x n] + beta C; op by 'N' or 'T'. */
void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc);
void sgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

/** Whether the BLAS at hand is faster with small products: `pieces` of nl_gemm_double(). */
bool nl_blas_likes_pieces(void);

/** May several threads multiply at a time?  Not with an OpenBLAS that was built for one thread and,
 *  perhaps, without locks. */
bool nl_blas_is_reentrant(void);

/** C [m x n] = alpha A [m x k] op(B) + beta C, op by 'N' or 'T'; in pieces where asked to.  These
 *  are fastest where lda is no multiple of a large power of two.  Local. */
void nl_gemm_double(bool pieces, char op_b, int m, int n, int k, double alpha, const double *a,
                    int lda, const double *b, int ldb, double beta, double *c, int ldc);
void nl_gemm_single(bool pieces, char op_b, int m, int n, int k, float alpha, const float *a,
                    int lda, const float *b, int ldb, float beta, float *c, int ldc);

/** Bytes of the widest vectors that its kernels use, 16, 32 or 64: what goes with them in bits and
 *  speed is compiled for each. */
int nl_vector_bytes(void);

/** Sum of the squares of v [n], in the same order on every CPU.  Local. */
double nl_squares_double(size_t n, const double *v);
double nl_squares_single(size_t n, const float *v);

/** a^T b [n], summed from the first element to the last.  Local. */
double nl_inner(size_t n, const double *a, const double *b);

/** to [rows x cols] = the transpose of from [cols x rows], both column-major.  Local. */
void nl_transpose_double(int rows, int cols, const double *from, int ld_from, double *to,
                         int ld_to);
void nl_transpose_single(int rows, int cols, const float *from, int ld_from, float *to, int ld_to);

/** y [m or n] = alpha op(A) x + beta y, A [m x n]; op by 'N' or 'T'. */
void dgemv_(const char *op, const int *m, const int *n, const double *alpha, const double *a,
            const int *lda, const double *x, const int *incx, const double *beta, double *y,
            const int *incy);

/** C = alpha A A^T + beta C, op 'T': alpha A^T A + beta C; the half `uplo` of C [n x n]. */
void dsyrk_(const char *uplo, const char *op, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *beta, double *c, const int *ldc);

/** LAPACK: A = L L^T [n x n]; and the solution B [n x columns] of A X = B from it. */
void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda, int *info,
             size_t uplo_length, size_t diag_length);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info,
             size_t uplo_length);
void dpotrs_(const char *uplo, const int *n, const int *columns, const double *a, const int *lda,
             double *b, const int *ldb, int *info, size_t uplo_length);

#endif
