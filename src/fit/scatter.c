/** @file scatter.c  Means of points, effects of seeds, and the variance of each point's noise. */
#include "scatter.h"
#include "points.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_psi.h>
#include <math.h>
#include <stdlib.h>

/* Seeds that measured the same to the last digits leave this deviation of log y, that of the
 * numbers in a table read by people. */
static const double least_deviation = 1e-9;

/* Standard deviation of the prior, around 0, of the slope of log variance against log x: 1 is noise
 * that falls as x^-0.5, as that of many independent parts does. */
static const double prior_slope = 1.0;

/* Slopes that are looked at. */
static const double steepest_trend = 6.0;

enum { sweeps = 200, rounds = 4, trend_steps = 48, refinements = 40 };

/** What the estimation works on. */
typedef struct work {
    nl_points *p;
    double *log_y;   /* owned, [seeds x count]; NaN: none, or of a seed that is not used */
    double *effect;  /* owned, [seeds] */
    double *z;       /* owned, [count]: log x, less its mean by degrees of freedom */
    double *squares; /* owned, [count]: of deviations from mean and effect */
    double *freedom; /* owned, [count]: of squares, in units of the variance */
    int *samples;    /* owned, [count] */
    double trend[2]; /* log variance at z = 0, its slope */
    double prior;    /* degrees of freedom that the trend is worth; infinite: the points add none */
} work;

static void work_free(work *w)
{
    free(w->log_y);
    free(w->effect);
    free(w->z);
    free(w->squares);
    free(w->freedom);
    free(w->samples);
}

static double at(const work *w, int seed, int point)
{
    return w->log_y[seed * w->p->count + point];
}

/*---------------------------------------------------------------------------------------------
 * Which samples, and are they paired
 *-------------------------------------------------------------------------------------------*/

/* Does every point hang together with the first one through seeds? */
static bool is_connected(const work *w, bool *reached)
{
    const nl_points *p = w->p;
    int found = 1;
    int before = 0;

    for (int j = 0; j < p->count; j++) {
        reached[j] = j == 0;
    }
    while (found > before) {
        before = found;
        for (int s = 0; s < p->seeds; s++) {
            bool touched = false;

            for (int j = 0; j < p->count; j++) {
                touched = touched || (reached[j] && !isnan(at(w, s, j)));
            }
            for (int j = 0; touched && j < p->count; j++) {
                found += !reached[j] && !isnan(at(w, s, j)) ? 1 : 0;
                reached[j] = reached[j] || !isnan(at(w, s, j));
            }
        }
    }
    return found == p->count;
}

/* Take the samples of all seeds, or of those that have points for a slope. */
static int take(work *w, bool linked_only)
{
    const nl_points *p = w->p;
    int taken = 0;

    for (int j = 0; j < p->count; j++) {
        w->samples[j] = 0;
    }
    for (int s = 0; s < p->seeds; s++) {
        const bool used = !linked_only || nl_points_linked(p, s);

        for (int j = 0; j < p->count; j++) {
            const double y = p->y[s * p->count + j];

            w->log_y[s * p->count + j] = used ? log(y) : NAN;
            w->samples[j] += used && !isnan(y) ? 1 : 0;
            taken += used && !isnan(y) ? 1 : 0;
        }
    }
    return taken;
}

