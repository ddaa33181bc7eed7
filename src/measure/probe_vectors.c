/** @file probe_vectors.c  Vectors of a kernel's order that say how it lies to labels and loss. */
#include "probe_vectors.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>

nl_probe_vectors nl_probe_vectors_of(const nl_probe_state *state, nl_kernel_spec spec)
{
    const bool full = spec.kind == NL_KERNEL_FULL;
    nl_probe_vectors v = {.state = state,
                          .spec = spec,
                          .n = (size_t)nl_kernel_order(spec, state->samples, state->outputs),
                          .constants = full ? state->outputs : 1,
                          .targets = full ? 1 : state->outputs};

    v.columns = v.constants + v.targets + 1;
    return v;
}

static const double *column(const nl_probe_vectors *v, const double *x, int k)
{
    return x + (size_t)k * v->n;
}

/* Row of sample i and output a: full; of sample i: N x N, where each output has its column. */
static size_t row_of(const nl_probe_vectors *v, size_t i, int a)
{
    return v->spec.kind == NL_KERNEL_FULL ? i * (size_t)v->state->outputs + (size_t)a : i;
}

static void fill(nl_probe_vectors *v, double *x)
{
    const nl_probe_state *state = v->state;
    const int C = state->outputs;
    const bool full = v->spec.kind == NL_KERNEL_FULL;
    double *gradient = x + (size_t)(v->constants + v->targets) * v->n;

    for (size_t i = 0; i < (size_t)state->samples; i++) {
        for (int a = 0; a < C; a++) {
            const size_t row = row_of(v, i, a);

            x[(full ? (size_t)a * v->n : 0) + row] = 1.0;
            if (full || a == v->spec.output) {
                gradient[row] = state->gradient[i * (size_t)C + (size_t)a];
            }
        }
    }
    v->gradient2 = nl_inner(v->n, gradient, gradient);
}

static void measure(nl_probe_vectors *v, const double *targets)
{
    v->targets2 = v->target4 = 0.0;
    for (int a = 0; a < v->targets; a++) {
        for (int b = 0; b < v->targets; b++) {
            const double both = nl_inner(v->n, column(v, targets, a), column(v, targets, b));

            v->targets2 += a == b ? both : 0.0;
            v->target4 += both * both;
        }
    }
}

nl_status nl_probe_vectors_targets(nl_probe_vectors *v, double *x)
{
    const nl_probe_state *state = v->state;
    const bool full = v->spec.kind == NL_KERNEL_FULL;
    double *shares = nl_calloc((size_t)state->outputs, sizeof *shares); /* of classes */

    if (shares == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d classes", state->outputs);
    }
    for (int i = 0; i < state->samples; i++) {
        shares[state->labels[i]] += 1.0 / state->samples;
    }
    for (size_t i = 0; i < (size_t)state->samples; i++) {
        for (int a = 0; a < state->outputs; a++) {
            x[(full ? 0 : (size_t)a * v->n) + row_of(v, i, a)] =
                (a == state->labels[i] ? 1.0 : 0.0) - shares[a];
        }
    }
    measure(v, x);
    free(shares);
    return NL_OK;
}

nl_status nl_probe_vectors_fill(nl_probe_vectors *v, double *x)
{
    fill(v, x);
    return nl_probe_vectors_targets(v, x + (size_t)v->constants * v->n);
}

nl_status nl_probe_vectors_gradients(nl_probe_vectors *v, const nl_gradients *g, int more,
                                     double **w)
{
    double *x = nl_calloc(v->n * (size_t)v->columns, sizeof *x);
    nl_status status = NL_OK;

    *w = nl_calloc((size_t)(v->columns + more) * g->input->net->size, sizeof **w);
    if (*w == NULL || x == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for targets of a kernel of order %zu", v->n);
    } else {
        status = nl_probe_vectors_fill(v, x);
    }
    status = nl_agree(g->grid->comm, status);
    if (status == NL_OK) {
        status = nl_gradients_transposed(g, v->columns, x, *w);
    }
    free(x);
    return status;
}

void nl_probe_vectors_gram(const nl_probe_vectors *v, size_t order, const double *w, double *gram)
{
    for (int a = 0; a < v->columns; a++) {
        for (int b = 0; b <= a; b++) {
            gram[a * v->columns + b] = gram[b * v->columns + a] =
                nl_inner(order, w + (size_t)a * order, w + (size_t)b * order);
        }
    }
}

/* |H Theta H|_F^2 = |Theta|^2 - 2/N sum_a |Theta e_a|^2 + 1/N^2 sum_ab (e_a^T Theta e_b)^2 with the
 * constants e_a */
double nl_probe_vectors_centred2(const nl_probe_vectors *v, const double *gram,
                                 const nl_kernel_norms *norms)
{
    const double samples = v->state->samples;
    double twice = 0.0;

    for (int a = 0; a < v->constants; a++) {
        for (int b = 0; b < v->constants; b++) {
            twice += gram[a * v->columns + b] * gram[a * v->columns + b];
        }
    }
    return norms->frobenius2 - 2.0 / samples * norms->constants2 + twice / (samples * samples);
}

void nl_probe_vectors_observe(const nl_probe_vectors *v, const double *gram,
                              const nl_kernel_norms *norms, nl_observables *out)
{
    const double n = (double)v->n;
    const int gradient = v->columns - 1;
    double power = 0.0;

    for (int k = v->constants; k < gradient; k++) {
        power += gram[k * v->columns + k];
    }
    out->label_alignment = power / sqrt(nl_probe_vectors_centred2(v, gram, norms) * v->target4);
    out->chi_net = norms->trace / n;
    out->chi_loss = n * v->gradient2;
    out->chi_coup = gram[gradient * v->columns + gradient] / (norms->trace * v->gradient2);
    out->spectral_position = n * out->chi_coup;
}
