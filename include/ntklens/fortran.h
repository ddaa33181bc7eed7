/** @file fortran.h  What this room calls of LAPACK, ScaLAPACK and BLACS.
 *
 * Arrays of either precision are passed as void *, so that one type of function serves both.  Why
 * the lengths of character arguments are passed is said in blas.h. */
#ifndef NTKLENS_FORTRAN_H
#define NTKLENS_FORTRAN_H

#include <mpi.h>
#include <stddef.h>

/* LAPACK: a symmetric matrix to a tridiagonal one */
typedef void nl_sytrd(const char *uplo, const int *n, void *a, const int *lda, void *d, void *e,
                      void *tau, void *work, const int *lwork, int *info, size_t uplo_length);
nl_sytrd dsytrd_, ssytrd_;

/* LAPACK: A [m x n] = Q R, Q = I - V T V^T in blocks of nb reflectors */
typedef void nl_geqrt(const int *m, const int *n, const int *nb, void *a, const int *lda, void *t,
                      const int *ldt, void *work, int *info);
nl_geqrt dgeqrt_, sgeqrt_;

/* BLAS: C = alpha A B + beta C with a symmetric A; B = alpha op(A) B with a triangular A, or B
 * op(A)
 */
typedef void nl_symm(const char *side, const char *uplo, const int *m, const int *n,
                     const void *alpha, const void *a, const int *lda, const void *b,
                     const int *ldb, const void *beta, void *c, const int *ldc, size_t side_length,
                     size_t uplo_length);
nl_symm dsymm_;

void dsymv_(const char *uplo, const int *n, const double *alpha, const double *a, const int *lda,
            const double *x, const int *incx, const double *beta, double *y, const int *incy,
            size_t uplo_length);
void ssymv_(const char *uplo, const int *n, const float *alpha, const float *a, const int *lda,
            const float *x, const int *incx, const float *beta, float *y, const int *incy,
            size_t uplo_length);
void sgemv_(const char *op, const int *m, const int *n, const float *alpha, const float *a,
            const int *lda, const float *x, const int *incx, const float *beta, float *y,
            const int *incy);

typedef void nl_trmm(const char *side, const char *uplo, const char *op, const char *diag,
                     const int *m, const int *n, const void *alpha, const void *a, const int *lda,
                     void *b, const int *ldb, size_t side_length, size_t uplo_length,
                     size_t op_length, size_t diag_length);
nl_trmm dtrmm_, strmm_;

/* LAPACK: all eigenvalues, by bisection where abstol > 0 */
typedef void nl_syevx(const char *jobz, const char *range, const char *uplo, const int *n, void *a,
                      const int *lda, const void *vl, const void *vu, const int *il, const int *iu,
                      const void *abstol, int *m, void *w, void *z, const int *ldz, void *work,
                      const int *lwork, int *iwork, int *ifail, int *info, size_t jobz_length,
                      size_t range_length, size_t uplo_length);
nl_syevx dsyevx_, ssyevx_;

/* LAPACK: eigenvalues and eigenvectors */
typedef void nl_syevd(const char *jobz, const char *uplo, const int *n, void *a, const int *lda,
                      void *w, void *work, const int *lwork, int *iwork, const int *liwork,
                      int *info, size_t jobz_length, size_t uplo_length);
nl_syevd dsyevd_, ssyevd_;

/* LAPACK: eigenvalues and eigenvectors of a tridiagonal matrix */
void dsteqr_(const char *compz, const int *n, double *d, double *e, double *z, const int *ldz,
             double *work, int *info, size_t compz_length);

/* ScaLAPACK: all eigenvalues of a distributed symmetric matrix; by QR iteration, and by bisection
 */
typedef void nl_psyev(const char *jobz, const char *uplo, const int *n, void *a, const int *ia,
                      const int *ja, const int *desca, void *w, void *z, const int *iz,
                      const int *jz, const int *descz, void *work, const int *lwork, int *info,
                      size_t jobz_length, size_t uplo_length);
nl_psyev pdsyev_, pssyev_;

/* ScaLAPACK: eigenvalues and eigenvectors, by divide and conquer */
typedef void nl_psyevd(const char *jobz, const char *uplo, const int *n, void *a, const int *ia,
                       const int *ja, const int *desca, void *w, void *z, const int *iz,
                       const int *jz, const int *descz, void *work, const int *lwork, int *iwork,
                       const int *liwork, int *info, size_t jobz_length, size_t uplo_length);
nl_psyevd pdsyevd_, pssyevd_;

typedef void nl_psyevx(const char *jobz, const char *range, const char *uplo, const int *n, void *a,
                       const int *ia, const int *ja, const int *desca, const void *vl,
                       const void *vu, const int *il, const int *iu, const void *abstol, int *m,
                       int *nz, void *w, const void *orfac, void *z, const int *iz, const int *jz,
                       const int *descz, void *work, const int *lwork, int *iwork,
                       const int *liwork, int *ifail, int *iclustr, void *gap, int *info,
                       size_t jobz_length, size_t range_length, size_t uplo_length);
nl_psyevx pdsyevx_, pssyevx_;

/* PBLAS: C = beta C + alpha A^T */
typedef void nl_ptran(const int *m, const int *n, const void *alpha, const void *a, const int *ia,
                      const int *ja, const int *desca, const void *beta, void *c, const int *ic,
                      const int *jc, const int *descc);
nl_ptran pdtran_, pstran_;

/* ScaLAPACK: local extent of a distributed dimension, descriptor, tuning parameters */
int numroc_(const int *n, const int *nb, const int *process, const int *source,
            const int *processes);
void descinit_(int *desc, const int *m, const int *n, const int *mb, const int *nb, const int *rsrc,
               const int *csrc, const int *context, const int *lld, int *info);

/* BLACS, C interface */
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int rows, int cols);
void Cblacs_gridinfo(int context, int *rows, int *cols, int *row, int *col);
void Cblacs_gridexit(int context);
void Cblacs_set(int context, int what, const int *value);

#endif
