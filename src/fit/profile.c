/** @file profile.c  Chi-square of y = offset + amplitude x^-exponent, profiled over the exponent.
 *
 * Residuals are those of log y: a seed that is larger by a factor at all points only changes the
 * scale of the law, and noise of 20 % is as likely up as down. */
#include "profile.h"
#include "points.h"
#include "scatter.h"

#include <math.h>

enum { scan_steps = 160, refinements = 50, most_iterations = 30, offset_steps = 200 };

/** The law at one exponent: y = base + scale b(x), its chi-square and its offset. */
typedef struct law {
    double base, scale, offset, chi2;
    double offset_error; /* variance of the offset at this exponent, if it is free */
} law;

/** Products of two columns, weighted by the points. */
typedef struct products {
    double w, a, b, r, aa, ab, bb, ar, br, rr;
} products;

/* Middle of the scales: x is taken relative to it (place), so that base and scale are of like size.
 */
static double middle(const nl_points *p)
{
    return 0.5 * (log(p->x[0]) + log(p->x[p->count - 1]));
}

/* (x^-e - 1) / -e, which is log x at e = 0 and with a constant spans the same laws as x^-e. */
static double basis(double log_x, double exponent)
{
    return fabs(exponent) < 1e-9 ? log_x : expm1(-exponent * log_x) / -exponent;
}

static void add(products *s, double w, double a, double b, double r)
{
    s->w += w;
    s->a += w * a;
    s->b += w * b;
    s->r += w * r;
    s->aa += w * a * a;
    s->ab += w * a * b;
    s->bb += w * b * b;
    s->ar += w * a * r;
    s->br += w * b * r;
    s->rr += w * r * r;
}

/* Columns at one exponent: d log y / d base and / d scale, residuals.  false: y is not positive. */
static bool columns(const nl_points *p, double exponent, double base, double scale, products *s)
{
    *s = (products){0};
    for (int j = 0; j < p->count; j++) {
        const double b = basis(p->place[j], exponent);
        const double y = base + scale * b;

        if (!(y > 0.0)) {
            return false;
        }
        add(s, p->weight[j], 1.0 / y, b / y, p->mean[j] - log(y));
    }
    return true;
}

/* The law is linear in base and scale: weights relative to the means give a first guess. */
static products first_guess(const nl_points *p, double exponent)
{
    products s = {0};

    for (int j = 0; j < p->count; j++) {
        const double y = exp(p->mean[j]);

        add(&s, p->weight[j], 1.0 / y, basis(p->place[j], exponent) / y, 1.0);
    }
    return s;
}

/** Directions in which base and scale may move: both, or along a fixed offset. */
typedef struct freedom {
    bool both;
    double along[2]; /* where not both */
} freedom;

static void step_of(const products *s, freedom f, double step[2])
{
    if (f.both) {
        const double det = s->aa * s->bb - s->ab * s->ab;

        step[0] = (s->bb * s->ar - s->ab * s->br) / det;
        step[1] = (s->aa * s->br - s->ab * s->ar) / det;
    } else {
        const double u = f.along[0];
        const double v = f.along[1];
        const double length =
            (u * s->ar + v * s->br) / (u * u * s->aa + 2.0 * u * v * s->ab + v * v * s->bb);

        step[0] = length * u;
        step[1] = length * v;
    }
}

/* Gauss-Newton from a law that is positive; steps that leave the positive laws, or climb, are
 * halved. */
static bool descend(const nl_points *p, double exponent, freedom f, law *at, products *s)
{
    if (!isfinite(at->base + at->scale) || !columns(p, exponent, at->base, at->scale, s)) {
        return false;
    }
    for (int k = 0; k < most_iterations; k++) {
        const double before = s->rr;
        double step[2] = {0};
        double part = 1.0;
        products next = {0};

        step_of(s, f, step);
        if (!isfinite(step[0] + step[1])) {
            break;
        }
        while (part > 1e-4 && !(columns(p, exponent, at->base + part * step[0],
                                        at->scale + part * step[1], &next) &&
                                next.rr <= before)) {
            part *= 0.5;
        }
        if (part <= 1e-4) {
            break;
        }
        at->base += part * step[0];
        at->scale += part * step[1];
        *s = next;
        if (before - next.rr <= 1e-10 * (1.0 + before)) {
            break;
        }
    }
    at->chi2 = s->rr;
    return true;
}

/* Offset and amplitude of a law: base + scale (u - 1) / -e = offset + amplitude u. */
static double offset_of(const law *l, double exponent)
{
    return l->base + l->scale / exponent;
}

