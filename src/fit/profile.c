/** @file profile.c  Chi-square of y = offset + amplitude x^-exponent, profiled over the exponent.
 */
#include "points.h"

#include <math.h>

enum { scan_steps = 160, refinements = 60 };

/** The law at one exponent, linear in the rest: y = base + scale b(x). */
typedef struct linear {
    double base, scale, chi2;
} linear;

/* Middle of the scales: x is taken relative to it, so that base and scale are of like size. */
static double middle(const nl_points *p)
{
    return 0.5 * (log(p->x[0]) + log(p->x[p->count - 1]));
}

/* With an offset: (x^-e - 1) / -e, which is log x at e = 0 and spans the same laws. */
static double basis(double log_x, double exponent, bool offset)
{
    if (!offset) {
        return exp(-exponent * log_x);
    }
    return fabs(exponent) < 1e-9 ? log_x : expm1(-exponent * log_x) / -exponent;
}

/* Weighted least squares of the means on one basis function, with or without a constant. */
static linear solve(const nl_points *p, double exponent, bool offset)
{
    const double centre = middle(p);
    double sum_w = 0.0;
    double mean_b = 0.0;
    double mean_y = 0.0;
    double bb = 0.0;
    double by = 0.0;
    linear law = {0};

    for (int j = 0; offset && j < p->count; j++) {
        sum_w += p->weight[j];
        mean_b += p->weight[j] * basis(log(p->x[j]) - centre, exponent, offset);
        mean_y += p->weight[j] * p->mean[j];
    }
    mean_b = offset ? mean_b / sum_w : 0.0;
    mean_y = offset ? mean_y / sum_w : 0.0;
    for (int j = 0; j < p->count; j++) {
        const double b = basis(log(p->x[j]) - centre, exponent, offset) - mean_b;

        bb += p->weight[j] * b * b;
        by += p->weight[j] * b * (p->mean[j] - mean_y);
    }
    law.scale = bb > 0.0 ? by / bb : 0.0;
    law.base = mean_y - law.scale * mean_b;
    for (int j = 0; j < p->count; j++) {
        const double b = basis(log(p->x[j]) - centre, exponent, offset);

        law.chi2 += p->weight[j] * pow(p->mean[j] - law.base - law.scale * b, 2.0);
    }
    return law;
}

static double chi2_at(const nl_points *p, double exponent, bool offset)
{
    return solve(p, exponent, offset).chi2;
}

static double scan_at(int k)
{
    return nl_steepest * (2.0 * k / scan_steps - 1.0);
}

/* Least chi-square: the best of a scan, refined by golden section between its neighbours. */
static double minimise(const nl_points *p, bool offset)
{
    const double golden = 0.5 * (sqrt(5.0) - 1.0);
    int best = 0;
    double low = 0.0;
    double high = 0.0;

    for (int k = 1; k <= scan_steps; k++) {
        if (chi2_at(p, scan_at(k), offset) < chi2_at(p, scan_at(best), offset)) {
            best = k;
        }
    }
    low = scan_at(best > 0 ? best - 1 : best);
    high = scan_at(best < scan_steps ? best + 1 : best);
    for (int k = 0; k < refinements; k++) {
        const double left = high - golden * (high - low);
        const double right = low + golden * (high - low);

        if (chi2_at(p, left, offset) <= chi2_at(p, right, offset)) {
            high = right;
        } else {
            low = left;
        }
    }
    return 0.5 * (low + high);
}

/* The last exponent, seen from the best one, below `level`: infinite where that is the nl_steepest.
 */
static double bound(const nl_points *p, bool offset, double best, double level, double direction)
{
    const double step = 2.0 * nl_steepest / scan_steps;
    double inside = best;
    double outside = direction * nl_steepest;

    if (!(chi2_at(p, outside, offset) > level)) {
        return direction * INFINITY;
    }
    /* From the far end inward: a profile may have more than one valley. */
    while (direction * (outside - best) > step &&
           chi2_at(p, outside - direction * step, offset) > level) {
        outside -= direction * step;
    }
    inside = direction * (outside - best) > step ? outside - direction * step : best;
    for (int k = 0; k < refinements; k++) {
        const double half = 0.5 * (inside + outside);

        if (chi2_at(p, half, offset) > level) {
            outside = half;
        } else {
            inside = half;
        }
    }
    return inside;
}

nl_profile nl_profile_fit(const nl_points *points, bool offset, double rise)
{
    const double best = minimise(points, offset);
    const linear law = solve(points, best, offset);
    const double centre = middle(points);
    nl_profile fit = {.exponent = {best, NAN, NAN}, .chi2 = law.chi2};

    /* Back from base + scale b(x / middle) to offset + amplitude x^-exponent. */
    if (!offset) {
        fit.amplitude = law.scale * exp(best * centre);
    } else {
        fit.amplitude = law.scale / -best * exp(best * centre);
        fit.offset = law.base + law.scale / best;
    }
    if (isfinite(rise)) {
        fit.exponent.low = bound(points, offset, best, law.chi2 + rise, -1.0);
        fit.exponent.high = bound(points, offset, best, law.chi2 + rise, 1.0);
    }
    return fit;
}
