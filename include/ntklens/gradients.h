/** @file gradients.h  Products of a few vectors with the Jacobian of a whole probe, its samples
 * shared by the ranks of a grid.  Neither factors nor a kernel have a part in it. */
#ifndef NTKLENS_GRADIENTS_H
#define NTKLENS_GRADIENTS_H

#include "ntklens/ntk.h"

/** Which rows J has, and how its columns are weighted: R are the layers' rates where the kernel is
 *  rate-weighted, else ones. */
typedef struct nl_gradients {
    const nl_grid *grid;          /* borrowed */
    const nl_kernel_input *input; /* borrowed */
    nl_kernel_spec spec;          /* full or class */
} nl_gradients;

/** This rank's samples, first .. first + count.  Local. */
void nl_gradients_share(const nl_gradients *g, int *first, int *count);

/** Bytes of a rank whose share are so many samples. */
double nl_gradients_bytes(const nl_net *net, int share);

/** Samples whose activations are held at a time, of `samples`: as many as fit into 256 MiB, 1024 at
 *  most.  Pure. */
int nl_gradients_panel(const nl_net *net, int samples);

/** Multiply w [net->size] by R^1/2.  Local. */
void nl_gradients_weigh(const nl_gradients *g, double *w);

/**
 * w = R^1/2 J^T x, column by column.  Collective over the grid; the same bits on every rank.
 *
 * @param[in]  x  (global) [n x columns], n the order of the kernel
 * @param[out] w  (local) [net->size x columns], laid out as the parameters
 */
NL_MUST_CHECK nl_status nl_gradients_transposed(const nl_gradients *g, int columns, const double *x,
                                                double *w);

/** |J R^1/2 w|^2 of each column.  Collective over the grid; the same bits on every rank.
 *
 *  @param[in]  w       (global) [net->size x columns]
 *  @param[out] square  [columns] */
NL_MUST_CHECK nl_status nl_gradients_squares(const nl_gradients *g, int columns, const double *w,
                                             double *square);

/** Y = R^1/2 J^T J R^1/2 X, of any network, in double; all [net->size x columns].  Collective over
 *  the grid; the same bits on every rank. */
NL_MUST_CHECK nl_status nl_gradients_normal(const nl_gradients *g, int columns, const double *x,
                                            double *y);

#endif
