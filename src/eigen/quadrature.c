/** @file quadrature.c  The entropy of a spectrum that is never computed.
 *
 *   f(x) = -x ln x;  T the trace;  eigenvalues, nodes and Ritz values in units of T
 *   Q, k     the Ritz vectors that are deflated;  P = I - Q Q^T
 *   z        a probe, P z = z, |z|^2 = n - k
 *   alpha, beta [steps]  of its Lanczos run on P A P: rules of z^T f(P A P) z
 */
#include "block_krylov.h"
#include "gauss.h"

#include "ntklens/blas.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    first_depth = 8,              /* block products of deflation, at first */
    first_probes = 8,             /* of the first batch */
    most_probes = 256,            /* in all */
    first_steps = 10,             /* of Lanczos */
    more_steps = 5,               /* at a time */
    deeper = 10 * nl_krylov_block /* products of probes that are worth a deeper deflation */
};
static const double normal_95 = 1.96;
static const double pinched_share = 0.2; /* of the wanted half width, before half is taken off */
static const double gap_share = 0.35;
static const double nothing_left = 1e-9; /* of the trace */
static const double rounding = 2e-5;     /* of the entropy, by products in single precision */
static const double right_to = 1e-3;     /* of an eigenvalue that is told */

/** One probe. */
typedef struct probe {
    int steps;
    double square; /* |z|^2 */
    double alpha[nl_most_lanczos_steps], beta[nl_most_lanczos_steps];
} probe;

/** A batch of Lanczos runs side by side. */
typedef struct batch {
    int count, steps;
    double *basis; /* owned; [steps + 1][count] vectors of n: of a step all probes' lie together */
    probe *of;     /* borrowed; [count] */
} batch;

/** What probes say, in all. */
typedef struct estimate {
    double entropy, deviation; /* of the mean; of one probe */
    double gap;                /* half of it */
    double squares;            /* sum of p^2 of the rest */
} estimate;

