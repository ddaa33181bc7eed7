/** @file linalg.h  Process grid, block-cyclic symmetric matrix, eigenvalue solvers behind one
 * interface. */
#ifndef NTKLENS_LINALG_H
#define NTKLENS_LINALG_H

#include "ntklens/base.h"
#include "ntklens/blas.h"

#include <mpi.h>

/** Unit roundoff as LAPACK's dlamch('P'): 2^-52 or 2^-23. */
double nl_precision_eps(nl_precision precision);
size_t nl_precision_bytes(nl_precision precision);

/** BLAS threads of this process from now on (OpenBLAS; elsewhere nothing happens). */
void nl_blas_set_threads(int threads);

/** Name of the kernels that the BLAS whose dgemm_ this process calls chose for this CPU
 * ("SkylakeX"), "unknown" where it does not tell: then it is not OpenBLAS. */
const char *nl_blas_kernel(void);

/** Name and version of the BLAS whose dgemm_ this process calls, as "OpenBLAS 0.3.21"; the name of
 * its file where it does not tell.  Where LAPACK is another BLAS's, that is said behind. */
const char *nl_blas_version(char out[64]);

/** Is one of products and LAPACK OpenBLAS's, the other not? */
bool nl_blas_is_mixed(void);

/** File of the library whose dgemm_ this process calls; NULL where the system does not tell. */
const char *nl_blas_file(void);

/** Can OPENBLAS_CORETYPE choose its kernels?  (OpenBLAS with DYNAMIC_ARCH.) */
bool nl_blas_has_choice(void);

/** GFLOP/s of products of square matrices of order 320 on this thread, the best of a few; takes
 *  milliseconds.  NaN: no memory.  Local. */
double nl_blas_speed(nl_precision precision);

/** The widest vector instructions of a CPU, or those that BLAS kernels use; in rising order. */
typedef enum nl_vectors {
    NL_VECTORS_UNKNOWN, /* not x86 */
    NL_VECTORS_SSE,
    NL_VECTORS_AVX,
    NL_VECTORS_AVX2,  /* with FMA */
    NL_VECTORS_AVX512 /* F, DQ, BW, VL */
} nl_vectors;

/** "AVX-512" */
const char *nl_vectors_name(nl_vectors vectors);

typedef struct nl_cpu {
    nl_vectors vectors; /* that CPU and system offer */
    bool amd;
} nl_cpu;

/** The CPU this process runs on.  Local. */
nl_cpu nl_cpu_here(void);

/** Those of the BLAS kernel in use, on which bits depend anyway, as far as this CPU has them; where
 *  they are not known, the CPU's.  For loops that are written for vectors of one width.  Local. */
nl_vectors nl_vectors_in_use(void);

/** OPENBLAS_CORETYPE of kernels that use more of the CPU than those called `kernel` do; NULL: there
 *  are none, or either is not known here.  Pure. */
const char *nl_blas_better_kernel(nl_cpu cpu, const char *kernel);

/*---------------------------------------------------------------------------------------------
 * Process grid
 *-------------------------------------------------------------------------------------------*/

/** Near-square shape for `ranks` ranks: of all with rows <= cols <= 3 rows and rows * cols <= ranks
 *  the one that uses most ranks, of these the one nearest to a square.  Ranks left over are spare.
 *  Pure: the same answer everywhere.
 *  2 -> 1x2, 3 -> 1x3, 4 -> 2x2, 5 -> 2x2, 6 -> 2x3, 7 -> 2x3, 12 -> 3x4, 13 -> 3x4. */
void nl_grid_shape(int ranks, int *rows, int *cols);

/** BLACS grid, row-major, over exactly the ranks of its communicator. */
typedef struct nl_grid {
    MPI_Comm comm; /* owned duplicate; size rows * cols */
    int context;   /* BLACS context, with repeatable topologies (TOPSREPEAT) */
    int rows, cols;
    int row, col; /* of this rank */
} nl_grid;

/** Collective over comm, whose size must be rows * cols. */
NL_MUST_CHECK nl_status nl_grid_create(MPI_Comm comm, int rows, int cols, nl_grid **out);

/** Collective; NULL-safe. */
void nl_grid_destroy(nl_grid **grid);

/*---------------------------------------------------------------------------------------------
 * Symmetric block-cyclic matrix: only entries on or below the diagonal mean anything
 *-------------------------------------------------------------------------------------------*/

/** Dense symmetric matrix of order n in square blocks of nb.  Fields are for reading. */
typedef struct nl_dmat {
    const nl_grid *grid; /* borrowed */
    nl_precision precision;
    int n, nb; /* global order, block size */
    int local_rows, local_cols;
    int ld;      /* >= max(1, local_rows) */
    int desc[9]; /* ScaLAPACK descriptor */
    void *local; /* owned; column-major, ld * local_cols, double or float */
} nl_dmat;

