/** @file quadrature.c  The entropy of a spectrum that is never computed.
 *
 *   f(x) = -x ln x;  T the trace;  eigenvalues, nodes and Ritz values in units of T
 *   Q, k     the Ritz vectors that are deflated;  P = I - Q Q^T
 */
#include "estimates.h"

#include "ntklens/blas.h"
#include "ntklens/par.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    first_depth = 8,   /* block products of deflation, at first */
    first_probes = 8,  /* of the first batch */
    most_probes = 256, /* in all */
    first_steps = 6,   /* of Lanczos */
    long_steps = 30,   /* of the few probes that go on, and tell how many eigenvalues are where */
    more_steps = 5,    /* of these, at a time */
    deeper = 2         /* block products more of deflation, at a time */
};
static const double normal_95 = 1.96;
static const double fewer = 0.4;         /* of the probes wanted: that a deeper deflation spares */
static const double pinched_share = 0.2; /* of the wanted half width, before half is taken off */
static const double widest_gap = 0.25;   /* of the wanted half width, while steps help */
static const double noise_share = 0.75;  /* at most, however small the rest of the half width is */
static const double least_room = 0.2;    /* for noise, whatever the rest leaves of it */
static const double least_tail = 1e-9;   /* of the trace */
static const double nothing_left = 1e-6; /* of the trace: below, no probe is asked */
static const double rounding = 2e-5;     /* of the entropy, by products in single precision */
static const double right_to = 1e-3;     /* of an eigenvalue that is told */

/** A quadrature in work. */
typedef struct quadrature {
    const nl_quadrature_request *request;
    nl_checked_operator a;
    nl_krylov space;
    nl_ritz ritz;
    int kept;
    double *q;      /* owned; [slice x kept] */
    double *m;      /* owned; scratch of projections */
    double tail;    /* 1 - sum of what is kept */
    double pinched; /* what cutting it off adds, to second order */
    int steps;      /* of each probe, but those that go on */
    int probes;
    nl_probe probe[most_probes];
} quadrature;

static double f(double x)
{
    return x > 0.0 ? -x * log(x) : 0.0;
}

/*---------------------------------------------------------------------------------------------
 * Deflation
 *-------------------------------------------------------------------------------------------*/

/* The leading Ritz vectors, as long as what cutting them off adds is small. */
static void choose_kept(quadrature *w)
{
    const nl_ritz *r = &w->ritz;
    const double most = pinched_share * w->request->wanted;
    double sum = 0.0;
    double mean = 0.0; /* no direction of the rest is likely below it */

    for (int i = 0; i < r->count; i++) {
        sum += r->theta[i];
    }
    mean = fmax(1.0 - sum, least_tail) / w->request->n;
    w->kept = 0;
    w->pinched = 0.0;
    w->tail = 1.0;
    while (w->kept < r->count && r->theta[w->kept] > mean) {
        const double theta = r->theta[w->kept];
        const double adds = r->residual[w->kept] * log(fmax(theta / mean, 2.0)) / theta;

        if (w->pinched + adds > most) {
            break;
        }
        w->pinched += adds;
        w->tail -= theta;
        w->kept++;
    }
    w->tail = fmax(w->tail, 0.0);
}

static nl_status deflate(quadrature *w)
{
    const nl_slices *s = &w->a.slices;
    const double one = 1.0;
    const double zero = 0.0;
    nl_status status = NL_OK;

    nl_ritz_free(&w->ritz);
    status = nl_ritz_compute(&w->a, &w->space, &w->ritz);
    if (status != NL_OK) {
        return status;
    }
    choose_kept(w);
    free(w->q);
    w->q = nl_calloc((size_t)s->lead * (size_t)w->kept, sizeof *w->q);
    if (w->q == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d vectors of order %d", w->kept, s->n);
    } else if (w->kept > 0) {
        dgemm_("N", "N", &s->own, &w->kept, &w->space.count, &one, w->space.v, &s->lead, w->ritz.u,
               &w->space.count, &zero, w->q, &s->lead);
    }
    return nl_agree(s->comm, status);
}

