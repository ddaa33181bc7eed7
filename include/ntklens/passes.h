/**
 * @file passes.h  Forward, backward and tangent passes of any network, sample by sample.  No MPI,
 * no files: all Local.
 *
 * Activations and back-signals lie [rows x height x width x channels], in the precision of the
 * passes, a multiple of 64 bytes behind where they begin.  Parameters and what is laid out as they:
 * nn.h.
 */
#ifndef NTKLENS_PASSES_H
#define NTKLENS_PASSES_H

#include "ntklens/blas.h"
#include "ntklens/nn.h"

/** Opaque.  Holds what a forward pass leaves of its samples. */
typedef struct nl_passes nl_passes;

/** What they are made for. */
typedef struct nl_passes_spec {
    nl_precision precision;
    int rows;            /* most samples */
    int seeds;           /* back-signals of a sample; 0: forward only */
    bool tangents;       /* nl_passes_tangent() is wanted, too */
    bool double_forward; /* single precision, but the forward pass in double: a unit of relu next to
                            its kink is on the same side in either */
} nl_passes_spec;

/** Bytes of each row, and beside rows. */
double nl_passes_bytes(const nl_net *net, const nl_passes_spec *spec);
double nl_passes_fixed_bytes(const nl_net *net, const nl_passes_spec *spec);

/** Rows that fit into so many bytes, at least one, at most spec->rows. */
int nl_passes_rows_within(const nl_net *net, const nl_passes_spec *spec, double bytes);

/** Bytes of samples that go through at a time where not all have to be there at once: caches have
 *  room for them. */
enum { nl_passes_batch_bytes = 4000000 };

/** @param[in] net  borrowed */
NL_MUST_CHECK nl_status nl_passes_create(const nl_net *net, const nl_passes_spec *spec,
                                         nl_passes **out);
void nl_passes_destroy(nl_passes **passes);

/** theta [net->size]: copied in double, borrowed in single precision. */
void nl_passes_set_parameters(nl_passes *passes, const float *theta);

/**
 * f of some samples.
 *
 * @param[in] x     [any x inputs] as data has them, planes [channels x height x width]
 * @param[in] list  [rows] rows of x to take; NULL: the first ones
 */
void nl_passes_forward(nl_passes *passes, int rows, const float *x, const int *list);

/** f of the last forward pass, [rows x outputs]. */
const void *nl_passes_outputs(const nl_passes *passes);

/** The same in double; of passes whose forward pass is. */
const double *nl_passes_exact_outputs(const nl_passes *passes);

/** What layer l took in it, [rows x in]. */
const void *nl_passes_input(const nl_passes *passes, int l);

/** phi' of the output of a layer that activates, [rows x out]; of passes whose forward pass is in
 *  double. */
const double *nl_passes_slope(const nl_passes *passes, int l);

/** Back-signals of layer l, delta [rows x seeds x out]; valid during the call. */
typedef void nl_layer_signal_fn(int l, const void *delta, void *context);

/**
 * From back-signals of the outputs down.  Every layer is handed out, when its back-signals are
 * complete and those of the layers that it takes from are made.
 *
 * @param[in] signal  [rows x seeds x outputs] d loss / d f
 * @param[in] lowest  the last layer that is wanted
 */
void nl_passes_backward(nl_passes *passes, const void *signal, int lowest, nl_layer_signal_fn *take,
                        void *context);

/** Gradient of layer l, summed over the samples first .. first + rows of one seed each: delta
 *  [rows x out]; weights and biases laid out as the parameters. */
void nl_passes_gradient(nl_passes *passes, int l, int first, int rows, const void *delta,
                        void *weights, void *biases);

/** Units first .. first + count of a layer, for some back-signals; gradients `apart` elements
 * apart.
 */
typedef struct nl_row_range {
    int deltas;
    int first, count;
    size_t apart;
} nl_row_range;

/** Rows of J: the gradients of one sample, delta [deltas x out], by some units of a convolution or
 *  norm: weights [fan_in x count], biases [count] (zeros where they are not
 *  trained). */
void nl_passes_rows(nl_passes *passes, int l, int sample, const nl_row_range *range,
                    const void *delta, void *g);

/**
 * J w: what the outputs of the last forward pass change along a direction of the parameters.
 *
 * @param[in]  direction  [net->size] in the precision of the passes
 * @param[out] out        [rows x outputs]
 */
void nl_passes_tangent(nl_passes *passes, const void *direction, void *out);

#endif
