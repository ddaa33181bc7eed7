/** @file law.c  A power law, or one above a floor: which describes the points, and how sure is
 * that?
 *
 * For a given exponent the law is linear in offset and amplitude: only the exponent is searched
 * for (variable projection, Golub & Pereyra 1973). */
#include "sample.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_fit.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_min.h>

#include <math.h>
#include <stdlib.h>

static const double steepest = 4.0;   /* exponents are looked for up to here, of either sign */
static const double flattest = 0.02;  /* nearer to zero a law is a logarithm above any floor */
static const double grid_step = 0.05; /* of the search */
static const double aic_margin = 4.0;
enum { least_scales = 4, offset_parameters = 3, power_parameters = 2, most_iterations = 200 };

/** One fit above a floor. */
typedef struct offset_fit {
    bool found;
    double exponent, amplitude, offset, chi2;
    double half; /* half of the interval */
    bool at_edge;
} offset_fit;

/** What the search needs. */
typedef struct profile {
    const nl_means *means;
    double middle; /* geometric mean of the scales: keeps powers near 1 */
    double *u, *w; /* owned; [means->count] (x / middle)^-exponent, weights */
} profile;

const char *nl_law_name(nl_law_model model)
{
    return model == NL_LAW_POWER ? "power" : model == NL_LAW_OFFSET ? "offset" : "none";
}

static bool profile_create(const nl_means *means, profile *p)
{
    double sum = 0.0;

    *p = (profile){.means = means};
    p->u = nl_calloc((size_t)means->count, sizeof *p->u);
    p->w = nl_calloc((size_t)means->count, sizeof *p->w);
    if (p->u == NULL || p->w == NULL) {
        return false;
    }
    for (int k = 0; k < means->count; k++) {
        sum += log(means->x[k]);
        p->w[k] = 1.0 / gsl_pow_2(means->mean[k] * nl_means_sigma(means, k));
    }
    p->middle = exp(sum / means->count);
    return true;
}

static void profile_free(profile *p)
{
    free(p->u);
    free(p->w);
}

static void set_powers(const profile *p, double exponent)
{
    for (int k = 0; k < p->means->count; k++) {
        p->u[k] = pow(p->means->x[k] / p->middle, -exponent);
    }
}

/* Offset and amplitude (of x / middle) for this exponent, and their chi^2. */
static double solve_offset(const profile *p, double exponent, double *offset, double *amplitude)
{
    double unused[3];
    double chi2 = INFINITY;

    set_powers(p, exponent);
    gsl_fit_wlinear(p->u, 1, p->w, 1, p->means->mean, 1, (size_t)p->means->count, offset, amplitude,
                    &unused[0], &unused[1], &unused[2], &chi2);
    return isfinite(chi2) ? chi2 : HUGE_VAL;
}

static double offset_chi2(double exponent, void *context)
{
    double offset = 0.0;
    double amplitude = 0.0;

    return solve_offset(context, exponent, &offset, &amplitude);
}

/* The same without a floor. */
static double power_chi2(double exponent, void *context)
{
    const profile *p = context;
    double amplitude = 0.0;
    double unused = 0.0;
    double chi2 = INFINITY;

    set_powers(p, exponent);
    gsl_fit_wmul(p->u, 1, p->w, 1, p->means->mean, 1, (size_t)p->means->count, &amplitude, &unused,
                 &chi2);
    return isfinite(chi2) ? chi2 : HUGE_VAL;
}

/* Lowest point between neighbours of a grid point that is lower than both. */
static double refine(gsl_function *f, double low, double middle, double high)
{
    gsl_min_fminimizer *m = gsl_min_fminimizer_alloc(gsl_min_fminimizer_brent);
    double best = middle;

    if (m == NULL || gsl_min_fminimizer_set(m, f, middle, low, high) != GSL_SUCCESS) {
        gsl_min_fminimizer_free(m);
        return best;
    }
    for (int k = 0; k < most_iterations && gsl_min_fminimizer_iterate(m) == GSL_SUCCESS; k++) {
        if (gsl_min_test_interval(gsl_min_fminimizer_x_lower(m), gsl_min_fminimizer_x_upper(m),
                                  1e-10, 1e-10) == GSL_SUCCESS) {
            break;
        }
    }
    best = gsl_min_fminimizer_x_minimum(m);
    gsl_min_fminimizer_free(m);
    return best;
}

/* The exponent of the lowest chi^2 over a grid of both signs, then between its neighbours. */
static double search(double (*chi2)(double, void *), profile *p, bool *at_edge)
{
    gsl_function f = {.function = chi2, .params = p};
    const int steps = (int)lround(steepest / grid_step);
    double best = NAN;
    double least = INFINITY;

    for (int k = -steps; k <= steps; k++) {
        const double exponent = k == 0 ? flattest : k * grid_step;
        const double value = chi2(exponent, p);

        if (value < least) {
            least = value;
            best = exponent;
        }
    }
    *at_edge = isnan(best) || fabs(best) <= grid_step || fabs(best) >= steepest - grid_step;
    return *at_edge ? best : refine(&f, best - grid_step, best, best + grid_step);
}

