/** @file trust.c  Filled kernels, held against the Jacobian of their network. */
#include "chunk_gradients.h"

#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <limits.h>
#include <stdlib.h>

struct nl_trust {
    const nl_grid *grid;   /* borrowed */
    nl_kernel_input input; /* arrays borrowed */
    int first, count;      /* window: the samples that are checked */
    int own_first, own;    /* of these, this rank's */
    nl_jacobian *jacobian; /* owned; of this rank's samples */
    double signs;          /* |J^T v|^2 of the full kernel's vector; NaN: not made yet */
};

/* Products in a sum by which convolutions and norms enter an entry. */
static double products_of(const nl_net *net, nl_kernel_spec spec)
{
    double products = 0.0;

    for (int l = 0; l < net->layers; l++) {
        products += net->layer[l].kind == NL_DENSE ? 0.0 : (double)nl_layer_weights(&net->layer[l]);
    }
    return products * (spec.kind == NL_KERNEL_TRACED ? net->spec.outputs : 1.0);
}

nl_rounding nl_rounding_of(const nl_net *net, nl_kernel_spec spec, double rows)
{
    nl_rounding r = {.trace = 32.0 + 3.0 * sqrt(rows) + sqrt(products_of(net, spec)) / 8.0};

    for (int l = 0; l < net->layers; l++) {
        if (net->layer[l].fan_out == 0) {
            continue;
        }
        r.form += 8.0 * sqrt((double)net->layer[l].fan_in / net->layer[l].fan_out);
    }
    return r;
}

/* Samples of the window, and this rank's share of them. */
static void choose_window(nl_trust *t)
{
    const nl_grid *grid = t->grid;
    const int ranks = grid->rows * grid->cols;
    const int rank = grid->row * grid->cols + grid->col;
    const double fitting = t->input.panel_bytes / nl_jacobian_bytes(t->input.net) * ranks;
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_CHECK, (uint32_t)t->input.samples, 1, 0);

    t->count = fitting < t->input.samples ? nl_larger((int)fitting, 1) : t->input.samples;
    t->first = (int)nl_rng_below(&rng, (uint32_t)(t->input.samples - t->count + 1));
    t->own_first = nl_share_begin(t->count, rank, ranks);
    t->own = nl_share_begin(t->count, rank + 1, ranks) - t->own_first;
    t->own_first += t->first;
}

nl_status nl_trust_create(const nl_grid *grid, const nl_kernel_input *input, nl_trust **out)
{
    nl_trust *t = calloc(1, sizeof *t);
    nl_status status = NL_OK;

    if (t == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a check of kernels");
    } else {
        *t = (nl_trust){.grid = grid, .input = *input, .signs = NAN};
        choose_window(t);
        status = nl_jacobian_create_lean(input->net, input->theta,
                                         input->probe +
                                             (size_t)t->own_first * (size_t)input->net->spec.inputs,
                                         t->own, &t->jacobian);
    }
    status = nl_agree(grid->comm, status);
    if (status != NL_OK) {
        nl_trust_destroy(&t);
    }
    *out = t;
    return status;
}

void nl_trust_destroy(nl_trust **trust)
{
    if (*trust != NULL) {
        nl_jacobian_destroy(&(*trust)->jacobian);
        free(*trust);
        *trust = NULL;
    }
}

double nl_trust_bytes(const nl_trust *trust)
{
    return nl_jacobian_lean_bytes(trust->input.net, trust->own);
}

double nl_trust_most_bytes(const nl_net *net, int samples, int ranks, double panel_bytes)
{
    const double sample = nl_jacobian_bytes(net);
    const double own = fmin(ceil((double)samples / ranks), fmax(panel_bytes / sample, 1.0));

    return nl_jacobian_lean_bytes(net, (int)own);
}

void nl_trust_vector(const nl_trust *t, nl_kernel_spec spec, double *v)
{
    const int order = nl_kernel_order(spec, t->input.samples, t->input.net->spec.outputs);
    const int unit = order / t->input.samples;
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_CHECK, (uint32_t)order, 0, 0);

    for (int row = 0; row < order; row++) {
        const int sample = row / unit;
        const double sign = nl_rng_sign(&rng);

        v[row] = sample >= t->first && sample < t->first + t->count ? sign : 0.0;
    }
}

/*---------------------------------------------------------------------------------------------
 * Without the kernel
 *-------------------------------------------------------------------------------------------*/

/** |J^T v|^2 over the ranks of a grid. */
typedef struct grid_norm {
    const nl_grid *grid;
    nl_jacobian_norm norm;
} grid_norm;

