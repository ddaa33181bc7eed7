/** @file convolution.h  Convolution by its definition, in double: what the fast code is tested
 *  against.  Seven plain loops; shares the shapes with the program, nothing else. */
#ifndef NTKLENS_TESTS_REFERENCE_CONVOLUTION_H
#define NTKLENS_TESTS_REFERENCE_CONVOLUTION_H

#include "ntklens/nn.h"

/** Zero padding kernel / 2; channels last; weights [kernel x kernel x in x out]. */
typedef struct reference_convolution {
    nl_shape in, out;
    int kernel, stride;
} reference_convolution;

/** z [samples x out] of x [samples x in]. */
void reference_convolve(const reference_convolution *shape, int samples, const double *w,
                        const double *x, double *z);

/** below [samples x in] and g [weights], summed over samples, from delta [samples x out]. */
void reference_convolve_back(const reference_convolution *shape, int samples, const double *w,
                             const double *x, const double *delta, double *below, double *g);

#endif
