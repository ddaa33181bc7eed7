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
    return b->basis + (size_t)step * (size_t)b->count * (size_t)d->a->request->n;
}

static double length(int n, const double *x)
{
    return sqrt(nl_squares_double((size_t)n, x));
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
    const int n = d->a->request->n;

    *out = (nl_probe_batch){.count = count, .of = of};
    out->basis = malloc((size_t)count * (size_t)n * sizeof *out->basis);
    if (out->basis == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", count, n);
    }
    nl_draw_normal(d->a->request, 1, first, count, out->basis);
    nl_project_out(n, d->kept, d->q, count, out->basis, d->m);
    for (int c = 0; c < count; c++) {
        double *x = out->basis + (size_t)c * (size_t)n;

        of[c] = (nl_probe){.square = n - d->kept};
        scale(n, 1.0 / length(n, x), x);
    }
    return NL_OK;
}

/* Has the run of a probe ended in an invariant space? */
static bool has_ended(const nl_probe *p)
{
    return p->steps > 0 && p->beta[p->steps - 1] == 0.0;
}

/* One step of a probe, whose product is `next`: alpha, beta, the next vector of its basis. */
static void advance(const nl_deflated *d, const nl_probe_batch *b, int c, double *next)
{
    const int n = d->a->request->n;
    const double trace = d->a->request->trace;
    const int lead = b->count * n;
    const int known = b->steps + 1;
    const int unit = 1;
    const double one = 1.0;
    const double minus = -1.0;
    const double zero = 0.0;
    const double *basis = b->basis + (size_t)c * (size_t)n;
    double along[nl_most_lanczos_steps + 1];
    nl_probe *p = &b->of[c];
    double before = 0.0;

    if (has_ended(p)) {
        memset(next, 0, (size_t)n * sizeof *next);
        return;
    }
    before = length(n, next);
    for (int turn = 0; turn < 2; turn++) {
        dgemv_("T", &n, &known, &one, basis, &lead, next, &unit, &zero, along, &unit);
        dgemv_("N", &n, &known, &minus, basis, &lead, along, &unit, &one, next, &unit);
        p->alpha[b->steps] += along[b->steps] / trace;
    }
    p->beta[b->steps] = length(n, next) / trace;
    p->steps++;
    if (p->beta[b->steps] * trace > invariant * before) {
        scale(n, 1.0 / (p->beta[b->steps] * trace), next);
    } else {
        p->beta[b->steps] = 0.0; /* the rule is exact */
        memset(next, 0, (size_t)n * sizeof *next);
    }
}

nl_status nl_probes_continue(const nl_deflated *d, nl_probe_batch *b, int steps)
{
    const nl_quadrature_request *request = d->a->request;
    const int n = request->n;
    const size_t block = (size_t)b->count * (size_t)n;
    double *basis = realloc(b->basis, (size_t)(steps + 1) * block * sizeof *basis);
    nl_status status = NL_OK;

    if (basis == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", b->count, n);
    } else {
        b->basis = basis;
    }
    status = nl_agree(request->comm, status);
    for (; status == NL_OK && b->steps < steps; b->steps++) {
        double *next = vectors(d, b, b->steps + 1);

        status = nl_checked_apply(d->a, b->count, vectors(d, b, b->steps), next);
        if (status == NL_OK) {
            nl_project_out(n, d->kept, d->q, b->count, next, d->m);
            for (int c = 0; c < b->count; c++) {
                advance(d, b, c, next + (size_t)c * (size_t)n);
            }
        }
    }
    return status;
}

void nl_probes_narrow(const nl_deflated *d, nl_probe_batch *b, int count)
{
    const size_t n = (size_t)d->a->request->n;

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