/** Leading dimension of a column-major array of so many rows: whole cache lines, an odd number of
 *  them, so that columns do not share the sets of a cache.  Local. */
int nl_leading_dimension(int rows, nl_precision precision);

/** Element `at` of values in either precision. */
static inline double nl_element(const void *values, size_t at, nl_precision precision)
{
    return precision == NL_DOUBLE ? ((const double *)values)[at] : ((const float *)values)[at];
}

/** A stored element, by local indices. */
static inline double nl_dmat_element(const nl_dmat *a, int row, int col)
{
    return nl_element(a->local, (size_t)col * (size_t)a->ld + (size_t)row, a->precision);
}

/**
 * Create a matrix of zeros.  Collective.  A local part beyond 2^31 - 1 elements (what ScaLAPACK can
 * count) is refused with the rank count that would do.
 *
 * @param[in]  grid  (global) borrowed
 * @param[in]  n     (global) order, >= 1
 * @param[in]  nb    (global) block size, >= 1
 */
NL_MUST_CHECK nl_status nl_dmat_create(const nl_grid *grid, int n, int nb, nl_precision precision,
                                       nl_dmat **out);
void nl_dmat_destroy(nl_dmat **a);

/** Global index of a local row (column) index, 0-based.  Pure, Local. */
int nl_dmat_global_row(const nl_dmat *a, int local_row);
int nl_dmat_global_col(const nl_dmat *a, int local_col);

/** The part of a column that counts: local rows from here on lie on or below the diagonal.  Pure,
 *  Local. */
int nl_dmat_first_row(const nl_dmat *a, int global_col);

/** Value of entry (i, j), i >= j, 0-based global indices.  Pure: the same answer on every rank. */
typedef double nl_entry_fn(int i, int j, const void *context);

/** Set every entry on or below the diagonal from its global index; zeros above.  Local. */
void nl_dmat_fill(nl_dmat *a, nl_entry_fn *entry, const void *context);

/** What becomes of entry (i, j), i >= j. */
typedef double nl_map_fn(int i, int j, double value, const void *context);

/** Replace every entry on or below the diagonal.  Local. */
void nl_dmat_map(nl_dmat *a, nl_map_fn *map, const void *context);

/** Trace and squared Frobenius norm of the symmetric matrix (lower half mirrored), accumulated in
 *  double.  Collective; same bits on every rank. */
NL_MUST_CHECK nl_status nl_dmat_moments(const nl_dmat *a, double *trace, double *frobenius2);

/** Diagonal [n] in double on every rank.  Collective; same bits on every rank. */
NL_MUST_CHECK nl_status nl_dmat_diagonal(const nl_dmat *a, double *diagonal);

/**
 * Y = A X in double.  Collective; same bits on every rank.
 *
 * @param[in]  x  (global) [n x columns], column-major
 * @param[out] y  (local)  [n x columns], column-major, on every rank
 */
NL_MUST_CHECK nl_status nl_dmat_multiply(const nl_dmat *a, int columns, const double *x, double *y);

/** y = A x in the matrix's own precision, for iterations: single takes half the time of double.
 *  Collective; same bits on every rank.
 *
 *  @param[in]  x  (global) [n]
 *  @param[out] y  (local)  [n], on every rank */
NL_MUST_CHECK nl_status nl_dmat_multiply_vector(const nl_dmat *a, const double *x, double *y);

/** Sum over the ranks of a grid, in the order of ranks, on every rank.  Collective; same bits on
 *  every rank, whatever the MPI library. */
NL_MUST_CHECK nl_status nl_grid_sum(const nl_grid *grid, double *values, int count);

/** Entries of this rank on or below the diagonal. */
size_t nl_dmat_packed_count(const nl_dmat *a);

/** Copy them, column by column, to `packed`, in the precision of the matrix.  Local. */
void nl_dmat_pack(const nl_dmat *a, void *packed);

/** The other way round.  On one rank the matrix may be the leading part of the one that was packed,
 *  of order `packed_order`.  Local. */
void nl_dmat_unpack(nl_dmat *a, int packed_order, const void *packed);

/** Gather the whole matrix, both halves, in double on rank `root` of the grid: full [n x n]
 *  (elsewhere NULL).  For output.kernels and tests.  Collective. */
NL_MUST_CHECK nl_status nl_dmat_gather(const nl_dmat *a, int root, double *full);

/*---------------------------------------------------------------------------------------------
 * Eigenvalues
 *-------------------------------------------------------------------------------------------*/

