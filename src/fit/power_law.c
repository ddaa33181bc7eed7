/** @file power_law.c  Power law with or without an offset: which, and with what interval. */
#include "points.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

/* Below this difference of AIC both laws are kept in the interval. */
static const double aic_undecided = 2.0;

/* A law with three parameters is tested by four points. */
enum { offset_points = 4 };

/* Slopes of this size are rounding of values that do not change. */
static const double constant_slope = 1e-12;

/* A law that is this unlikely to leave such residuals does not fit. */
static const double misfit_level = 0.01;

static bool is_constant(int count, const double *slopes, const nl_points *p)
{
    for (int k = 0; k < count; k++) {
        if (fabs(slopes[k]) > constant_slope) {
            return false;
        }
    }
    for (int k = 0; k < p->seeds; k++) {
        double low = INFINITY;
        double high = -INFINITY;

        for (int j = 0; j < p->count; j++) {
            low = fmin(low, isnan(p->y[k * p->count + j]) ? INFINITY : p->y[k * p->count + j]);
            high = fmax(high, isnan(p->y[k * p->count + j]) ? -INFINITY : p->y[k * p->count + j]);
        }
        if (high > low * (1.0 + constant_slope)) {
            return false;
        }
    }
    return true;
}

/* How much more likely residuals of this size are than chance: F of chi-square against the variance
 * among seeds. */
static bool misfits(double chi2, int freedom, double degrees, double *ratio)
{
    *ratio = chi2 / freedom;
    return freedom > 0 && gsl_cdf_fdist_Q(*ratio, freedom, degrees) < misfit_level;
}

static nl_interval widen(nl_interval i, double factor)
{
    return (nl_interval){i.value, i.value - factor * (i.value - i.low),
                         i.value + factor * (i.high - i.value)};
}

static void take_power(const nl_points *p, int slopes, const double *intercept, nl_fit *out)
{
    out->law = NL_LAW_POWER;
    out->exponent = (nl_interval){-out->slope.value, -out->slope.high, -out->slope.low};
    out->amplitude = exp(nl_student_mean(slopes, intercept).value);
    out->offset = 0.0;
    if (slopes < 2) {
        nl_note(out->note, "one seed: no interval");
    }
    if (slopes < p->seeds && slopes > 0) {
        nl_note(out->note, "%d seeds have too few points for a slope", p->seeds - slopes);
    }
}

/* What the interval says about an exponent that the points do not pin down. */
static void note_bounds(nl_fit *out, const char *of)
{
    const bool low = isinf(out->exponent.low);
    const bool high = isinf(out->exponent.high);

    if (low && high) {
        nl_note(out->note, "%s is not identified by these points", of);
    } else if (low || high) {
        nl_note(out->note, "%s is not bounded %s by these points", of, low ? "below" : "above");
    }
}

static void choose(const nl_points *p, nl_fit *out)
{
    const double t = nl_student_quantile(p->degrees);
    const nl_profile power = nl_profile_fit(p, false, NAN);
    nl_profile offset = nl_profile_fit(p, true, t * t);
    const double gain =
        power.chi2 - offset.chi2 - 2.0; /* AIC of the power less that of the offset */
    double ratio = 1.0;

    out->chi2_power = power.chi2;
    out->chi2_offset = offset.chi2;
    if (misfits(offset.chi2, p->count - 3, p->degrees, &ratio)) {
        offset.exponent = widen(offset.exponent, sqrt(ratio));
        nl_note(out->note,
                "neither law fits within the scatter of seeds (chi-square %.1f a degree of "
                "freedom): interval widened",
                ratio);
    }
    if (gain > 0.0 && fabs(offset.exponent.value) < nl_steepest - 0.1) {
        const nl_interval single = out->exponent;

        out->law = NL_LAW_OFFSET;
        out->amplitude = offset.amplitude;
        out->offset = offset.offset;
        out->exponent = offset.exponent;
        if (gain < aic_undecided) {
            out->exponent.low = fmin(single.low, out->exponent.low);
            out->exponent.high = fmax(single.high, out->exponent.high);
            nl_note(out->note, "a pure power does nearly as well");
        }
        note_bounds(out, "the exponent");
        return;
    }
    /* Nested laws: an offset never fits worse, so that AIC prefers the power by 2 at most. */
    out->exponent.low = fmin(out->exponent.low, offset.exponent.low);
    out->exponent.high = fmax(out->exponent.high, offset.exponent.high);
    if (gain > 0.0) {
        nl_note(out->note, "an offset fits better, as a step at one end: its exponent is not "
                           "identified, this one is the power law's");
    } else {
        note_bounds(out, "an offset cannot be excluded, with which the exponent");
    }
}

/* By how much, in its own errors, the mean of one point exceeds that of another. */
static double excess(const nl_points *p, int a, int b)
{
    return (p->mean[a] - p->mean[b]) / sqrt(1.0 / p->weight[a] + 1.0 / p->weight[b]);
}

/* A slope hides a peak or a dip: look for one that stands out from both ends. */
static void find_turn(const nl_points *p, nl_fit *out)
{
    const double t = nl_student_quantile(p->degrees);
    double most = t;

    for (int j = 1; p->degrees > 0.0 && j + 1 < p->count; j++) {
        const double up = fmin(excess(p, j, 0), excess(p, j, p->count - 1));
        const double down = fmin(excess(p, 0, j), excess(p, p->count - 1, j));

        if (fmax(up, down) > most) {
            most = fmax(up, down);
            out->turn = p->x[j];
            out->turn_is_peak = up > down;
        }
    }
}

nl_status nl_fit_power_law(int count, const nl_sample *samples, nl_fit *out)
{
    nl_points p = {0};
    double *slope = NULL;
    double *intercept = NULL;
    int slopes = 0;
    nl_status status = nl_points_create(count, samples, &p);

    *out = (nl_fit){.exponent = {NAN, NAN, NAN},
                    .slope = {NAN, NAN, NAN},
                    .amplitude = NAN,
                    .offset = NAN,
                    .turn = NAN,
                    .chi2_power = NAN,
                    .chi2_offset = NAN};
    if (status != NL_OK) {
        return status;
    }
    out->points = p.count;
    out->seeds = p.seeds;
    out->unused = p.unused;
    out->first = p.count > 0 ? p.x[0] : NAN;
    out->last = p.count > 0 ? p.x[p.count - 1] : NAN;
    slope = nl_calloc((size_t)p.seeds, sizeof *slope);
    intercept = nl_calloc((size_t)p.seeds, sizeof *intercept);
    if (slope == NULL || intercept == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the slopes of %d seeds", p.seeds);
        goto done;
    }
    slopes = nl_points_slopes(&p, slope, intercept);
    if (p.count == 0) {
        nl_note(out->note, "no usable values");
    } else if (p.count == 1) {
        nl_note(out->note, "one point: no slope");
    } else if (slopes == 0) {
        nl_note(out->note, "no seed has the points for a slope");
    } else if (is_constant(slopes, slope, &p)) {
        out->constant = true;
        nl_note(out->note, "constant: the same at every point");
    } else {
        out->slope = nl_student_mean(slopes, slope);
        take_power(&p, slopes, intercept, out);
        find_turn(&p, out);
        if (p.count < offset_points) {
            nl_note(out->note, "%d points: an offset cannot be tested", p.count);
        } else if (slopes > 1 && p.degrees > 0.0) {
            choose(&p, out);
        }
    }

done:
    free(slope);
    free(intercept);
    nl_points_free(&p);
    return status;
}
