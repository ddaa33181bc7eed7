/** @file linalg.h  BLAS, process grid, block-cyclic symmetric matrix. */
#ifndef NTKLENS_LINALG_H
#define NTKLENS_LINALG_H

#include "ntklens/base.h"
#include "ntklens/blas.h"

#include <mpi.h>

/** Unit roundoff as LAPACK's dlamch('P'): 2^-52 or 2^-23. */
double nl_precision_eps(nl_precision precision);

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
    int ld;        /* >= max(1, local_rows) */
    int desc[9];   /* ScaLAPACK descriptor */
    void *local;   /* owned; column-major, ld * local_cols, double or float */
    size_t mapped; /* bytes, where they are taken as they are written; 0: all at once */
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

/** The same of a matrix that is filled and multiplied, but not handed to a library that solves it:
 *  of any number of local elements, and what lies above the diagonal takes no memory.  Collective.
 */
NL_MUST_CHECK nl_status nl_dmat_create_lower(const nl_grid *grid, int n, int nb,
                                             nl_precision precision, nl_dmat **out);

/** Bytes of a rank's part, once it is filled, at most, where half of each column is below the
 *  diagonal.  Pure. */
double nl_dmat_lower_bytes(int n, int nb, nl_precision precision, int grid_rows, int grid_cols);

/** Global index of a local row (column) index, 0-based.  Pure, Local. */
int nl_dmat_global_row(const nl_dmat *a, int local_row);
int nl_dmat_global_col(const nl_dmat *a, int local_col);

/** Rows of a tile: large enough for GEMM to run at speed, small enough for the tile and its Gram to
 *  stay in cache. */
enum { nl_tile_rows = 640 };

/** Which lower half is walked over.  Borrowed. */
typedef struct nl_tile_walk {
    const int *rows, *cols; /* samples, or what else has rows [m], columns [n], in rising order */
    int m, n;
    int unit; /* matrix rows of a sample */
} nl_tile_walk;

/** The tile of the row samples i .. i + m and column samples j .. j + n of the lists. */
typedef void nl_tile_place_fn(int i, int m, int j, int n, void *context);

/** Tiles on and below the diagonal, those over a column from top to bottom.  What straddles the
 *  diagonal is cut down to small tiles, so that little above it is made.  Local. */
void nl_for_each_lower_tile(const nl_tile_walk *walk, nl_tile_place_fn *make, void *context);

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

/** The same of a matrix in single precision, by pieces that stay in cache; it can be left.
 *
 *  @return NL_STOPPED, on every rank, where it was interrupted */
NL_MUST_CHECK nl_status nl_dmat_multiply_pieces(const nl_dmat *a, int columns, const double *x,
                                                double *y, const nl_interrupt *interrupt);

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

/** How many of the first n indices a process row (column) holds. */
int nl_local_extent(int n, int nb, int process, int processes);

/** Sum over ranks, in their order, in place on every rank, the same bits on each.  Every rank adds
 *  up a slice.  Collective.
 *
 *  @param scratch  nl_add_up_scratch() elements */
void nl_add_up(MPI_Comm comm, nl_precision precision, void *values, int count, void *scratch);
double nl_add_up_scratch(double count, int ranks);

/** Is this the rank that speaks for its grid?  What all ranks find alike is told once. */
bool nl_grid_root(const nl_grid *grid);

#endif
