/** @file chunks.h  Parameters in pieces, for kernels that are added up piece by piece.  Local. */
#ifndef NTKLENS_NTK_CHUNKS_H
#define NTKLENS_NTK_CHUNKS_H

#include "kernel_view.h"

/** A piece of the parameters, and what is held of each sample for its products. */
typedef struct nl_chunk {
    int layer;
    bool gram;                  /* a dense layer, by Gram matrices of activations and back-signals;
                                   else rows of the Jacobian */
    int first, units;           /* of the layer */
    size_t in_size, delta_size; /* numbers of a sample: activations and back-signals, or rows of J
                                   [seeds x parameters] and none */
    void *in[2], *delta[2];     /* of the samples of rows, and of columns, while it is held; the
                                   same where those are the same */
} nl_chunk;

/** All parameters from the output layer down: a function of shapes and the kernel's order alone.
 *
 *  @param[out] chunk  [*chunks], the caller's to free */
NL_MUST_CHECK nl_status nl_chunks_create(const nl_net *net, const nl_kernel_view *view, int order,
                                         nl_chunk **chunk, int *chunks);

/** How many chunks, at least one, hold no more than so many numbers of a sample together. */
int nl_chunks_that_fit(const nl_chunk *chunk, int chunks, double numbers);

/** Parameters of the largest chunk that is held as rows of J. */
size_t nl_chunks_largest(const nl_chunk *chunk, int chunks);

#endif
