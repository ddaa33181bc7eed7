/** @file kernel_work.h  Operations of fills of networks that are no chains of dense layers.  Pure.
 */
#ifndef NTKLENS_NTK_KERNEL_WORK_H
#define NTKLENS_NTK_KERNEL_WORK_H

#include "ntklens/ntk.h"

/** Of the fill on one rank, in one part. */
double nl_parts_flops(const nl_net *net, nl_kernel_spec spec, int samples);

/** nl_kernel_fill_work() of such a network. */
nl_fill_work nl_parts_work(const nl_net *net, const nl_fill_terms *terms);

#endif
