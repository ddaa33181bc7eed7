/** @file network.h  Any network by the definition of its layers, in double, one sample at a time;
 *  shares the list of layers with the program, nothing else. */
#ifndef NTKLENS_TESTS_REFERENCE_NETWORK_H
#define NTKLENS_TESTS_REFERENCE_NETWORK_H

#include "ntklens/nn.h"

/** f [outputs] of x [inputs], planes as data has them. */
void reference_outputs(const nl_net *net, const double *theta, const float *x, double *f);

/** J [outputs x net->size] by central differences: some 1e-9 of the largest entry. */
void reference_network_jacobian(const nl_net *net, const double *theta, const float *x,
                                double *jacobian);

#endif