static nl_status grow_to(quadrature *w, int vectors)
{
    nl_status status = NL_OK;

    while (status == NL_OK && !w->space.whole && w->space.count < vectors) {
        const int before = w->space.count;

        status = nl_krylov_grow(&w->a, &w->space);
        if (w->space.count == before) {
            break;
        }
    }
    return status == NL_OK ? deflate(w) : status;
}

/*---------------------------------------------------------------------------------------------
 * Probes
 *-------------------------------------------------------------------------------------------*/

static nl_deflated deflated(quadrature *w)
{
    return (nl_deflated){.a = &w->a, .kept = w->kept, .q = w->q, .m = w->m};
}

/* |P A P|^2 = |A|^2 - 2 |A Q|^2 + |Q^T A Q|^2 */
static nl_rest rest_of(const quadrature *w)
{
    const nl_quadrature_request *r = w->request;
    nl_rest rest = {.size = r->n - w->kept, .trace = w->tail};

    rest.squares = r->frobenius2 / (r->trace * r->trace);
    for (int i = 0; i < w->kept; i++) {
        rest.squares -= w->ritz.theta[i] * w->ritz.theta[i] + 2.0 * w->ritz.residual[i];
    }
    if (rest.squares < 0.0) {
        rest.squares = 0.0; /* by rounding */
    }
    return rest;
}

static nl_estimate estimate_of(const quadrature *w)
{
    const nl_rest rest = rest_of(w);

    return nl_estimate_of(&rest, w->steps, w->probes, w->probe);
}

/* Takes the probes to so many steps; *e is estimated anew, unless the run was left: probes of a new
 * batch then have no step that an estimate could be made of. */
static nl_status go_on(quadrature *w, nl_probe_batch *b, int steps, nl_estimate *e)
{
    const nl_deflated on = deflated(w);
    const nl_status status = nl_probes_continue(&on, b, steps);

    if (status == NL_OK) {
        *e = estimate_of(w);
    }
    return status;
}

static double noise_of(const quadrature *w, const nl_estimate *e)
{
    return w->probes > 0 ? normal_95 * e->deviation / sqrt(w->probes) : 0.0;
}

/* What more probes do not make smaller. */
static double floor_of(const quadrature *w, const nl_estimate *e)
{
    return e->gap + e->refinement_error + 0.5 * w->pinched + rounding;
}

static double half_width(const quadrature *w, const nl_estimate *e)
{
    return noise_of(w, e) + floor_of(w, e);
}

/* Probes that the deviation of one asks for, where so much of the half width is not theirs. */
static int probes_wanted(const quadrature *w, const nl_estimate *e, double elsewhere)
{
    const double wanted = w->request->wanted;
    const double room = fmin(wanted - elsewhere, noise_share * wanted);
    const double ratio = normal_95 * e->deviation / fmax(room, least_room * wanted);

    return (int)fmin(ceil(ratio * ratio), most_probes);
}

static bool is_wide(const quadrature *w, const nl_estimate *e)
{
    return half_width(w, e) > w->request->wanted ||
           noise_of(w, e) > noise_share * w->request->wanted;
}

/* The first batch says how many probes it takes. */
static nl_status run_first_batch(quadrature *w, nl_probe_batch *b, nl_estimate *e)
{
    const nl_deflated on = deflated(w);
    const int size = w->request->n - w->kept;
    nl_status status = NL_OK;

    nl_probes_free(b);
    w->probes = nl_smaller(first_probes, size);
    w->steps = nl_smaller(first_steps, size);
    status = nl_probes_begin(&on, 0, w->probes, w->probe, b);
    return status == NL_OK ? go_on(w, b, w->steps, e) : status;
}

/* More steps of a few probes spare others: a gap falls about as 1 / steps^2. */
static bool pays_to_go_on(const quadrature *w, const nl_estimate *e, int steps)
{
    const double remains = pow((double)steps / (steps + more_steps), 2.0);
    const double rest = floor_of(w, e);
    const int spared =
        probes_wanted(w, e, rest) - probes_wanted(w, e, rest - (1.0 - remains) * e->gap);

    return e->gap > widest_gap * w->request->wanted ||
           spared * w->steps > nl_counted_probes * more_steps;
}

/* Some of the first batch go on, for the counting function and for what is left of the others'
 * brackets. */
