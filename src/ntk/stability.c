/** @file stability.c  The largest learning rate at which linearised training is stable. */
#include "ntklens/eigen.h"
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <stdlib.h>
#include <string.h>

/* x <- L x, or L^T x, a sample at a time: L = diag(p)^1/2 (1 - q q^T) with q = p^1/2, so that
 * L L^T = diag p - p p^T. */
static void apply_root(const nl_probe_state *state, bool transposed, double *x)
{
    const int C = state->outputs;

    for (int i = 0; i < state->samples; i++) {
        const double *p = state->probability + (size_t)i * (size_t)C;
        double *part = x + (size_t)i * (size_t)C;
        double along = 0.0;

        for (int a = 0; a < C; a++) {
            part[a] *= transposed ? sqrt(p[a]) : 1.0;
            along += sqrt(p[a]) * part[a];
        }
        for (int a = 0; a < C; a++) {
            part[a] = (part[a] - along * sqrt(p[a])) * (transposed ? 1.0 : sqrt(p[a]));
        }
    }
}

/** Operator L^T Theta L; mse, whose losses are curved alike along all outputs: Theta. */
typedef struct curvature {
    const nl_dmat *a;
    const nl_probe_state *state;
    double *scratch; /* owned by the caller; [n] */
} curvature;

static nl_status apply(const double *x, double *y, void *context)
{
    const curvature *c = context;
    nl_status status = NL_OK;

    if (c->state->loss == NL_MSE) {
        return nl_dmat_multiply_vector(c->a, x, y);
    }
    memcpy(c->scratch, x, (size_t)c->a->n * sizeof *x);
    apply_root(c->state, false, c->scratch);
    status = nl_dmat_multiply_vector(c->a, c->scratch, y);
    apply_root(c->state, true, y);
    return status;
}

nl_status nl_observe_curvature(const nl_dmat *a, const nl_probe_state *state, double *largest)
{
    curvature c = {.a = a, .state = state};
    nl_status status = NL_OK;

    *largest = NAN;
    c.scratch = nl_calloc((size_t)a->n, sizeof *c.scratch);
    status =
        nl_agree(a->grid->comm,
                 c.scratch != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a vector"));
    if (status == NL_OK) {
        status = nl_largest_eigenvalue(a->grid->comm, a->n, apply, &c, largest);
    }
    free(c.scratch);
    return nl_agree(a->grid->comm, status);
}

double nl_stability_rate(const nl_probe_state *state, double largest)
{
    return state->loss == NL_MSE ? (double)state->samples * state->outputs / largest
                                 : 2.0 * state->samples / largest;
}
