/** @file tridiagonal.h  From a band to a tridiagonal matrix to its eigenvalues, on one rank. */
#ifndef NTKLENS_EIGEN_TRIDIAGONAL_H
#define NTKLENS_EIGEN_TRIDIAGONAL_H

#include "ntklens/linalg.h"

/** Bytes of a column of the band below the diagonal: whole vectors. */
enum { nl_narrow_band = 128, nl_wide_band = 192 };

/** Off-diagonals of the band by way of which a matrix of order n is solved: 16 or, from n = 3000,
 *  24; in single precision 32 or, from n = 5000, 48. */
int nl_band_width(int n, nl_precision precision);

/**
 * A tridiagonal matrix with the eigenvalues of a symmetric band matrix.  Local.
 *
 * @param[in] vectors  to work with; no wider than the CPU's
 * @param[in] b        nl_band_width()
 * @param     band     [3 b x (n + 2 b)], column-major: element (i, j) of the lower half in row
 *                     b + i - j of column j, zero elsewhere, in the last 2 b columns too; destroyed
 * @param[out] diagonal, off_diagonal  [n]; the last off-diagonal element is none
 */
void nl_band_to_tridiagonal(nl_vectors vectors, int n, int b, nl_precision precision, void *band,
                            void *diagonal, void *off_diagonal);

/** All eigenvalues of a symmetric tridiagonal matrix, to a few eps of its norm, by bisection.
 *  Local.
 *
 *  @param[in] vectors                 as above
 *  @param     diagonal, off_diagonal  [n]; destroyed
 *  @param[out] ascending               [n] */
void nl_tridiagonal_eigenvalues(nl_vectors vectors, int n, nl_precision precision, void *diagonal,
                                void *off_diagonal, void *ascending);

#endif
