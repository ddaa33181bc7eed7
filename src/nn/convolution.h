/**
 * @file convolution.h  Convolution: forward, backward, gradient, in double and in single precision.
 *
 * Samples lie channels last, [height x width x channels], one after the other; weights
 * [kernel x kernel x in.channels x out.channels] (HWIO).  Zero padding kernel / 2, so that stride 1
 * keeps height and width.
 *
 * By its definition, or, 3 x 3 taps of many channels, by tiles of 2 x 2 outputs that take less than
 * half of the multiplications (convolution_tiles_real.h); shapes of one sample alone say which.
 *
 * Sums are made in one order whatever the width of the vectors and the number of samples: of an
 * output over (tap row, tap column, input channel), of a gradient over (sample, row, column), of
 * tiles over channels, over tiles.  Widths that have fused multiply-add, 32 and 64 bytes, give the
 * same bits.
 */
#ifndef NTKLENS_NN_CONVOLUTION_H
#define NTKLENS_NN_CONVOLUTION_H

#include "ntklens/nn.h"

typedef struct nl_convolution {
    nl_shape in, out;
    int kernel;       /* odd */
    int stride;       /* >= 1 */
    int vector_bytes; /* 16; 32: AVX2 and FMA; 64: AVX-512 */
} nl_convolution;

/** The convolution of `in` to so many channels. */
nl_convolution nl_convolution_of(nl_shape in, int channels, int kernel, int stride,
                                 int vector_bytes);

/** Elements of scratch that each of the functions below needs. */
size_t nl_convolution_scratch(const nl_convolution *convolution);

/** Which way samples go through. */
typedef enum nl_way_through { NL_FORWARD, NL_BACKWARD } nl_way_through;

/** Elements of weights packed for either way. */
size_t nl_convolution_packed(const nl_convolution *convolution);

/** packed [nl_convolution_packed()]: w [kernel x kernel x in.channels x out.channels] as
 *  nl_convolution_pass_*() of a way reads it.  Local. */
void nl_convolution_pack_double(const nl_convolution *convolution, nl_way_through way,
                                const double *w, double *packed, double *scratch);
void nl_convolution_pack_single(const nl_convolution *convolution, nl_way_through way,
                                const float *w, float *packed, float *scratch);

/** What becomes of results z before they are stored: scale z + shift bias, with relu on that, or
 *  zero where a mask is not positive.  Borrowed. */
typedef struct nl_ending {
    double scale, shift;
    const void *bias; /* [channels of the results] */
    bool relu;
    const void *mask; /* [samples / repeats x results]; NULL: none */
    int repeats;      /* samples one after the other that share a mask */
} nl_ending;

/** Samples on their way through. */
typedef struct nl_convolving {
    nl_way_through way;
    int samples;
    const void *packed;
    nl_ending ending;
    void *scratch;
} nl_convolving;

/** Forward: to [samples x out] = from [samples x in] * w.  Backward: to [samples x in] = d loss / d
 *  in of from [samples x out] = d loss / d out.  Local. */
void nl_convolution_pass_double(const nl_convolution *convolution, const nl_convolving *job,
                                const double *from, double *to);
void nl_convolution_pass_single(const nl_convolution *convolution, const nl_convolving *job,
                                const float *from, float *to);

/** Output channels first .. first + count. */
typedef struct nl_channels {
    int first, count;
} nl_channels;

/** Which gradients are asked for. */
typedef struct nl_gradient_range {
    int samples;
    int deltas; /* of each sample */
    nl_channels channels;
    size_t apart; /* 0: one gradient, summed over all deltas; else one for each, so many elements
                     apart */
    void *sums;   /* [channels] of delta over pixels, summed and apart as the gradients */
} nl_gradient_range;

/** g [kernel x kernel x in.channels x channels] = d loss / d w from delta [samples x deltas x out].
 *  Local. */
void nl_convolution_gradient_double(const nl_convolution *convolution,
                                    const nl_gradient_range *range, const double *x,
                                    const double *delta, double *g, double *scratch);
void nl_convolution_gradient_single(const nl_convolution *convolution,
                                    const nl_gradient_range *range, const float *x,
                                    const float *delta, float *g, float *scratch);

#endif