static nl_status pair_up(work *w)
{
    nl_points *p = w->p;
    bool *reached = nl_calloc((size_t)p->count, sizeof *reached);
    const int all = take(w, false);
    int linked = 0;

    if (reached == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a fit of %d points", p->count);
    }
    for (int s = 0; s < p->seeds; s++) {
        linked += nl_points_linked(p, s) ? 1 : 0;
    }
    p->paired = linked > 1 && 2 * take(w, true) >= all && is_connected(w, reached);
    p->loose = p->paired ? p->seeds - linked : 0;
    if (!p->paired) {
        take(w, false);
    }
    free(reached);
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Means and effects: least squares, by turns
 *-------------------------------------------------------------------------------------------*/

/* Of a seed against the means; the variance of that effect, NaN where it has no samples. */
static double effect_of(const work *w, int seed, double *variance)
{
    const nl_points *p = w->p;
    double sum = 0.0;
    double weights = 0.0;

    for (int j = 0; j < p->count; j++) {
        if (!isnan(at(w, seed, j))) {
            sum += (at(w, seed, j) - p->mean[j]) / p->variance[j];
            weights += 1.0 / p->variance[j];
        }
    }
    *variance = weights > 0.0 ? 1.0 / weights : NAN;
    return weights > 0.0 ? sum / weights : 0.0;
}

/* Returns the largest change of a mean. */
static double update_means(const work *w)
{
    double most = 0.0;

    for (int j = 0; j < w->p->count; j++) {
        double sum = 0.0;

        for (int s = 0; s < w->p->seeds; s++) {
            sum += isnan(at(w, s, j)) ? 0.0 : at(w, s, j) - w->effect[s];
        }
        most = fmax(most, fabs(sum / w->samples[j] - w->p->mean[j]));
        w->p->mean[j] = sum / w->samples[j];
    }
    return most;
}

/* Effects, of mean 0; sets the variance that the means share. */
static void update_effects(const work *w)
{
    nl_points *p = w->p;
    double mean = 0.0;
    double noise = 0.0;
    double squares = 0.0;
    int used = 0;

    for (int s = 0; s < p->seeds; s++) {
        double variance = NAN;

        w->effect[s] = effect_of(w, s, &variance);
        if (!isnan(variance)) {
            mean += w->effect[s];
            noise += variance;
            used++;
        }
    }
    for (int s = 0; s < p->seeds; s++) {
        double variance = NAN;

        effect_of(w, s, &variance);
        w->effect[s] = isnan(variance) ? 0.0 : w->effect[s] - mean / used;
        squares += pow(w->effect[s], 2.0);
    }
    p->shared = fmax(0.0, (squares / (used - 1) - noise / used) / used);
}

static void update(const work *w)
{
    update_means(w);
    for (int k = 0; w->p->paired && k < sweeps; k++) {
        update_effects(w);
        if (update_means(w) < 1e-13) {
            break;
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Variance: a line for all points
 *-------------------------------------------------------------------------------------------*/

/* Share of a seed's effect that comes from a point. */
static double leverage(const work *w, int seed, int point)
{
    double weights = 0.0;

    for (int j = 0; j < w->p->count; j++) {
        weights += isnan(at(w, seed, j)) ? 0.0 : 1.0 / w->p->variance[j];
    }
    return 1.0 / (w->p->variance[point] * weights);
}

/* Squares of deviations, and what they are expected to be in units of the variance. */
static void measure(work *w)
{
    const nl_points *p = w->p;

    for (int j = 0; j < p->count; j++) {
        const double lost = 1.0 - 1.0 / w->samples[j]; /* by the mean */

        w->squares[j] = 0.0;
        w->freedom[j] = 0.0;
        for (int s = 0; s < p->seeds; s++) {
            if (!isnan(at(w, s, j))) {
                w->squares[j] += pow(at(w, s, j) - p->mean[j] - w->effect[s], 2.0);
                w->freedom[j] += lost * (p->paired ? 1.0 - leverage(w, s, j) : 1.0);
            }
        }
    }
}

/* Minus twice the restricted log likelihood of a slope of the trend, with its prior; *level: the
 * log variance at z = 0 that goes with it.  Each seed is a vector of noise, known up to a constant
 * where seeds are paired. */
static double deviance(const work *w, double slope, double *level)
{
    const nl_points *p = w->p;
    double logs = 0.0;
    double squares = 0.0;
    int vectors = 0;
    int samples = 0;

    for (int s = 0; s < p->seeds; s++) {
        double sum_w = 0.0;
        double sum_d = 0.0;
        double sum_dd = 0.0;

        for (int j = 0; j < p->count; j++) {
            if (!isnan(at(w, s, j))) {
                const double weight = exp(-slope * w->z[j]);
                const double d = at(w, s, j) - p->mean[j];

                logs += slope * w->z[j] * (p->paired ? 1.0 : 1.0 - 1.0 / w->samples[j]);
                sum_w += weight;
                sum_d += weight * d;
                sum_dd += weight * d * d;
                samples++;
            }
        }
        if (sum_w > 0.0) {
            logs += p->paired ? log(sum_w) : 0.0;
            squares += sum_dd - (p->paired ? sum_d * sum_d / sum_w : 0.0);
            vectors++;
        }
    }
    if (p->paired) { /* the means cost their part of each vector */
        logs *= p->degrees / (samples - vectors);
    }
    squares = fmax(squares, p->degrees * pow(least_deviation, 2.0));
    *level = log(squares / p->degrees);
    return p->degrees * *level + logs + pow(slope / prior_slope, 2.0);
}

static void fit_trend(work *w)
{
    const double golden = 0.5 * (sqrt(5.0) - 1.0);
    const double step = 2.0 * steepest_trend / trend_steps;
    double level = 0.0;
    double best = 0.0;
    double low = 0.0;
    double high = 0.0;

    for (int k = 0; k <= trend_steps; k++) {
        const double slope = k * step - steepest_trend;

        best = deviance(w, slope, &level) < deviance(w, best, &level) ? slope : best;
    }
    low = best - step;
    high = best + step;
    for (int k = 0; k < refinements; k++) {
        const double left = high - golden * (high - low);
        const double right = low + golden * (high - low);

        if (deviance(w, left, &level) <= deviance(w, right, &level)) {
            high = right;
        } else {
            low = left;
        }
    }
    w->trend[1] = 0.5 * (low + high);
    deviance(w, w->trend[1], &w->trend[0]);
}

/*---------------------------------------------------------------------------------------------
 * Variance: by point, shrunk to the line
 *-------------------------------------------------------------------------------------------*/

static double inverse_trigamma(double value)
{
    double y = 0.5 + 1.0 / value;

    for (int k = 0; k < refinements; k++) { /* Newton on 1 / trigamma, which is convex */
        const double tri = gsl_sf_psi_1(y);

        y += tri * (1.0 - tri / value) / gsl_sf_psi_n(2, y);
    }
    return y;
}

/* Degrees of freedom that the trend is worth: from how much more the logarithms of the points'
 * variances scatter around it than those of samples of one variance do, as far as that is more than
 * one standard error. */
static double prior_degrees(const work *w)
{
    double excess = 0.0;
    double error = 0.0;
    int used = 0;

    for (int j = 0; j < w->p->count; j++) {
        const double half = 0.5 * w->freedom[j];
        const double floor = pow(least_deviation, 2.0) * w->freedom[j];

        if (half > 0.25) {
            const double log_variance = log(fmax(w->squares[j], floor) / w->freedom[j]);
            const double expected =
                w->trend[0] + w->trend[1] * w->z[j] + gsl_sf_psi(half) - log(half);

            excess += pow(log_variance - expected, 2.0) - gsl_sf_psi_1(half);
            error += 2.0 * pow(gsl_sf_psi_1(half), 2.0);
            used++;
        }
    }
    excess = used > 2 ? (excess - sqrt(error)) / (used - 1) : 0.0;
    return excess > 1e-6 ? 2.0 * inverse_trigamma(excess) : INFINITY;
}

/* Weight of the trend in a point's variance. */
static double trend_share(const work *w, int point)
{
    return isinf(w->prior) ? 1.0 : w->prior / (w->prior + w->freedom[point]);
}

static void shrink(const work *w)
{
    nl_points *p = w->p;

    for (int j = 0; j < p->count; j++) {
        const double trend = exp(w->trend[0] + w->trend[1] * w->z[j]);
        const double share = trend_share(w, j);

        p->variance[j] = share * trend;
        if (share < 1.0) {
            p->variance[j] += w->squares[j] / (w->prior + w->freedom[j]);
        }
        p->variance[j] = fmax(p->variance[j], pow(least_deviation, 2.0));
    }
}

/* Centre z, so that level and slope of the trend have independent errors. */
static void centre(work *w)
{
    double sum = 0.0;
    double sum_d = 0.0;

    for (int j = 0; j < w->p->count; j++) {
        sum_d += w->freedom[j];
        sum += w->freedom[j] * w->p->place[j];
    }
    for (int j = 0; j < w->p->count; j++) {
        w->z[j] = w->p->place[j] - sum / sum_d;
    }
}

/* How sure the variances are: by their own samples, and by the trend. */
static void fill_covariance(const work *w)
{
    const nl_points *p = w->p;
    double sum = 0.0;

    for (int j = 0; j < p->count; j++) {
        sum += w->freedom[j] * pow(w->z[j], 2.0);
    }
    for (int j = 0; j < p->count; j++) {
        for (int k = 0; k < p->count; k++) {
            const double trend =
                2.0 / p->degrees + w->z[j] * w->z[k] * 2.0 / (sum + 2.0 / pow(prior_slope, 2.0));

            p->covariance[j * p->count + k] = trend_share(w, j) * trend_share(w, k) * trend;
        }
        if (!isinf(w->prior)) {
            p->covariance[j * p->count + j] += 2.0 / (w->prior + w->freedom[j]);
        }
    }
}

static double count_degrees(const work *w)
{
    const nl_points *p = w->p;
    int samples = 0;

    for (int j = 0; j < p->count; j++) {
        samples += w->samples[j];
    }
    samples -= p->count;
    return p->paired ? samples - (p->seeds - p->loose) + 1 : samples;
}

/* Of the means' variances a part is known, and sure. */
static void add_known(nl_points *p)
{
    for (int j = 0; j < p->count; j++) {
        const double estimated = 1.0 / p->weight[j];
        const double share = estimated / (estimated + p->known[j]);

        p->weight[j] = share / estimated;
        for (int k = 0; k < p->count; k++) {
            p->covariance[j * p->count + k] *= share;
            p->covariance[k * p->count + j] *= share;
        }
    }
}

static void estimate(work *w)
{
    nl_points *p = w->p;

    for (int j = 0; j < p->count; j++) {
        p->variance[j] = 1.0;
    }
    update(w);
    p->degrees = count_degrees(w);
    if (!(p->degrees > 0.0)) {
        p->degrees = 0.0;
        p->shared = 0.0;
    }
    w->prior = INFINITY;
    for (int k = 0; p->degrees > 0.0 && k < rounds; k++) {
        measure(w);
        centre(w);
        fit_trend(w);
        w->prior = prior_degrees(w);
        shrink(w);
        update(w);
    }
    if (p->degrees > 0.0) {
        measure(w);
        fill_covariance(w);
    }
    for (int j = 0; j < p->count; j++) {
        p->weight[j] = w->samples[j] / p->variance[j];
    }
    if (!p->exact && p->degrees > 0.0) {
        add_known(p);
    }
}

nl_status nl_points_scatter(nl_points *p)
{
    const size_t n = (size_t)p->count;
    const size_t seeds = (size_t)p->seeds;
    work w = {.p = p};
    nl_status status = NL_OK;

    p->mean = nl_calloc(n, sizeof *p->mean);
    p->variance = nl_calloc(n, sizeof *p->variance);
    p->weight = nl_calloc(n, sizeof *p->weight);
    p->covariance = nl_calloc(n * n, sizeof *p->covariance);
    p->scratch = nl_calloc(n, sizeof *p->scratch);
    w.log_y = nl_calloc(n * seeds, sizeof *w.log_y);
    w.effect = nl_calloc(seeds, sizeof *w.effect);
    w.z = nl_calloc(n, sizeof *w.z);
    w.squares = nl_calloc(n, sizeof *w.squares);
    w.freedom = nl_calloc(n, sizeof *w.freedom);
    w.samples = nl_calloc(n, sizeof *w.samples);
    if (!p->mean || !p->variance || !p->weight || !p->covariance || !p->scratch || !w.log_y ||
        !w.effect || !w.z || !w.squares || !w.freedom || !w.samples) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a fit of %d points", p->count);
    } else if (n > 0) {
        status = pair_up(&w);
    }
    if (status == NL_OK && n > 0) {
        estimate(&w);
    }
    work_free(&w);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Degrees of freedom
 *-------------------------------------------------------------------------------------------*/

double nl_points_degrees(const nl_points *points, const double *share, double *inflation)
{
    const int n = points->count;
    double variance = 0.0;
    double own = 0.0;

    for (int j = 0; j < n; j++) {
        own += share[j] * points->covariance[j * n + j];
        for (int k = 0; k < n; k++) {
            variance += share[j] * share[k] * points->covariance[j * n + k];
        }
    }
    *inflation = 1.0 + own - variance;
    return points->degrees > 0.0 ? 2.0 / variance : 0.0;
}

double nl_points_lack_of_fit(const nl_points *points, double chi2, int parameters, double *ratio)
{
    const int n = points->count;
    const int freedom = n - parameters;
    double own = 0.0;  /* mean of 1 / variance, which F of so many degrees has, by point */
    double both = 0.0; /* mean covariance of two */

    *ratio = freedom > 0 ? chi2 / freedom : NAN;
    if (freedom < 1 || !(points->degrees > 0.0)) {
        return NAN;
    }
    for (int j = 0; j < n; j++) {
        own += 1.0 / (1.0 - fmin(points->covariance[j * n + j], 0.8)) / n;
        for (int k = 0; k < n; k++) {
            both += points->covariance[j * n + k] / ((double)n * n);
        }
    }
    /* Weights that are wrong one by one, not all together, inflate chi-square beyond that of F. */
    return gsl_cdf_fdist_Q(*ratio / (1.0 - fmin(both, 0.8)) / own, freedom, 2.0 / both);
}