/* Standard error of the exponent: Gauss-Newton, all three parameters free.  NaN: not to be told. */
static double exponent_error(const profile *p, double exponent, double amplitude)
{
    gsl_matrix *normal = gsl_matrix_calloc(offset_parameters, offset_parameters);
    double error = NAN;

    if (normal == NULL) {
        return NAN;
    }
    set_powers(p, exponent);
    for (int k = 0; k < p->means->count; k++) {
        const double row[offset_parameters] = {
            1.0, p->u[k], -amplitude * p->u[k] * log(p->means->x[k] / p->middle)};

        for (size_t i = 0; i < offset_parameters; i++) {
            for (size_t j = 0; j < offset_parameters; j++) {
                *gsl_matrix_ptr(normal, i, j) += p->w[k] * row[i] * row[j];
            }
        }
    }
    if (gsl_linalg_cholesky_decomp1(normal) == GSL_SUCCESS &&
        gsl_linalg_cholesky_invert(normal) == GSL_SUCCESS) {
        error = sqrt(gsl_matrix_get(normal, 2, 2));
    }
    gsl_matrix_free(normal);
    return error;
}

static offset_fit fit_offset(profile *p)
{
    offset_fit fit = {0};
    double amplitude = 0.0;

    fit.exponent = search(offset_chi2, p, &fit.at_edge);
    if (isnan(fit.exponent)) {
        return fit;
    }
    fit.chi2 = solve_offset(p, fit.exponent, &fit.offset, &amplitude);
    fit.amplitude = amplitude * pow(p->middle, fit.exponent);
    fit.half = nl_t_quantile(p->means->freedom) * exponent_error(p, fit.exponent, amplitude);
    fit.found = isfinite(fit.half) && isfinite(fit.chi2);
    return fit;
}

static nl_law from_slope(const nl_slope *slope)
{
    nl_law law = {.model = isnan(slope->value) ? NL_LAW_NONE : NL_LAW_POWER,
                  .exponent = -slope->value,
                  .interval = {-slope->interval.high, -slope->interval.low},
                  .amplitude = slope->amplitude,
                  .points = slope->points,
                  .seeds = slope->seeds};

    snprintf(law.note, sizeof law.note, "%s", slope->note);
    return law;
}

static void unite(nl_interval *interval, nl_interval other)
{
    interval->low = fmin(interval->low, other.low);
    interval->high = fmax(interval->high, other.high);
}

/* Take the offset law where AIC says so; keep both intervals where it hardly tells. */
static void choose(nl_law *law, profile *p)
{
    bool ignored = false;
    const double power = power_chi2(search(power_chi2, p, &ignored), p) + 2.0 * power_parameters;
    const offset_fit fit = fit_offset(p);
    const double offset = fit.chi2 + 2.0 * offset_parameters;
    const nl_interval interval = {fit.exponent - fit.half, fit.exponent + fit.half};
    const bool signless = interval.low <= 0.0 && interval.high >= 0.0;

    if (!fit.found || fit.at_edge || signless) {
        if (offset < power) {
            snprintf(law->note, sizeof law->note,
                     "bends, but floor and exponent cannot be told apart: the power law's slope is "
                     "a mean over the scales at hand");
        }
        return;
    }
    if (fabs(offset - power) < aic_margin) {
        unite(&law->interval, interval);
        snprintf(law->note, sizeof law->note,
                 "with or without a floor fits alike: interval of both");
    } else if (offset < power) {
        law->interval = interval;
    }
    if (offset < power) {
        law->model = NL_LAW_OFFSET;
        law->exponent = fit.exponent;
        law->amplitude = fit.amplitude;
        law->offset = fit.offset;
    }
}

nl_law nl_law_fit(int count, const nl_point *points)
{
    const nl_slope slope = nl_slope_fit(count, points);
    nl_law law = from_slope(&slope);
    int kept = 0;
    nl_point *sorted = nl_points_sorted(count, points, &kept);
    nl_means means = {0};
    profile p = {0};
    gsl_error_handler_t *handler = gsl_set_error_handler_off(); /* its default aborts */

    if (law.model == NL_LAW_POWER && law.seeds > 1 && sorted != NULL &&
        nl_means_create(kept, sorted, &means)) {
        if (!(means.relative > 0.0)) {
            snprintf(law.note, sizeof law.note, "all seeds alike: no noise to weigh a floor with");
        } else if (means.count < least_scales) {
            snprintf(law.note, sizeof law.note, "%d scales: too few to tell a floor from a slope",
                     means.count);
        } else if (profile_create(&means, &p)) {
            choose(&law, &p);
        }
    }
    profile_free(&p);
    nl_means_free(&means);
    free(sorted);
    gsl_set_error_handler(handler);
    return law;
}
