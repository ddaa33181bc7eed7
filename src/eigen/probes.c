/** @file probes.c  Lanczos runs of random vectors on an operator without its leading directions. */
#include "probes.h"

#include "ntklens/blas.h"
#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a product that is orthogonal to the basis, over what it was: below, the space is invariant. */
static const double invariant = 1e-6;

static double *vectors(const nl_deflated *d, const nl_probe_batch *b, int step)
{
    return b->basis + (size_t)step * (size_t)b->count * (size_t)d->a->slices.lead;
}

static void scale(int n, double factor, double *x)
{
    for (int i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

nl_status nl_probes_begin(const nl_deflated *d, int first, int count, nl_probe *of,
                          nl_probe_batch *out)
{
    const nl_slices *s = &d->a->slices;
    double square[nl_krylov_block];
    nl_status status = NL_OK;

    *out = (nl_probe_batch){.count = count, .of = of};
    out->basis = malloc((size_t)count * (size_t)s->lead * sizeof *out->basis);
    if (out->basis == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", count, s->n);
    }
    status = nl_agree(s->comm, status);
    if (status != NL_OK) {
        return status;
    }
    nl_draw_normal(d->a, 1, first, count, out->basis);
    nl_project_out(s, d->kept, d->q, count, out->basis, d->m);
    nl_slices_squares(s, count, out->basis, square);
    for (int c = 0; c < count; c++) {
        of[c] = (nl_probe){.square = s->n - d->kept};
        scale(s->own, 1.0 / sqrt(square[c]), out->basis + (size_t)c * (size_t)s->lead);
    }
    return NL_OK;
}

/* Has the run of a probe ended in an invariant space? */
static bool has_ended(const nl_probe *p)
{
    return p->steps > 0 && p->beta[p->steps - 1] == 0.0;
}

/* Take out of each product what lies along its probe's basis, and give the last part of that. */
static void reorthogonalise(const nl_deflated *d, const nl_probe_batch *b, double *next,
                            double *last)
{
    const nl_slices *s = &d->a->slices;
    const size_t size = (size_t)s->lead;
    const int lead = b->count * s->lead;
    const int known = b->steps + 1;
    const int unit = 1;
    const double one = 1.0;
    const double minus = -1.0;
    const double zero = 0.0;
    double along[nl_krylov_block * (nl_most_lanczos_steps + 1)];

    for (int c = 0; c < b->count; c++) {
        dgemv_("T", &s->own, &known, &one, b->basis + (size_t)c * size, &lead,
               next + (size_t)c * size, &unit, &zero, along + (size_t)c * (size_t)known, &unit);
    }
    nl_slices_sum(s, b->count * known, along);
    for (int c = 0; c < b->count; c++) {
        dgemv_("N", &s->own, &known, &minus, b->basis + (size_t)c * size, &lead,
               along + (size_t)c * (size_t)known, &unit, &one, next + (size_t)c * size, &unit);
        last[c] = along[c * known + b->steps];
    }
}

/* One step of all probes, whose products are `next`: alpha, beta, the next vectors of their bases.
 */
static void advance(const nl_deflated *d, const nl_probe_batch *b, double *next)
{
    const nl_slices *s = &d->a->slices;
    const double trace = d->a->request->trace;
    double before[nl_krylov_block];
    double after[nl_krylov_block];
    double last[nl_krylov_block];
    bool ended[nl_krylov_block];

    nl_slices_squares(s, b->count, next, before);
    for (int c = 0; c < b->count; c++) {
        ended[c] = has_ended(&b->of[c]);
    }
    for (int turn = 0; turn < 2; turn++) {
        reorthogonalise(d, b, next, last);
        for (int c = 0; c < b->count; c++) {
            b->of[c].alpha[b->steps] += ended[c] ? 0.0 : last[c] / trace;
        }
    }
    nl_slices_squares(s, b->count, next, after);
    for (int c = 0; c < b->count; c++) {
        nl_probe *p = &b->of[c];
        double *x = next + (size_t)c * (size_t)s->lead;
        const double length = sqrt(after[c]);

        if (!ended[c]) {
            p->beta[b->steps] = length / trace;
            p->steps++;
        }
        if (!ended[c] && length > invariant * sqrt(before[c])) {
            scale(s->own, 1.0 / length, x);
        } else {
            p->beta[p->steps - 1] = 0.0; /* the rule is exact */
            memset(x, 0, (size_t)s->lead * sizeof *x);
        }
    }
}

nl_status nl_probes_continue(const nl_deflated *d, nl_probe_batch *b, int steps)
{
    const nl_quadrature_request *request = d->a->request;
    const size_t block = (size_t)b->count * (size_t)d->a->slices.lead;
    double *basis = realloc(b->basis, (size_t)(steps + 1) * block * sizeof *basis);
    nl_status status = NL_OK;

    if (basis == NULL) {
        status =
            NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", b->count, request->n);
    } else {
        b->basis = basis;
    }
    status = nl_agree(request->comm, status);
    for (; status == NL_OK && b->steps < steps; b->steps++) {
        double *next = vectors(d, b, b->steps + 1);

        status = nl_checked_apply(d->a, b->count, vectors(d, b, b->steps), next);
        if (status == NL_OK) {
            nl_project_out(&d->a->slices, d->kept, d->q, b->count, next, d->m);
            advance(d, b, next);
        }
    }
    return status;
}

void nl_probes_narrow(const nl_deflated *d, nl_probe_batch *b, int count)
{
    const size_t n = (size_t)d->a->slices.lead;

    for (int step = 1; count < b->count && step <= b->steps; step++) {
        memmove(b->basis + (size_t)step * (size_t)count * n, vectors(d, b, step),
                (size_t)count * n * sizeof *b->basis);
    }
    b->count = nl_smaller(count, b->count);
}

void nl_probes_free(nl_probe_batch *b)
{
    free(b->basis);
    *b = (nl_probe_batch){0};
}