static nl_status add_over_ranks(int l, int first, int rows, double *weights, double *biases,
                                void *context)
{
    grid_norm *sum = context;
    const int count = rows * sum->norm.net->layer[l].fan_in; /* a piece: no more than its size */
    nl_status status = nl_grid_sum(sum->grid, weights, count);

    if (status == NL_OK) {
        status = nl_grid_sum(sum->grid, biases, rows);
    }
    return status == NL_OK ? nl_jacobian_add_squares(l, first, rows, weights, biases, &sum->norm)
                           : status;
}

static bool alone(const nl_trust *t)
{
    return t->grid->rows * t->grid->cols == 1;
}

/* |J^T seeds|^2 of this rank's seeds [own x outputs], over all ranks. */
static nl_status square_of(const nl_trust *t, const double *seeds, bool rate_weighted,
                           double *square)
{
    grid_norm sum = {.grid = t->grid,
                     .norm = {.net = t->input.net, .rate_weighted = rate_weighted}};
    nl_status status = NL_OK;

    if (alone(t)) {
        return nl_jacobian_square(t->jacobian, seeds, rate_weighted, square);
    }
    status = nl_jacobian_transposed(t->jacobian, seeds, add_over_ranks, &sum);
    *square = sum.norm.square;
    return status;
}

/* Seeds of this rank's samples: row i*C + a of J for row i (* C + a) of v, of output `output` alone
 * where the kernel is N x N. */
static void set_seeds(const nl_trust *t, nl_kernel_spec spec, int output, const double *v,
                      double *seeds)
{
    const int C = t->input.net->spec.outputs;

    for (int i = 0; i < t->own; i++) {
        for (int a = 0; a < C; a++) {
            const int sample = t->own_first + i;
            const size_t at = (size_t)i * (size_t)C + (size_t)a;

            if (spec.kind == NL_KERNEL_FULL) {
                seeds[at] = v[(size_t)sample * (size_t)C + (size_t)a];
            } else {
                seeds[at] = a == output ? v[sample] : 0.0;
            }
        }
    }
}

/* Of a form from the kernel and from the Jacobian; a NaN is as far as can be. */
static double deviation_of(double kernel, double jacobian, double allowed)
{
    const double deviation = fabs(kernel - jacobian) / allowed;

    return kernel == jacobian ? 0.0 : deviation <= HUGE_VAL ? deviation : HUGE_VAL;
}

/** A form v^T Theta v, as it should be. */
typedef struct right_form {
    double form;
    double deviation; /* from the Jacobian, of factors or gradients that had a part in it */
} right_form;

/** What forms are made of. */
typedef struct form_terms {
    nl_kernel_spec spec;
    double eps, trace; /* of the kernel */
    const double *v;
    bool signs;    /* v is nl_trust_vector() */
    double *seeds; /* [own x outputs] */
} form_terms;

/* The factors are held against back-signals of passes of their own. */
static nl_status traced_by_factors(const nl_trust *t, const form_terms *f, right_form *out)
{
    const nl_net *net = t->input.net;
    const nl_factors *ready = t->count == t->input.samples ? t->input.ready : NULL;
    const nl_rounding of = nl_rounding_of(net, f->spec, t->input.samples);
    double mismatch = 0.0;
    nl_status status = nl_jacobian_traced_square(t->jacobian, f->v + t->own_first, ready,
                                                 f->spec.rate_weighted, &out->form, &mismatch);

    out->deviation = deviation_of(mismatch, 0.0, f->eps * of.trace * sqrt(nl_net_widest(net)));
    return status;
}

static const nl_kernel_spec full = {.kind = NL_KERNEL_FULL};

/* |J^T v|^2 of the full kernel's vector on all samples, which two kernels ask for: made once. */
static nl_status square_of_signs(nl_trust *t, const double *v, double *square)
{
    nl_status status = NL_OK;

    if (isnan(t->signs)) {
        status = nl_jacobian_square(t->jacobian, v, false, &t->signs);
    }
    *square = t->signs;
    return status;
}

/* The gradients, which the traced kernel and the full one have in common, are held against a pass
 * of its own as the full one is. */
