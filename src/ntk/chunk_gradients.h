/**
 * @file chunk_gradients.h  Gradients of some samples, chunk by chunk of the parameters.  Local.
 *
 * What tiles of kernels, traces of layers and checks are made of where networks are no chains of
 * dense layers.  The chunks that the memory given holds make a part, for which passes over the
 * samples are made anew.
 */
#ifndef NTKLENS_NTK_CHUNK_GRADIENTS_H
#define NTKLENS_NTK_CHUNK_GRADIENTS_H

#include "chunks.h"
#include "output_passes.h"
#include "samples.h"

struct nl_chunk_gradients {
    const nl_net *net; /* borrowed */
    nl_precision precision;
    nl_kernel_view view;
    bool rate_weighted;
    int order;       /* of the kernel whose chunks these are */
    int seeds;       /* nl_kernel_view_seeds() */
    int *list;       /* owned; [count] the samples, in rising order */
    int *place[2];   /* owned; [count] which row, which column of a kernel a sample has; -1: none */
    int count;       /* of samples */
    int places[2];   /* rows, columns */
    bool square;     /* they are the same samples */
    nl_chunk *chunk; /* owned; [chunks] */
    int chunks;
    nl_output_passes by_output; /* owned */
    double *outputs;            /* owned; [count x outputs] f, once a part was made */
    void *row;                  /* owned; M before it is turned */
    double *mask;               /* owned; of one sample, joined.h */
    void *rounded;              /* owned; the mask in the format of the gradients */
    int first;                  /* in the list, of the samples that go through now */
    int part, held;             /* first of the chunks that are held, and how many are */
    nl_kept_memory memory;      /* owned; of nl_kernel_gradients() */
};

/** Of the samples of a matrix's local rows and columns.  Nothing is held yet.
 *
 *  @param[in]  order    of the kernel
 *  @param[out] out      NULL on failure */
NL_MUST_CHECK nl_status nl_chunk_gradients_open(const nl_kernel_input *input, nl_kernel_spec spec,
                                                nl_precision precision, int order,
                                                const nl_local_samples *samples,
                                                nl_chunk_gradients **out);

/** Of all samples of the probe and all outputs. */
NL_MUST_CHECK nl_status nl_chunk_gradients_open_all(const nl_kernel_input *input,
                                                    nl_precision precision,
                                                    nl_chunk_gradients **out);

/** Hold as many chunks from `first` on as fit into panel_bytes, at least one.
 *
 *  @param memory  where
 *  @return NL_STOPPED where the input's interrupt asks for it */
NL_MUST_CHECK nl_status nl_chunk_gradients_hold(nl_chunk_gradients *g, int first,
                                                const nl_kernel_input *input,
                                                nl_kept_memory *memory);

/** Are these the gradients that such a fill would make?  Pure. */
bool nl_chunk_gradients_serve(const nl_chunk_gradients *g, nl_kernel_spec spec,
                              nl_precision precision, int order, int samples);

/** From now on of the samples first .. first + count of the probe, no more than it was opened for;
 *  nothing is held. */
void nl_chunk_gradients_move(nl_chunk_gradients *g, int first, int count);

/** Bytes of what is held of the largest part of a kernel with a row for each output. */
double nl_chunk_gradients_bytes(const nl_net *net, nl_precision precision, int order,
                                double samples, double panel_bytes);

/** Squared gradients by weights and by biases, of each output, summed over the samples in their
 *  order: those of the chunks that are held are added to [chunks x outputs]. */
void nl_chunk_gradients_add_traces(const nl_chunk_gradients *g, double *weights, double *biases);

/** Squares of sums of gradients g_i^a. */
typedef struct nl_gradient_squares {
    double whole;     /* |sum_ia w_ia g_i^a|^2 */
    double by_output; /* mean over outputs of |sum_i u_i g_i^a|^2 */
} nl_gradient_squares;

/** All chunks are held.
 *
 *  @param[in] w  [count x outputs]
 *  @param[in] u  [count] */
NL_MUST_CHECK nl_status nl_chunk_gradients_square(const nl_chunk_gradients *g, const double *w,
                                                  const double *u, nl_gradient_squares *out);

#endif