static nl_status lengthen(quadrature *w, nl_probe_batch *b, nl_estimate *e)
{
    const nl_deflated on = deflated(w);
    const int most = nl_smaller(nl_most_lanczos_steps, w->request->n - w->kept);
    int steps = nl_smaller(long_steps, most);
    nl_status status = NL_OK;

    nl_probes_narrow(&on, b, nl_counted_probes);
    if (steps > b->steps) {
        status = go_on(w, b, steps, e);
    }
    while (status == NL_OK && steps + more_steps <= most && pays_to_go_on(w, e, steps)) {
        steps += more_steps;
        status = go_on(w, b, steps, e);
    }
    nl_probes_free(b);
    return status;
}

static nl_status run_further_batches(quadrature *w, nl_estimate *e)
{
    const nl_deflated on = deflated(w);
    nl_status status = NL_OK;

    while (status == NL_OK && w->probes < most_probes && is_wide(w, e)) {
        const int missing = nl_larger(probes_wanted(w, e, floor_of(w, e)) - w->probes, 1);
        const int count = nl_smaller(nl_smaller(missing, nl_krylov_block), most_probes - w->probes);
        nl_probe_batch b = {0};

        status = nl_probes_begin(&on, w->probes, count, w->probe + w->probes, &b);
        if (status == NL_OK) {
            w->probes += count;
            status = go_on(w, &b, w->steps, e);
        }
        nl_probes_free(&b);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * What is told
 *-------------------------------------------------------------------------------------------*/

/* Leading eigenvalues, as far as they are right, and how far their vectors are. */
static void tell_top(const quadrature *w, nl_quadrature *out)
{
    const nl_ritz *r = &w->ritz;
    double residual = 0.0;
    int i = 0;

    for (; i < nl_smaller(w->kept, nl_quadrature_top); i++) {
        const bool last = i + 1 == r->count;
        const double next = last ? 0.0 : r->theta[i + 1] + sqrt(r->residual[i + 1]);
        const double room = r->theta[i] - next;

        if (!(sqrt(r->residual[i]) < right_to * r->theta[i])) {
            break;
        }
        residual += r->residual[i];
        out->top[i] = r->theta[i] * w->request->trace;
        out->tilt[i] = room > sqrt(residual) ? sqrt(residual) / room : 1.0;
    }
    out->top_count = i;
}

static void tell_power(const quadrature *w, nl_quadrature *out)
{
    const nl_quadrature_request *r = w->request;
    const nl_slices *s = &w->a.slices;
    double along[nl_quadrature_top];

    for (int c = 0; c < r->targets; c++) {
        const double *target = r->target + (size_t)c * (size_t)r->n + (size_t)s->first;

        for (int i = 0; i < out->top_count; i++) {
            along[i] = nl_inner((size_t)s->own, w->q + (size_t)i * (size_t)s->lead, target);
        }
        nl_slices_sum(s, out->top_count, along);
        for (int i = 0; i < out->top_count; i++) {
            out->power[i] += along[i] * along[i];
        }
    }
}

static void tell_curve(const quadrature *w, nl_quadrature *out)
{
    const nl_counted counted = {.kept = w->kept,
                                .theta = w->ritz.theta,
                                .probes = nl_smaller(w->probes, nl_counted_probes),
                                .probe = w->probe};

    static_assert((int)nl_most_counted <= (int)nl_quadrature_curve, "room for all points");
    out->points = nl_count_eigenvalues(&counted, out->value, out->rank);
    for (int k = 0; k < out->points; k++) {
        out->value[k] *= w->request->trace;
    }
}

static void tell(const quadrature *w, const nl_estimate *e, nl_quadrature *out)
{
    const nl_ritz *r = &w->ritz;
    const double noise = w->probes > 0 ? e->squares_deviation / sqrt(w->probes) : 0.0;
    double squares = e->squares;

    *out = (nl_quadrature){.entropy = e->entropy - 0.5 * w->pinched,
                           .entropy_error = half_width(w, e),
                           .lambda_max = r->theta[0] * w->request->trace,
                           .kept = w->kept,
                           .probes = w->probes,
                           .steps = w->steps,
                           .products = w->a.products,
                           .repeated = w->a.repeated};
    for (int i = 0; i < w->kept; i++) {
        out->entropy += f(r->theta[i]);
        squares += r->theta[i] * r->theta[i] + 2.0 * r->residual[i];
    }
    out->participation_ratio = 1.0 / squares;
    out->squares_error = normal_95 * noise / squares;
    tell_top(w, out);
    tell_power(w, out);
    tell_curve(w, out);
}

/* All of the trace is in what is kept, but for rounding; a remainder counts as error. */
static nl_estimate nothing_is_left(const quadrature *w)
{
    const double tail = w->tail;

    return (nl_estimate){.gap = tail > 0.0 ? tail * (1.0 + log(w->request->n / tail)) : 0.0};
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

/* A deeper deflation has its products, and those of a first batch anew. */
static bool pays_to_deepen(const quadrature *w, const nl_estimate *e)
{
    const double costs = deeper * nl_krylov_block + (double)w->probes * w->steps;

    return fewer * probes_wanted(w, e, 0.0) * w->steps > costs;
}

/* Deflate, as deep as it pays, and run the first batch. */
static nl_status begin(quadrature *w, nl_probe_batch *first, nl_estimate *e)
{
    int depth = first_depth;
    nl_status status = grow_to(w, depth * nl_krylov_block);

    for (bool deep = false; status == NL_OK && !deep;) {
        if (w->tail <= nothing_left || w->kept == w->request->n) {
            *e = nothing_is_left(w);
            w->probes = 0;
            break;
        }
        status = run_first_batch(w, first, e);
        deep = depth + deeper > nl_most_krylov_steps || w->space.whole || !pays_to_deepen(w, e);
        if (status == NL_OK && !deep) {
            depth += deeper;
            status = grow_to(w, depth * nl_krylov_block);
        }
    }
    nl_krylov_free(&w->space);
    return status;
}

static nl_status compute(quadrature *w, nl_quadrature *out)
{
    nl_probe_batch first = {0};
    nl_estimate e = {0};
    nl_status status = begin(w, &first, &e);

    if (status == NL_OK && w->probes > 0) {
        status = lengthen(w, &first, &e);
    }
    nl_probes_free(&first);
    if (status == NL_OK && w->probes > 0) {
        status = run_further_batches(w, &e);
    }
    if (status == NL_OK) {
        tell(w, &e, out);
    }
    return status;
}

nl_status nl_quadrature_compute(const nl_quadrature_request *request, nl_quadrature *out)
{
    quadrature *w = calloc(1, sizeof *w);
    nl_status status = NL_OK;

    if (w == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a quadrature");
    } else {
        w->request = request;
        status = nl_checked_create(request, &w->a);
        w->m = nl_calloc((size_t)nl_krylov_block * nl_krylov_block * nl_most_krylov_steps,
                         sizeof *w->m);
        if (status == NL_OK) {
            status = w->m == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a quadrature")
                                  : nl_krylov_create(&w->a, &w->space);
        }
    }
    status = nl_agree(request->comm, status);
    if (status == NL_OK) {
        status = compute(w, out);
    }
    if (w != NULL) {
        nl_krylov_free(&w->space);
        nl_ritz_free(&w->ritz);
        nl_checked_free(&w->a);
        free(w->q);
        free(w->m);
    }
    free(w);
    return nl_agree(request->comm, status);
}

double nl_quadrature_vectors(int ranks)
{
    const double deepest = nl_krylov_block * nl_most_krylov_steps;
    /* Long runs begin when the space is gone, and are no larger. */
    const double shared =
        2.0 * deepest + 65.0 + 2.0 * nl_most_references + first_probes * (first_steps + 1.0);

    return ranks > 1 ? shared / ranks + 2.0 * nl_krylov_block : shared;
}

double nl_quadrature_products(int n, double wanted)
{
    const double probes = fmax(first_probes, 20.0 * (0.01 / wanted) * (0.01 / wanted));
    const double wider = fmax(1.0, pow(n / 3000.0, 0.2)); /* spectra of more rows reach lower */

    return first_depth * nl_krylov_block + fmin(wider * probes, most_probes) * first_steps +
           wider * nl_counted_probes * (double)(long_steps - first_steps);
}
