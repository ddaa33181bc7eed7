/** @file output_passes.h  Passes over a probe with a back-signal for each output, a few samples at
 * a time: what kernels and traces are made of where networks are no chains of dense layers.  Local.
 */
#ifndef NTKLENS_NTK_OUTPUT_PASSES_H
#define NTKLENS_NTK_OUTPUT_PASSES_H

#include "kernel_view.h"

#include "ntklens/passes.h"

typedef struct nl_output_passes {
    nl_passes *passes; /* owned; forward in double whatever the precision */
    int batch;         /* samples that go through at a time */
    void *signal;      /* owned; [batch x seeds x outputs] d f_a / d f */
} nl_output_passes;

/** Bytes for so many samples. */
double nl_output_passes_bytes(const nl_net *net, nl_precision precision, const nl_kernel_view *view,
                              double samples);

/** Of the outputs that a kernel looks at, of at most so many samples.  Free with
 *  nl_output_passes_free(), also where it failed. */
NL_MUST_CHECK nl_status nl_output_passes_create(const nl_kernel_input *input,
                                                nl_precision precision, const nl_kernel_view *view,
                                                int samples, nl_output_passes *out);
void nl_output_passes_free(nl_output_passes *passes);

#endif
