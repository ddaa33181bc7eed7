/** @file kernel_view.h  How a kernel looks at the outputs of a network.  Pure. */
#ifndef NTKLENS_NTK_KERNEL_VIEW_H
#define NTKLENS_NTK_KERNEL_VIEW_H

#include "ntklens/ntk.h"

typedef struct nl_kernel_view {
    int outputs;         /* C of the network */
    int rows_per_sample; /* C: full; 1: traced, class */
    int outputs_summed;  /* outputs that make one row: 1: full, class; C: traced */
    int output;          /* first output: class */
    double scale;        /* 1/C: traced (a mean over outputs); 1 */
} nl_kernel_view;

nl_kernel_view nl_kernel_view_of(nl_kernel_spec spec, int outputs);

/** Back-signals of a sample that it takes: C, or one output's. */
int nl_kernel_view_seeds(const nl_kernel_view *view);

#endif
