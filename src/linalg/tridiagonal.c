/** @file tridiagonal.c  A symmetric band matrix to a tridiagonal one with the same eigenvalues, and
 * these.
 *
 * The second stage of two (Bischof, Lang, Sun 2000): sweep after sweep clears a column and chases
 * what that adds to the band off its end.  LAPACK's dsytrd_sb2st does the same by a call of BLAS
 * for each vector of 32 to 64 elements and takes about four times as long, which at n = 1500 was a
 * third of the whole solve.
 *
 * Eigenvalues by bisection, many at a time in vectors: dsterf's chain of dependent divisions takes
 * three times as long in double, more in single precision. */
#include "solver.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline)) /* into the clones of sweep_... */

enum {
    vector_bytes = 64,
    most_parts = nl_wide_parts, /* vectors of a column of a block */
    longest = most_parts * vector_bytes / (int)sizeof(float),
    sweeps_at_once = 8,
    points = 4, /* vectors of x that are counted at once */
    grid_points = 512,
    wide_band = 3000 /* from this order the band is the wide one */
};

#define real       double
#define integer    int64_t
#define NAME(name) name##_double
#include "tridiagonal_real.h"

#include "bisection_real.h"
#undef real
#undef integer
#undef NAME

#define real       float
#define integer    int32_t
#define NAME(name) name##_single
#include "tridiagonal_real.h"

#include "bisection_real.h"
#undef real
#undef integer
#undef NAME

int nl_band_width(int n, nl_precision precision)
{
    return (n >= wide_band ? nl_wide_parts : nl_narrow_parts) * vector_bytes /
           (int)nl_precision_bytes(precision);
}

void nl_band_to_tridiagonal(int n, int b, nl_precision precision, void *band, void *diagonal,
                            void *off_diagonal)
{
    if (precision == NL_DOUBLE) {
        reduce_double(n, b, band, diagonal, off_diagonal);
    } else {
        reduce_single(n, b, band, diagonal, off_diagonal);
    }
}

void nl_tridiagonal_eigenvalues(int n, nl_precision precision, void *diagonal, void *off_diagonal,
                                void *ascending)
{
    if (precision == NL_DOUBLE) {
        eigenvalues_double(n, diagonal, off_diagonal, ascending);
    } else {
        eigenvalues_single(n, diagonal, off_diagonal, ascending);
    }
}