static law solve_free(const nl_points *p, double exponent)
{
    const freedom both = {.both = true};
    products s = first_guess(p, exponent);
    double guess[2] = {0};
    law found = {.chi2 = INFINITY};
    double det = 0.0;

    step_of(&s, both, guess);
    found.base = guess[0];
    found.scale = guess[1];
    if (!descend(p, exponent, both, &found, &s)) {
        found = (law){.base = exp(p->mean[0]), .chi2 = INFINITY};
        if (!descend(p, exponent, both, &found, &s)) {
            return found;
        }
    }
    det = s.aa * s.bb - s.ab * s.ab;
    found.offset = offset_of(&found, exponent);
    found.offset_error =
        (s.bb - 2.0 * s.ab / exponent + s.aa / (exponent * exponent)) / det; /* c' A^-1 c */
    return found;
}

/* Amplitude alone, from the mean of what is beside the offset: above or below all points. */
static law solve_fixed(const nl_points *p, double exponent, double offset)
{
    const double e = fabs(exponent) < 1e-6 ? copysign(1e-6, exponent) : exponent;
    const freedom f = {.along = {1.0, -e}};
    double up = 0.0;
    double down = 0.0;
    products s = {0};
    law found = {.chi2 = INFINITY};

    for (int j = 0; j < p->count; j++) {
        const double u = exp(-e * p->place[j]);

        up += p->weight[j] * u * (exp(p->mean[j]) - offset) * exp(-2.0 * p->mean[j]);
        down += p->weight[j] * u * u * exp(-2.0 * p->mean[j]);
    }
    /* amplitude A: base = offset + A, scale = -e A */
    found.base = offset + up / down;
    found.scale = -e * up / down;
    if (offset == 0.0 && !(up / down > 0.0)) {
        return found;
    }
    if (!descend(p, e, f, &found, &s)) {
        found.chi2 = INFINITY;
    }
    found.offset = offset;
    return found;
}

/* The best law at an exponent with its offset within [least, most]. */
static law solve(const nl_points *p, double exponent, double least, double most)
{
    law found = solve_free(p, exponent);
    law other = {.chi2 = INFINITY};

    if (found.offset >= least && found.offset <= most) {
        return found;
    }
    found = (law){.chi2 = INFINITY};
    if (isfinite(least)) {
        found = solve_fixed(p, exponent, least);
    }
    if (isfinite(most)) {
        other = solve_fixed(p, exponent, most);
    }
    return other.chi2 < found.chi2 ? other : found;
}

static double chi2_at(const nl_points *p, double exponent, double least, double most)
{
    return solve(p, exponent, least, most).chi2;
}

static double scan_at(int k)
{
    return nl_steepest * (2.0 * k / scan_steps - 1.0);
}

/* Least chi-square: the best of a scan and of `near`, refined by golden section around it. */
static double minimise(const nl_points *p, double least, double most, double near)
{
    const double golden = 0.5 * (sqrt(5.0) - 1.0);
    const double step = 2.0 * nl_steepest / scan_steps;
    double best = isfinite(near) && fabs(near) < nl_steepest ? near : scan_at(0);
    double value = chi2_at(p, best, least, most);
    double low = 0.0;
    double high = 0.0;

    for (int k = 0; k <= scan_steps; k++) {
        const double here = chi2_at(p, scan_at(k), least, most);

        if (here < value) {
            best = scan_at(k);
            value = here;
        }
    }
    low = fmax(best - step, -nl_steepest);
    high = fmin(best + step, nl_steepest);
    for (int k = 0; k < refinements; k++) {
        const double left = high - golden * (high - low);
        const double right = low + golden * (high - low);

        if (chi2_at(p, left, least, most) <= chi2_at(p, right, least, most)) {
            high = right;
        } else {
            low = left;
        }
    }
    return chi2_at(p, 0.5 * (low + high), least, most) < value ? 0.5 * (low + high) : best;
}

/*---------------------------------------------------------------------------------------------
 * Profiles
 *-------------------------------------------------------------------------------------------*/

/* Rise of chi-square at the ends of the exponent's interval.  Shares of the points in its variance
 * are those of its column, less what base and scale explain of it. */
static double exponent_rise(const nl_points *p, const law *l, double exponent)
{
    double *share = p->scratch;
    double sum = 0.0;
    double inflation = 1.0;
    double degrees = 0.0;
    products s = {0};
    double step[2] = {0};

    for (int pass = 0; pass < 2; pass++) {
        for (int j = 0; j < p->count; j++) {
            const double x = p->place[j];
            const double y = l->base + l->scale * basis(x, exponent);
            const double u = exp(-exponent * x);
            const double amplitude = fabs(exponent) < 1e-6 ? 1.0 : l->scale / -exponent;
            const double column = amplitude * u * x / y;
            const double a = 1.0 / y;
            const double b = u / y;

            if (pass == 0) {
                add(&s, p->weight[j], a, b, column);
            } else {
                share[j] = p->weight[j] * pow(column - step[0] * a - step[1] * b, 2.0);
                sum += share[j];
            }
        }
        if (pass == 0) {
            step_of(&s, (freedom){.both = true}, step);
        }
    }
    for (int j = 0; j < p->count; j++) {
        share[j] = sum > 0.0 && isfinite(sum) ? share[j] / sum : 1.0 / p->count;
    }
    degrees = nl_points_degrees(p, share, &inflation);
    return pow(nl_student_quantile(degrees), 2.0) * inflation;
}

