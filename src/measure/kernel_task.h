/** @file kernel_task.h  A kernel in work, and what is known of it once it was checked. */
#ifndef NTKLENS_MEASURE_KERNEL_TASK_H
#define NTKLENS_MEASURE_KERNEL_TASK_H

#include "ntklens/measure.h"

/** Kernels of the first samples of the probe whose ranks are told beside that of the whole. */
enum { nl_probe_parts = 2 };

/** Of a kernel that was checked.  Whoever fills it again gets the same moments to the last bit;
 *  parts of it are filled by other tiles, and agree to rounding. */
typedef struct nl_checked {
    bool known;
    double trace, frobenius2;
    double form[nl_probe_parts]; /* v^T Theta v of its first samples (part_forms.h); NaN: unknown */
} nl_checked;

/** A kernel in work.  All borrowed. */
typedef struct nl_kernel_task {
    nl_measurer *measurer;
    int kernel; /* index in the plan */
    nl_kernel_spec spec;
    nl_measurement *out;
    nl_checked *checked;
} nl_kernel_task;

#endif
