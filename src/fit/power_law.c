/** @file power_law.c  Power law with or without an offset: which, and with what interval. */
#include "points.h"
#include "profile.h"
#include "scatter.h"
#include "student.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

/* Below this difference of AIC both laws are kept in the interval. */
static const double aic_undecided = 1.0;

/* A law with three parameters is tested by four points. */
enum { offset_points = 4 };

/* Slopes of this size are rounding of values that do not change. */
static const double constant_slope = 1e-12;

/* A law that is this unlikely to leave such residuals does not fit. */
static const double misfit_level = 0.01;

/* Of a two-sided interval of 95 % from an error that is known. */
static const double normal_quantile = 1.959963984540054;

static bool is_constant(int count, const double *slopes, const nl_points *p)
{
    if (count == 0) {
        return false;
    }
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

static nl_interval widen(nl_interval i, double factor)
{
    return (nl_interval){i.value, i.value - factor * (i.value - i.low),
                         i.value + factor * (i.high - i.value)};
}

static double two_sided(double t, double degrees)
{
    return degrees > 0.0 ? 2.0 * gsl_cdf_tdist_Q(fabs(t), degrees) : NAN;
}

/* Mean of the seeds' slopes.  What is known to be uncertain at their points they may share. */
static void take_slopes(const nl_points *p, int slopes, const double *slope,
                        const double *intercept, nl_fit *out)
{
    const double known = nl_points_known_slope(p);

    out->slope = nl_student_mean(slopes, slope);
    out->amplitude = exp(nl_student_mean(slopes, intercept).value);
    if (slopes < 2) {
        nl_note(out->note, "one seed: no interval");
    } else {
        const double t = nl_student_quantile(slopes - 1);
        const double half = out->slope.high - out->slope.value;
        const double wider = hypot(half, normal_quantile * sqrt(known));

        if (known > 0.0) {
            out->slope.low = out->slope.value - wider;
            out->slope.high = out->slope.value + wider;
        }
        out->slope_p = two_sided(out->slope.value / (wider / t), slopes - 1);
    }
}

/* Least squares of the means, all with one weight, so that it is the slope that seeds would have.
 */
static void take_pooled(const nl_points *p, nl_fit *out)
{
    double *share = p->scratch;
    double middle = 0.0;
    double mean = 0.0;
    double length = 0.0;
    double slope = 0.0;
    double variance = 0.0;

    for (int j = 0; j < p->count; j++) {
        middle += log(p->x[j]) / p->count;
        mean += p->mean[j] / p->count;
    }
    for (int j = 0; j < p->count; j++) {
        length += pow(log(p->x[j]) - middle, 2.0);
        slope += (log(p->x[j]) - middle) * p->mean[j];
    }
    slope /= length;
    for (int j = 0; j < p->count; j++) {
        share[j] = pow((log(p->x[j]) - middle) / length, 2.0) / p->weight[j];
        variance += share[j];
    }
    for (int j = 0; j < p->count; j++) {
        share[j] /= variance;
    }
    out->amplitude = exp(mean - slope * middle);
    out->slope = (nl_interval){slope, NAN, NAN};
    if (p->degrees > 0.0) {
        double inflation = 1.0;
        const double degrees = nl_points_degrees(p, share, &inflation);
        const double half = nl_student_quantile(degrees) * sqrt(variance);

        out->slope = (nl_interval){slope, slope - half, slope + half};
        out->slope_p = two_sided(slope / sqrt(variance), degrees);
    }
    nl_note(out->note, "seeds differ from point to point, so their scatter is not paired");
}

static void take_power(const nl_points *p, nl_fit *out)
{
    out->law = NL_LAW_POWER;
    out->exponent = (nl_interval){-out->slope.value, -out->slope.high, -out->slope.low};
    out->offset = (nl_interval){0.0, NAN, NAN};
    if (p->loose > 0) {
        nl_note(out->note, "%d seed%s with too few points for a slope", p->loose,
                p->loose == 1 ? "" : "s");
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

/* The interval of an offset with a floor may end above the smallest mean, by that mean's error. */
static double highest_offset(const nl_points *p, nl_offset_range range, double rise)
{
    double most = range.most;

    if (range.floor) {
        most = INFINITY;
        for (int j = 0; j < p->count; j++) {
            most = fmin(most, exp(p->mean[j] + sqrt(rise / p->weight[j])));
        }
    }
    return most;
}

/* Chi-square wants an offset that the quantity cannot have: the points bend the other way, or go
 * on beyond what is possible. */
static bool runs_away(const nl_points *p, nl_offset_range range, const nl_profile *power,
                      const nl_profile *offset, nl_fit *out)
{
    const double near = offset->exponent.value;
    const double most = highest_offset(p, range, offset->rise);
    nl_profile any;

    if (offset->offset.value > range.least && offset->offset.value < range.most) {
        return false;
    }
    any = nl_profile_offset(p, -INFINITY, INFINITY, near);
    if (!(offset->chi2 - any.chi2 > offset->rise) ||
        !(nl_profile_offset(p, range.least, most, near).chi2 - any.chi2 > offset->rise)) {
        return false;
    }
    out->ran_away = true;
    out->exponent.low = out->exponent.high = NAN;
    if (any.exponent.value * power->exponent.value > 0.0 &&
        fabs(any.exponent.value) < fabs(power->exponent.value)) {
        nl_note(out->note,
                "between a power and a logarithm: exponent and floor are not identified");
    } else {
        nl_note(out->note, "bends as no power with a possible offset does: exponent and offset are "
                           "not identified");
    }
    return true;
}

static void widen_misfit(nl_offset_range range, double ratio, nl_profile *offset, nl_fit *out)
{
    offset->exponent = widen(offset->exponent, sqrt(ratio));
    offset->offset = widen(offset->offset, sqrt(ratio));
    offset->offset.low = fmax(offset->offset.low, range.least);
    offset->offset.high = fmin(offset->offset.high, range.most);
    nl_note(out->note,
            "neither law fits within the scatter of seeds (chi-square %.1f a degree of freedom): "
            "interval widened",
            ratio);
}

/* Intervals of the offset's law, or of both. */
static void take_both(const nl_profile *offset, bool both, nl_fit *out)
{
    const nl_interval single = out->exponent;

    out->exponent = (nl_interval){single.value, offset->exponent.low, offset->exponent.high};
    out->offset = (nl_interval){0.0, offset->offset.low, offset->offset.high};
    if (both) {
        out->exponent.low = fmin(single.low, out->exponent.low);
        out->exponent.high = fmax(single.high, out->exponent.high);
        out->offset.low = fmin(0.0, out->offset.low);
    }
}

/* AIC of the power less that of the offset decides.  Nested laws: an offset never fits worse, so
 * that AIC prefers the power by 2 at most, and then the interval is that of both. */
static void choose(const nl_points *p, nl_offset_range range, nl_fit *out)
{
    const nl_profile power = nl_profile_power(p);
    nl_profile offset = nl_profile_offset(p, range.least, range.most, power.exponent.value);
    const double gain = power.chi2 - offset.chi2 - 2.0;
    const bool steep = fabs(offset.exponent.value) >= nl_steepest - 0.1;
    const bool at_most = !range.floor && offset.offset.value >= range.most * (1.0 - 1e-9);
    const bool at_end = steep || !isfinite(offset.offset.value); /* a step, or a logarithm */
    double ratio = 1.0;

    out->chi2_offset = offset.chi2;
    out->offset_p = nl_points_lack_of_fit(p, offset.chi2, 3, &ratio);
    if (runs_away(p, range, &power, &offset, out)) {
        return;
    }
    range.most = highest_offset(p, range, offset.rise);
    nl_profile_bound(p, range.least, range.most, &offset);
    if (out->offset_p < misfit_level) {
        widen_misfit(range, ratio, &offset, out);
    }
    take_both(&offset, gain < aic_undecided || at_end, out);
    if (gain > 0.0 && !at_end) {
        out->law = NL_LAW_OFFSET;
        out->exponent.value = offset.exponent.value;
        out->offset.value = offset.offset.value;
        out->amplitude = offset.amplitude;
        if (gain < aic_undecided) {
            nl_note(out->note, "a pure power does nearly as well");
        }
        if (at_most) {
            nl_note(out->note, "the offset is the most that is possible");
        }
        note_bounds(out, "the exponent");
    } else if (gain > 0.0) {
        nl_note(out->note,
                "an offset fits better, as a %s: its exponent is not identified, this one is the "
                "power law's",
                steep ? "step at one end" : "logarithm");
    } else {
        note_bounds(out, "an offset cannot be excluded, with which the exponent");
    }
}

/* By how much, in its own errors, the mean of log y of one point exceeds that of another. */
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

/* Chi-square of the power, and an offset where the points can test it. */
static void test_laws(const nl_points *p, nl_offset_range range, nl_fit *out)
{
    double ratio = NAN;

    range.floor = range.floor && p->count > 0 && p->mean[0] > p->mean[p->count - 1];
    if (range.floor) {
        for (int j = 0; j < p->count; j++) {
            range.most = fmin(range.most, exp(p->mean[j]));
        }
    }
    if (p->degrees > 0.0) {
        out->chi2_power = nl_profile_power(p).chi2;
        out->power_p = nl_points_lack_of_fit(p, out->chi2_power, 2, &ratio);
    }
    if (p->count < offset_points) {
        out->exponent.low = out->exponent.high = NAN;
        nl_note(out->note, "%d points: an offset cannot be tested, so the exponent has no interval",
                p->count);
    } else if (p->degrees > 0.0 && !isnan(out->slope.low)) {
        choose(p, range, out);
    }
    out->identified = isfinite(out->exponent.low) && isfinite(out->exponent.high);
}

static nl_status fit_points(nl_points *p, nl_offset_range range, nl_fit *out)
{
    double *slope = nl_calloc((size_t)p->seeds, sizeof *slope);
    double *intercept = nl_calloc((size_t)p->seeds, sizeof *intercept);
    nl_status status = NL_OK;
    int slopes = 0;

    if (slope == NULL || intercept == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the slopes of %d seeds", p->seeds);
    } else {
        status = nl_points_scatter(p);
    }
    if (status != NL_OK) {
        goto done;
    }
    slopes = nl_points_slopes(p, slope, intercept);
    if (p->count == 0) {
        nl_note(out->note, "no usable values");
    } else if (p->count == 1) {
        nl_note(out->note, "one point: no slope");
    } else if (slopes == 0 && !(p->degrees > 0.0)) {
        nl_note(out->note, "no seed has the points for a slope");
    } else if (is_constant(slopes, slope, p)) {
        out->constant = true;
        nl_note(out->note, "constant: the same at every point");
    } else {
        if (slopes > 0 && (p->paired || !(p->degrees > 0.0))) {
            take_slopes(p, slopes, slope, intercept, out);
        } else {
            take_pooled(p, out);
        }
        take_power(p, out);
        find_turn(p, out);
        test_laws(p, range, out);
    }

done:
    free(slope);
    free(intercept);
    return status;
}

nl_status nl_fit_power_law(int count, const nl_sample *samples, nl_offset_range range, nl_fit *out)
{
    nl_points p = {0};
    nl_status status = nl_points_create(count, samples, &p);

    *out = (nl_fit){.exponent = {NAN, NAN, NAN},
                    .slope = {NAN, NAN, NAN},
                    .slope_p = NAN,
                    .amplitude = NAN,
                    .offset = {NAN, NAN, NAN},
                    .turn = NAN,
                    .chi2_power = NAN,
                    .chi2_offset = NAN,
                    .power_p = NAN,
                    .offset_p = NAN};
    if (status != NL_OK) {
        return status;
    }
    out->points = p.count;
    out->seeds = p.seeds;
    out->unused = p.unused;
    out->first = p.count > 0 ? p.x[0] : NAN;
    out->last = p.count > 0 ? p.x[p.count - 1] : NAN;
    status = fit_points(&p, range, out);
    nl_points_free(&p);
    return status;
}
