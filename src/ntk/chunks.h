/** @file chunks.h  Parameters in pieces, for kernels that are added up piece by piece.  Local. */
#ifndef NTKLENS_NTK_CHUNKS_H
#define NTKLENS_NTK_CHUNKS_H

#include "kernel_view.h"

/** How products of gradients are made. */
typedef enum nl_way {
    NL_WAY_GRAM,  /* dense: Gram matrices of activations and of back-signals */
    NL_WAY_ROWS,  /* rows of the Jacobian */
    NL_WAY_JOINED /* joined.h: one row a sample, and the average's back-signals */
} nl_way;

/** A piece of the parameters, and what is held of each sample for its products. */
typedef struct nl_chunk {
    int layer;
    nl_way way;
    int first, units;       /* of the layer */
    int lowest;             /* layer down to which back-signals are needed */
    size_t columns;         /* parameters */
    size_t in_size;         /* numbers of a sample: gram: activations; rows: [seeds x columns];
                               joined: M [units x parameters of a unit] */
    size_t delta_size;      /* gram: back-signals [seeds x units]; joined: u [units x seeds] */
    void *in[2], *delta[2]; /* of the samples of rows, and of columns, while it is held; the same
                               where those are the same */
} nl_chunk;

/** All parameters from the output layer down: a function of shapes and the kernel's order alone.
 *
 *  @param[out] chunk  [*chunks], the caller's to free */
NL_MUST_CHECK nl_status nl_chunks_create(const nl_net *net, const nl_kernel_view *view, int order,
                                         nl_chunk **chunk, int *chunks);

/** Are the chunks of kernels of these orders the same?  Pure. */
bool nl_chunks_same(const nl_net *net, int order, int other);

/** How many chunks, at least one, hold no more than so many numbers of a sample together. */
int nl_chunks_that_fit(const nl_chunk *chunk, int chunks, double numbers);

/** Layer down to which some chunks, at least one, need back-signals. */
int nl_chunks_lowest(const nl_chunk *chunk, int chunks);

/** Parameters of the largest chunk that goes the joined way; 0: none does. */
size_t nl_chunks_joined_columns(const nl_chunk *chunk, int chunks);

/** Units of the largest chunk that goes the joined way; 0: none does. */
size_t nl_chunks_joined_units(const nl_chunk *chunk, int chunks);

#endif