/** A quadrature in work. */
typedef struct quadrature {
    const nl_quadrature_request *request;
    nl_checked_operator a;
    nl_krylov space;
    nl_ritz ritz;
    int kept;
    double *q;      /* owned; [n x kept] */
    double *m;      /* owned; scratch of projections */
    double tail;    /* 1 - sum of what is kept */
    double pinched; /* what cutting it off adds, to second order */
    int probes;
    probe probe[most_probes];
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
    mean = fmax(1.0 - sum, nothing_left) / w->request->n;
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
    const int n = w->request->n;
    const double one = 1.0;
    const double zero = 0.0;
    nl_status status = NL_OK;

    nl_ritz_free(&w->ritz);
    status = nl_ritz_compute(w->request, &w->space, &w->ritz);
    if (status != NL_OK) {
        return status;
    }
    choose_kept(w);
    free(w->q);
    w->q = nl_calloc((size_t)n * (size_t)w->kept, sizeof *w->q);
    if (w->q == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d vectors of order %d", w->kept, n);
    }
    if (w->kept > 0) {
        dgemm_("N", "N", &n, &w->kept, &w->space.count, &one, w->space.v, &n, w->ritz.u,
               &w->space.count, &zero, w->q, &n);
    }
    return NL_OK;
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

static double *vectors(const quadrature *w, const batch *b, int step)
{
    return b->basis + (size_t)step * (size_t)b->count * (size_t)w->request->n;
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

/* Probes first .. first + count: their directions; their length is that of the sphere. */
static nl_status begin_batch(quadrature *w, int first, int count, batch *b)
{
    const int n = w->request->n;

    *b = (batch){.count = count, .of = w->probe + first};
    b->basis = malloc((size_t)count * (size_t)n * sizeof *b->basis);
    if (b->basis == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", count, n);
    }
    nl_draw_normal(w->request, 1, first, count, b->basis);
    nl_project_out(n, w->kept, w->q, count, b->basis, w->m);
    for (int c = 0; c < count; c++) {
        double *x = b->basis + (size_t)c * (size_t)n;

        b->of[c] = (probe){.square = n - w->kept};
        scale(n, 1.0 / length(n, x), x);
    }
    return NL_OK;
}

/* One step of a probe, whose product is `next`: alpha, beta, the next vector of its basis. */
static void advance(const quadrature *w, const batch *b, int c, double *next)
{
    const int n = w->request->n;
    const int lead = b->count * n;
    const int known = b->steps + 1;
    const int unit = 1;
    const double one = 1.0;
    const double minus = -1.0;
    const double zero = 0.0;
    const double *basis = b->basis + (size_t)c * (size_t)n;
    double along[nl_most_lanczos_steps + 1];
    probe *p = &b->of[c];
    double before = 0.0;

    if (p->steps < b->steps) {
        memset(next, 0, (size_t)n * sizeof *next); /* it ended before */
        return;
    }
    before = length(n, next);
    for (int turn = 0; turn < 2; turn++) {
        dgemv_("T", &n, &known, &one, basis, &lead, next, &unit, &zero, along, &unit);
        dgemv_("N", &n, &known, &minus, basis, &lead, along, &unit, &one, next, &unit);
        p->alpha[b->steps] += along[b->steps] / w->request->trace;
    }
    p->beta[b->steps] = length(n, next) / w->request->trace;
    p->steps++;
    if (p->beta[b->steps] * w->request->trace > 1e-6 * before) {
        scale(n, 1.0 / (p->beta[b->steps] * w->request->trace), next);
    } else {
        p->beta[b->steps] = 0.0; /* invariant: the rule is exact */
        p->steps = b->steps + 1;
        memset(next, 0, (size_t)n * sizeof *next);
    }
}

static nl_status continue_batch(quadrature *w, batch *b, int steps)
{
    const int n = w->request->n;
    const size_t block = (size_t)b->count * (size_t)n;
    double *basis = realloc(b->basis, (size_t)(steps + 1) * block * sizeof *basis);
    nl_status status = NL_OK;

    if (basis == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d probes of order %d", b->count, n);
    } else {
        b->basis = basis;
    }
    status = nl_agree(w->request->comm, status);
    for (; status == NL_OK && b->steps < steps; b->steps++) {
        double *next = vectors(w, b, b->steps + 1);

        status = nl_checked_apply(&w->a, b->count, vectors(w, b, b->steps), next);
        if (status == NL_OK) {
            nl_project_out(n, w->kept, w->q, b->count, next, w->m);
            for (int c = 0; c < b->count; c++) {
                advance(w, b, c, next + (size_t)c * (size_t)n);
            }
        }
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * What they say
 *-------------------------------------------------------------------------------------------*/

/** Sums over the nodes of all probes. */
typedef struct pooled {
    double xf, xx, xxx; /* x f, x^2, x^3 */
} pooled;

static double rule_of_f(const nl_gauss *rule)
{
    double sum = 0.0;

    for (int k = 0; k < rule->count; k++) {
        sum += rule->weight[k] * f(rule->node[k]);
    }
    return sum;
}

/* Beta of a step that did not lead on: the rule before it is exact. */
static void rules_of(const probe *p, nl_gauss *upper, nl_gauss *lower)
{
    const int steps = p->steps;

    if (!nl_gauss_rule(steps, p->alpha, p->beta, false, upper)) {
        *upper = (nl_gauss){0};
    }
    if (p->beta[steps - 1] == 0.0 || !nl_gauss_rule(steps, p->alpha, p->beta, true, lower)) {
        *lower = *upper;
    }
}

/* Entropy of the rest from all probes so far. */
static estimate estimate_of(const quadrature *w)
{
    estimate e = {0};
    pooled sum = {0};
    double c = 0.0;
    double c2 = 0.0;
    double h1 = 0.0;
    double h2 = 0.0;
    const double size = w->request->n - w->kept;
    nl_gauss upper;
    nl_gauss lower;

    for (int j = 0; j < w->probes; j++) {
        rules_of(&w->probe[j], &upper, &lower);
        for (int k = 0; k < upper.count; k++) {
            const double x = fmax(upper.node[k], 0.0);
            const double weight = upper.weight[k] * w->probe[j].square;

            sum.xf += weight * x * f(x);
            sum.xx += weight * x * x;
            sum.xxx += weight * x * x * x;
        }
    }
    c = sum.xx > 0.0 ? sum.xf / sum.xx : 0.0;
    c2 = sum.xx > 0.0 ? sum.xxx / sum.xx : 0.0;
    for (int j = 0; j < w->probes; j++) {
        const probe *p = &w->probe[j];
        const double first = p->alpha[0] * p->square;
        const double second = (p->alpha[0] * p->alpha[0] + p->beta[0] * p->beta[0]) * p->square;

        rules_of(p, &upper, &lower);
        e.entropy +=
            (0.5 * (rule_of_f(&upper) + rule_of_f(&lower)) * p->square - c * (first - w->tail)) /
            w->probes;
        e.gap += 0.5 * (rule_of_f(&upper) - rule_of_f(&lower)) * p->square / w->probes;
        e.squares += (second - c2 * (first - w->tail)) / w->probes;
        for (int k = 0; k < upper.count; k++) {
            const double x = fmax(upper.node[k], 0.0);
            const double h = f(x) - c * x;

            h1 += upper.weight[k] * p->square * h / w->probes;
            h2 += upper.weight[k] * p->square * h * h / w->probes;
        }
    }
    e.deviation = sqrt(fmax(2.0 * (h2 - h1 * h1 / size), 0.0));
    e.gap = fmax(e.gap, 0.0);
    return e;
}

static double half_width(const quadrature *w, const estimate *e)
{
    const double noise = w->probes > 0 ? normal_95 * e->deviation / sqrt(w->probes) : 0.0;

    return noise + e->gap + 0.5 * w->pinched + rounding;
}

/* Probes that the deviation of one asks for. */
static int probes_wanted(const quadrature *w, const estimate *e)
{
    const double room = w->request->wanted - e->gap - 0.5 * w->pinched;
    const double ratio = normal_95 * e->deviation / fmax(room, 0.2 * w->request->wanted);

    return (int)fmin(ceil(ratio * ratio), most_probes);
}

/* The first batch says how many steps it takes, and how many probes it will. */
static nl_status run_first_batch(quadrature *w, int *steps, estimate *e)
{
    batch b = {0};
    nl_status status = NL_OK;

    w->probes = nl_smaller(first_probes, w->request->n - w->kept);
    status = begin_batch(w, 0, w->probes, &b);
    *steps = nl_smaller(first_steps, w->request->n - w->kept);
    status = nl_agree(w->request->comm, status);
    if (status == NL_OK) {
        status = continue_batch(w, &b, *steps);
        *e = estimate_of(w);
    }
    while (status == NL_OK && e->gap > gap_share * w->request->wanted &&
           *steps + more_steps <= nl_most_lanczos_steps &&
           *steps + more_steps <= w->request->n - w->kept) {
        *steps += more_steps;
        status = continue_batch(w, &b, *steps);
        *e = estimate_of(w);
    }
    free(b.basis);
    return status;
}

static nl_status run_further_batches(quadrature *w, int steps, estimate *e)
{
    nl_status status = NL_OK;

    while (status == NL_OK && w->probes < most_probes && half_width(w, e) > w->request->wanted) {
        const int missing = nl_larger(probes_wanted(w, e) - w->probes, 1);
        const int count = nl_smaller(nl_smaller(missing, nl_krylov_block), most_probes - w->probes);
        batch b = {0};

        status = nl_agree(w->request->comm, begin_batch(w, w->probes, count, &b));
        if (status == NL_OK) {
            status = continue_batch(w, &b, steps);
        }
        free(b.basis);
        w->probes += count;
        *e = estimate_of(w);
    }
    return status;
}

static void tell(const quadrature *w, const estimate *e, int steps, nl_quadrature *out)
{
    const nl_ritz *r = &w->ritz;
    double squares = e->squares;

    *out = (nl_quadrature){.entropy = e->entropy - 0.5 * w->pinched,
                           .entropy_error = half_width(w, e),
                           .lambda_max = r->theta[0] * w->request->trace,
                           .kept = w->kept,
                           .probes = w->probes,
                           .steps = steps,
                           .products = w->a.products,
                           .repeated = w->a.repeated};
    for (int i = 0; i < w->kept; i++) {
        out->entropy += f(r->theta[i]);
        squares += r->theta[i] * r->theta[i] + 2.0 * r->residual[i];
    }
    out->participation_ratio = 1.0 / squares;
    while (out->top_count < w->kept && out->top_count < nl_quadrature_top &&
           sqrt(r->residual[out->top_count]) < right_to * r->theta[out->top_count]) {
        out->top[out->top_count] = r->theta[out->top_count] * w->request->trace;
        out->top_count++;
    }
}

/* All of the trace is in what is kept, but for rounding; a remainder counts as error. */
static estimate nothing_is_left(const quadrature *w)
{
    const double tail = w->tail;

    return (estimate){.gap = tail > 0.0 ? tail * (1.0 + log(w->request->n / tail)) : 0.0};
}

static nl_status compute(quadrature *w, nl_quadrature *out)
{
    int depth = first_depth;
    int steps = 0;
    estimate e = {0};
    nl_status status = grow_to(w, depth * nl_krylov_block);

    for (bool deep = false; status == NL_OK && !deep;) {
        if (w->tail <= 1e-6 || w->kept == w->request->n) {
            e = nothing_is_left(w);
            w->probes = 0;
            break;
        }
        status = run_first_batch(w, &steps, &e);
        deep = depth + 2 > nl_most_krylov_steps || w->space.whole ||
               probes_wanted(w, &e) * steps <= deeper;
        if (status == NL_OK && !deep) {
            depth += 2;
            status = grow_to(w, depth * nl_krylov_block);
        }
    }
    if (status == NL_OK && w->probes > 0) {
        nl_krylov_free(&w->space);
        status = run_further_batches(w, steps, &e);
    }
    if (status == NL_OK) {
        tell(w, &e, steps, out);
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
        w->a.request = request;
        w->m = nl_calloc((size_t)nl_krylov_block * nl_krylov_block * nl_most_krylov_steps,
                         sizeof *w->m);
        status = w->m == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a quadrature")
                              : nl_krylov_create(request, &w->space);
    }
    status = nl_agree(request->comm, status);
    if (status == NL_OK) {
        status = compute(w, out);
    }
    if (w != NULL) {
        nl_krylov_free(&w->space);
        nl_ritz_free(&w->ritz);
        free(w->q);
        free(w->m);
    }
    free(w);
    return nl_agree(request->comm, status);
}

double nl_quadrature_vectors(void)
{
    const double deepest = nl_krylov_block * nl_most_krylov_steps;

    return 2.0 * deepest + 65.0 + first_probes * (first_steps + 2.0 * more_steps + 1.0);
}

double nl_quadrature_products(double wanted)
{
    const double probes = fmax(first_probes, 16.0 * (0.01 / wanted) * (0.01 / wanted));

    return first_depth * nl_krylov_block + fmin(probes, most_probes) * (first_steps + more_steps);
}
