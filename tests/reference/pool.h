/** @file pool.h  Pools by their definition, in double. */
#ifndef NTKLENS_TESTS_REFERENCE_POOL_H
#define NTKLENS_TESTS_REFERENCE_POOL_H

#include "ntklens/nn.h"

/** Windows of side x side, side by side; out [samples x in / side] of x [samples x in]; delta of
 *  out, below of x.  maximum: else the mean. */
void reference_pool(bool maximum, nl_shape in, int side, int samples, const double *x, double *out,
                    const double *delta, double *below);

#endif
