/** @file kernel_operator.h  A kernel as an operator, whose products with vectors need no matrix. */
#ifndef NTKLENS_KERNEL_OPERATOR_H
#define NTKLENS_KERNEL_OPERATOR_H

#include "ntklens/gradients.h"

/** Opaque.  J R J^T of a full or class kernel, or R^1/2 J^T J R^1/2, which has the same nonzero
 *  eigenvalues: whichever has the smaller order.  Samples are shared by the ranks of a grid.
 *  Borrows what nl_gradients does. */
typedef struct nl_kernel_operator nl_kernel_operator;

/** The smaller of both orders. */
double nl_kernel_operator_size(const nl_net *net, nl_kernel_spec spec, int samples);

/** Operations of a product with one vector. */
double nl_kernel_operator_flops(const nl_net *net, nl_kernel_spec spec, int samples);

/** Bytes on each of `ranks`, vectors not counted, where factors take no more than `held`. */
double nl_kernel_operator_bytes(const nl_net *net, int samples, int ranks, double held);

/**
 * @param[in] held  bytes that factors of this rank's samples may take; where they do not fit they
 *                  are made anew for each product with a block of vectors
 */
NL_MUST_CHECK nl_status nl_kernel_operator_create(const nl_gradients *g, double held,
                                                  nl_kernel_operator **out);
void nl_kernel_operator_destroy(nl_kernel_operator **op);

int nl_kernel_operator_order(const nl_kernel_operator *op);

/** Columns of a product at most. */
enum { nl_kernel_operator_columns = 16 };

/** Y = A X [order x columns], column-major; single precision for chains of dense layers, else
 *  double.  Sums over ranks in their order.  Collective; the same bits on every rank.  As
 *  nl_block_operator_fn, context: the operator. */
NL_MUST_CHECK nl_status nl_kernel_operator_apply(int columns, const double *x, double *y,
                                                 void *context);

#endif