/** One way to get all eigenvalues.  Add a row to the table in eigen.c to add a solver. */
typedef struct nl_solver {
    const char *name;   /* as in the study file and the column `solver` */
    const char *second; /* solver to try where this one's spectrum fails verification */
    bool one_rank;      /* needs the whole matrix on one rank */
    bool no_empty_line; /* needs a block of the matrix in each process row and column */
    bool double_only;
    /** Bytes of work space a rank beyond the matrix itself. */
    double (*workspace)(int n, int nb, nl_precision precision, int rows, int cols);
    /** Operations that more ranks do not shorten: what one of them does, or each; in those that the
     *  whole solve, of 4/3 n^3, does in the same time.  NULL where it works on one rank only. */
    double (*serial)(int n, nl_precision precision);
    /** All eigenvalues, ascending [n], on every rank.  Destroys a.  Collective over the grid.
     *  Only where nl_solver_able().  NL_ERR_LINALG with a warning where the library gave up:
     * another solver may not. */
    nl_status (*eigenvalues)(nl_dmat *a, double *ascending);
} nl_solver;

/** The solver of that name, NULL when there is none in this build. */
const nl_solver *nl_solver_find(const char *name);

/** Solver i of this build, NULL behind the last. */
const nl_solver *nl_solver_at(int i);

/** Can it solve a matrix of order n in blocks of nb on such a grid?  Pure. */
bool nl_solver_able(const nl_solver *solver, int n, int nb, nl_precision precision, int rows,
                    int cols);

/** A verified spectrum. */
typedef struct nl_spectrum {
    int n;
    double *lambda;           /* owned; descending, [n], on every rank */
    double trace, frobenius2; /* of the matrix, before the solve; NaN as lambda below */
    const nl_solver *solver;  /* that gave it */
    bool resolved;            /* the first solver's answer failed verification */
} nl_spectrum;

/**
 * Is this the spectrum of a matrix with these moments?
 *   double: |sum lambda - trace| <= 50 n eps trace, |sum lambda^2 - F^2| <= 50 n eps F^2
 *   single: |sum lambda - trace| <= 8 sqrt(n) eps F, |sum lambda^2 - F^2| <= 8 sqrt(n) eps F^2
 * written so that a NaN fails, and a negative trace.  An error that leaves both sums as they are,
 * such as small eigenvalues that are mixed up among themselves, is not seen.  Pure, Local.
 */
bool nl_spectrum_plausible(int n, const double *lambda, double trace, double frobenius2,
                           nl_precision precision);

/** y = A x for a symmetric operator of order n; the same bits on every rank.  Collective. */
typedef nl_status nl_operator_fn(const double *x, double *y, void *context);

/**
 * The largest eigenvalue of a positive semidefinite operator, by Lanczos iteration: exact to about
 * 1e-12 over its relative distance to the next.  NaN where that is not reached in 200 products.
 * Every rank iterates on its own.  Collective over comm, which is that of the operator.
 */
NL_MUST_CHECK nl_status nl_largest_eigenvalue(MPI_Comm comm, int n, nl_operator_fn *apply,
                                              void *context, double *lambda);

/** Fill a freshly created or used matrix with its content.  Collective over its grid. */
typedef nl_status nl_fill_fn(nl_dmat *a, void *context);

/**
 * Fill, solve, verify; where verification fails or the library gives up, fill anew and solve with
 * the second solver.  A matrix that is not finite is not solved: all its eigenvalues are NaN, which
 * is a value and no error.  Collective over the matrix's grid.
 *
 * @param[in]  a       its content is destroyed
 * @param[in]  fill    gives the matrix its content
 * @param[out] out     on every rank; NULL on failure; free with nl_spectrum_destroy()
 * @return NL_ERR_NUMERIC where two solvers failed, or one that has no second; NL_ERR_ARG where the
 *         solver is not able to work on such a grid; on every rank
 */
NL_MUST_CHECK nl_status nl_spectrum_compute(nl_dmat *a, const nl_solver *solver, nl_fill_fn *fill,
                                            void *context, nl_spectrum **out);
void nl_spectrum_destroy(nl_spectrum **spectrum);

/** Elements of work space that nl_dmat_projections() has the library count: at most 2^31 - 1. */
double nl_projections_length(int n, int nb, int rows, int cols);

/** Bytes that nl_dmat_projections() needs on a rank beside the matrix. */
double nl_projections_workspace(int n, int nb, nl_precision precision, int rows, int cols);

/**
 * Eigenvalues, and Y = U^T X with the eigenvectors as columns of U.  Verified: eigenvalues as those
 * of nl_spectrum_compute(), and no column of X may change its length.  Collective.
 *
 * @param[in]  a       finite; its content is destroyed
 * @param[in]  x       (global) [n x columns], column-major
 * @param[out] lambda  (local)  [n] descending, on every rank
 * @param[out] y       (local)  [n x columns], rows in the order of lambda, on every rank
 * @return NL_ERR_NUMERIC where the library failed or its answer is none
 */
NL_MUST_CHECK nl_status nl_dmat_projections(nl_dmat *a, int columns, const double *x,
                                            double *lambda, double *y);

#endif