static nl_status traced_by_gradients(nl_trust *t, const form_terms *f, right_form *out)
{
    const int C = t->input.net->spec.outputs;
    const nl_rounding of = nl_rounding_of(t->input.net, full, (double)t->input.samples * C);
    nl_gradient_squares squares = {0};
    double form = 0.0;
    nl_status status = NL_OK;

    nl_trust_vector(t, full, f->seeds);
    status = square_of_signs(t, f->seeds, &form);
    if (status == NL_OK) {
        status = nl_chunk_gradients_square(t->input.gradients, f->seeds, f->v, &squares);
    }
    out->form = squares.by_output;
    out->deviation =
        deviation_of(squares.whole, form, f->eps * (of.trace * C * f->trace + of.form * form));
    return status;
}

/* v^T Theta v, from the Jacobian. */
static nl_status form_of(nl_trust *t, const form_terms *f, right_form *out)
{
    const bool traced = f->spec.kind == NL_KERNEL_TRACED;
    const int C = t->input.net->spec.outputs;
    nl_status status = NL_OK;

    *out = (right_form){0};
    if (traced && t->input.gradients != NULL && t->count == t->input.samples &&
        !f->spec.rate_weighted) {
        return traced_by_gradients(t, f, out);
    }
    if (f->signs && alone(t) && t->count == t->input.samples && f->spec.kind == NL_KERNEL_FULL &&
        !f->spec.rate_weighted) {
        return square_of_signs(t, f->v, &out->form);
    }
    if (traced && alone(t)) {
        return traced_by_factors(t, f, out);
    }
    for (int a = 0; status == NL_OK && a < (traced ? C : 1); a++) {
        double part = 0.0;

        set_seeds(t, f->spec, f->spec.kind == NL_KERNEL_CLASS ? f->spec.output : a, f->v, f->seeds);
        status = square_of(t, f->seeds, f->spec.rate_weighted, &part);
        out->form += traced ? part / C : part;
    }
    return status;
}

/* The loss's gradient as rows of the kernel. */
static void set_gradient(const nl_trust *t, nl_kernel_spec spec, const double *gradient, double *v)
{
    const int C = t->input.net->spec.outputs;

    for (int i = 0; i < t->input.samples; i++) {
        for (int a = 0; a < C; a++) {
            const double value = gradient[(size_t)i * (size_t)C + (size_t)a];

            if (spec.kind == NL_KERNEL_FULL) {
                v[(size_t)i * (size_t)C + (size_t)a] = value;
            } else if (a == spec.output) {
                v[i] = value;
            }
        }
    }
}

/* A kernel that is not finite, and the form of its Jacobian. */
static double infinite_deviation(double form)
{
    return isfinite(form) ? HUGE_VAL : 0.0;
}

nl_status nl_trust_deviation(nl_trust *t, nl_kernel_spec spec, nl_precision precision,
                             const nl_kernel_sums *sums, const double *gradient, double *deviation)
{
    const nl_net *net = t->input.net;
    const size_t outputs = (size_t)net->spec.outputs;
    const nl_rounding of =
        nl_rounding_of(net, spec, nl_kernel_order(spec, t->input.samples, net->spec.outputs));
    const bool whole = t->count == t->input.samples && spec.kind != NL_KERNEL_TRACED;
    double *v = nl_calloc((size_t)t->input.samples * outputs, sizeof *v);
    double *seeds = nl_calloc((size_t)t->own * outputs, sizeof *seeds);
    form_terms terms = {.spec = spec,
                        .eps = nl_precision_eps(precision),
                        .trace = sums->trace,
                        .v = v,
                        .signs = true,
                        .seeds = seeds};
    right_form right = {0};
    nl_status status = nl_agree(
        t->grid->comm, v != NULL && seeds != NULL
                           ? NL_OK
                           : NL_FAIL(NL_ERR_NOMEM, "out of memory for a check of kernels"));

    *deviation = HUGE_VAL;
    if (status == NL_OK) {
        nl_trust_vector(t, spec, v);
        status = form_of(t, &terms, &right);
        *deviation =
            isfinite(sums->frobenius2)
                ? fmax(deviation_of(sums->random, right.form,
                                    terms.eps * (of.trace * sums->trace + of.form * right.form)),
                       right.deviation)
                : infinite_deviation(right.form);
    }
    if (status == NL_OK && *deviation <= 1.0 && whole && isfinite(sums->frobenius2)) {
        set_gradient(t, spec, gradient, v);
        terms.signs = false;
        status = form_of(t, &terms, &right);
        *deviation =
            fmax(*deviation, deviation_of(sums->gradient, right.form,
                                          terms.eps * (of.trace * sums->trace * sums->gradient2 +
                                                       of.form * right.form)));
    }
    free(v);
    free(seeds);
    return nl_agree(t->grid->comm, status);
}
