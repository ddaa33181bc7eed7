/** @file slices.h  Vectors of which each rank has a slice. */
#ifndef NTKLENS_EIGEN_SLICES_H
#define NTKLENS_EIGEN_SLICES_H

#include "ntklens/base.h"

#include <mpi.h>

/** How vectors of n elements lie: rows first .. first + own on this rank.  Columns of a rank's part
 *  lie `lead` apart. */
typedef struct nl_slices {
    MPI_Comm comm; /* borrowed */
    int n, ranks, first, own, lead;
    int *count, *start; /* owned; [ranks] */
    double *scratch;    /* owned; of sums */
} nl_slices;

/** Local. */
NL_MUST_CHECK nl_status nl_slices_create(MPI_Comm comm, int n, nl_slices *out);
void nl_slices_free(nl_slices *s);

/** Sum over the ranks in their order, in place: the same bits on every rank.  Collective. */
void nl_slices_sum(const nl_slices *s, int count, double *values);

/** |x|^2 of each of `columns` vectors [lead x columns].  Collective. */
void nl_slices_squares(const nl_slices *s, int columns, const double *x, double *square);

/** All of some vectors [n x columns] from the slices [lead x columns] of all ranks; and a rank's
 *  slices of them.  Collective; local. */
void nl_slices_gather(const nl_slices *s, int columns, const double *x, double *all);
void nl_slices_take(const nl_slices *s, int columns, const double *all, double *x);

#endif
