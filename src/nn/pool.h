/**
 * @file pool.h  Pools of square windows side by side, forward and backward, in double and in single
 * precision.
 *
 * Samples lie channels last, [height x width x channels], one after the other.  Rows and columns
 * that fill no window are dropped, as PyTorch does.
 */
#ifndef NTKLENS_NN_POOL_H
#define NTKLENS_NN_POOL_H

#include "ntklens/nn.h"

/** Shape behind a pool of windows of `side` x `side`. */
nl_shape nl_pool_shape(nl_shape in, int side);

/** Means over windows: out [samples x nl_pool_shape()].  A window as large as the image: global
 *  average.  Local. */
void nl_average_pool_double(nl_shape in, int side, int samples, const double *x, double *out);
void nl_average_pool_single(nl_shape in, int side, int samples, const float *x, float *out);

/** below [samples x in] = d loss / d x from delta = d loss / d out.  Local. */
void nl_average_pool_back_double(nl_shape in, int side, int samples, const double *delta,
                                 double *below);
void nl_average_pool_back_single(nl_shape in, int side, int samples, const float *delta,
                                 float *below);

/** The same, but zero where h [in], which all samples share, is not positive.  Local. */
void nl_average_pool_back_relu_double(nl_shape in, int side, int samples, const double *h,
                                      const double *delta, double *below);
void nl_average_pool_back_relu_single(nl_shape in, int side, int samples, const float *h,
                                      const float *delta, float *below);

/** Maxima over windows; the first of equal ones wins, by row, then column; a NaN wins.
 *
 *  @param[out] winner  [samples x out] place of the maximum in its window; side <= 16 */
void nl_max_pool_double(nl_shape in, int side, int samples, const double *x, double *out,
                        uint8_t *winner);
void nl_max_pool_single(nl_shape in, int side, int samples, const float *x, float *out,
                        uint8_t *winner);

/** As nl_average_pool_back_double(): delta goes to the winners. */
void nl_max_pool_back_double(nl_shape in, int side, int samples, const uint8_t *winner,
                             const double *delta, double *below);
void nl_max_pool_back_single(nl_shape in, int side, int samples, const uint8_t *winner,
                             const float *delta, float *below);

#endif