nl_profile nl_profile_power(const nl_points *points)
{
    products s = {0};
    double step[2] = {0};
    nl_profile fit = {.offset = {0.0, NAN, NAN}};

    for (int j = 0; j < points->count; j++) {
        add(&s, points->weight[j], 1.0, points->place[j], points->mean[j]);
    }
    step_of(&s, (freedom){.both = true}, step);
    for (int j = 0; j < points->count; j++) {
        const double rest = points->mean[j] - step[0] - step[1] * points->place[j];

        fit.chi2 += points->weight[j] * rest * rest;
    }
    fit.exponent = (nl_interval){-step[1], NAN, NAN};
    fit.amplitude = exp(step[0] - step[1] * middle(points));
    return fit;
}

nl_profile nl_profile_offset(const nl_points *points, double least, double most, double near)
{
    const double best = minimise(points, least, most, near);
    const law l = solve(points, best, least, most);

    return (nl_profile){.exponent = {best, NAN, NAN},
                        .offset = {l.offset, NAN, NAN},
                        .amplitude = l.scale / -best * exp(best * middle(points)),
                        .chi2 = l.chi2,
                        .rise = exponent_rise(points, &l, best)};
}

/* The last exponent, seen from the best one, below `level`: infinite where that is the steepest. */
static double bound(const nl_points *p, const double range[2], double best, double level,
                    double direction)
{
    const double step = 2.0 * nl_steepest / scan_steps;
    double inside = best;
    double outside = direction * nl_steepest;

    if (!(chi2_at(p, outside, range[0], range[1]) > level)) {
        return direction * INFINITY;
    }
    /* From the far end inward: a profile may have more than one valley. */
    while (direction * (outside - best) > step &&
           chi2_at(p, outside - direction * step, range[0], range[1]) > level) {
        outside -= direction * step;
    }
    inside = direction * (outside - best) > step ? outside - direction * step : best;
    for (int k = 0; k < refinements; k++) {
        const double half = 0.5 * (inside + outside);

        if (chi2_at(p, half, range[0], range[1]) > level) {
            outside = half;
        } else {
            inside = half;
        }
    }
    return inside;
}

/* All offsets within `level` at some exponent of the interval: chi-square is all but quadratic in
 * the offset where the exponent is held. */
static void bound_offset(const nl_points *p, const double range[2], double level, nl_profile *fit)
{
    const double low = fmax(fit->exponent.low, -nl_steepest);
    const double high = fmin(fit->exponent.high, nl_steepest);

    fit->offset.low = fit->offset.high = fit->offset.value;
    for (int k = 0; k <= offset_steps; k++) {
        const double e = low + (high - low) * k / offset_steps;
        const law l = solve_free(p, e);
        const double half = sqrt((level - l.chi2) * l.offset_error);

        if (l.chi2 <= level && isfinite(half) && l.offset - half <= range[1] &&
            l.offset + half >= range[0]) {
            fit->offset.low = fmin(fit->offset.low, l.offset - half);
            fit->offset.high = fmax(fit->offset.high, l.offset + half);
        }
    }
    fit->offset.low = fmax(fit->offset.low, range[0]);
    fit->offset.high = fmin(fit->offset.high, range[1]);
}

/* What the means share moves offset and amplitude alike; it is known from the seeds' effects only.
 */
static void include_shared(const nl_points *p, const double range[2], nl_profile *fit)
{
    const double error = nl_student_quantile(p->seeds - p->loose - 1) * sqrt(p->shared);
    nl_interval *o = &fit->offset;

    if (p->shared > 0.0) {
        const double down = hypot(o->value - o->low, o->value * error);
        const double up = hypot(o->high - o->value, o->value * error);

        *o =
            (nl_interval){o->value, fmax(o->value - down, range[0]), fmin(o->value + up, range[1])};
    }
}

void nl_profile_bound(const nl_points *points, double least, double most, nl_profile *profile)
{
    const double range[2] = {least, most};
    const double level = profile->chi2 + profile->rise;
    const double best = profile->exponent.value;

    profile->exponent.low = bound(points, range, best, level, -1.0);
    profile->exponent.high = bound(points, range, best, level, 1.0);
    bound_offset(points, range, level, profile);
    include_shared(points, range, profile);
}
