/** @file joint.c  Joint law in width and data: y = offset + a W^-alpha + b N^-beta. */
#include "points.h"
#include "student.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multifit.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <stdlib.h>

enum { least_scales = 3, parameters = 5, linear_parameters = 3, most_iterations = 500 };

/** A point of the grid. */
typedef struct grid_point {
    double log_width, log_data, sum, known, mean, weight;
    int count;
} grid_point;

typedef struct grid {
    int count, unused;
    grid_point *point; /* owned */
    double variance, degrees;
} grid;

/** Arrays of one linear fit. */
typedef struct problem {
    const grid *g;
    bool held; /* the offset, which then is no column */
    double offset;
    gsl_matrix *x;
    gsl_vector *y, *w, *c;
    gsl_matrix *covariance;
    gsl_multifit_linear_workspace *work;
    double chi2;
} problem;

/*---------------------------------------------------------------------------------------------
 * The grid of means
 *-------------------------------------------------------------------------------------------*/

static grid_point *point_of(grid *g, double log_width, double log_data)
{
    for (int k = 0; k < g->count; k++) {
        if (g->point[k].log_width == log_width && g->point[k].log_data == log_data) {
            return &g->point[k];
        }
    }
    g->point[g->count] = (grid_point){.log_width = log_width, .log_data = log_data};
    return &g->point[g->count++];
}

static bool is_usable(const nl_grid_sample *s)
{
    return isfinite(s->y) && s->y > 0.0 && s->width > 0.0 && s->data > 0.0;
}

static void collect(int count, const nl_grid_sample *samples, grid *g)
{
    double squares = 0.0;

    for (int k = 0; k < count; k++) {
        if (is_usable(&samples[k])) {
            grid_point *p = point_of(g, log(samples[k].width), log(samples[k].data));

            p->sum += samples[k].y;
            p->known += pow(samples[k].error, 2.0);
            p->count++;
        } else {
            g->unused++;
        }
    }
    for (int k = 0; k < count; k++) {
        if (is_usable(&samples[k])) {
            const grid_point *p = point_of(g, log(samples[k].width), log(samples[k].data));

            squares += pow(samples[k].y * p->count / p->sum - 1.0, 2.0);
        }
    }
    for (int k = 0; k < g->count; k++) {
        g->degrees += g->point[k].count - 1;
    }
    g->variance = g->degrees > 0.0 ? fmax(squares / g->degrees, 1e-18) : 1.0;
    for (int k = 0; k < g->count; k++) {
        grid_point *p = &g->point[k];

        p->mean = p->sum / p->count;
        p->weight = p->count / (p->mean * p->mean * g->variance);
        p->weight /= 1.0 + p->known / g->variance; /* of errors that samples share */
    }
}

/* Different values among one coordinate of the points. */
static int scales(const grid *g, bool width)
{
    int found = 0;

    for (int k = 0; k < g->count; k++) {
        bool seen = false;

        for (int j = 0; j < k; j++) {
            seen = seen || (width ? g->point[j].log_width == g->point[k].log_width
                                  : g->point[j].log_data == g->point[k].log_data);
        }
        found += seen ? 0 : 1;
    }
    return found;
}

static int seeds_of(int count, const nl_grid_sample *samples)
{
    int found = 0;

    for (int k = 0; k < count; k++) {
        bool seen = !is_usable(&samples[k]);

        for (int j = 0; j < k && !seen; j++) {
            seen = is_usable(&samples[j]) && samples[j].seed == samples[k].seed;
        }
        found += seen ? 0 : 1;
    }
    return found;
}

/*---------------------------------------------------------------------------------------------
 * The fit: simplex over the two exponents, linear least squares for the rest
 *-------------------------------------------------------------------------------------------*/

static void problem_free(problem *p)
{
    gsl_matrix_free(p->x);
    gsl_vector_free(p->y);
    gsl_vector_free(p->w);
    gsl_vector_free(p->c);
    gsl_matrix_free(p->covariance);
    gsl_multifit_linear_free(p->work);
    *p = (problem){0};
}

/* held: NaN, or the value of an offset that is not fitted, which saves its column. */
static bool problem_create(const grid *g, int columns, double held, problem *out)
{
    const size_t n = (size_t)g->count;
    const size_t m = (size_t)(isnan(held) ? columns : columns - 1);

    *out = (problem){.g = g,
                     .held = !isnan(held),
                     .offset = held,
                     .x = gsl_matrix_calloc(n, m),
                     .y = gsl_vector_calloc(n),
                     .w = gsl_vector_calloc(n),
                     .c = gsl_vector_calloc(m),
                     .covariance = gsl_matrix_calloc(m, m),
                     .work = gsl_multifit_linear_alloc(n, m)};
    if (out->x == NULL || out->y == NULL || out->w == NULL || out->c == NULL ||
        out->covariance == NULL || out->work == NULL) {
        problem_free(out);
        return false;
    }
    for (size_t k = 0; k < n; k++) {
        gsl_vector_set(out->y, k, g->point[k].mean - (out->held ? held : 0.0));
        gsl_vector_set(out->w, k, g->point[k].weight);
    }
    return true;
}

static bool solve(problem *p)
{
    return gsl_multifit_wlinear(p->x, p->w, p->y, p->c, p->covariance, &p->chi2, p->work) ==
               GSL_SUCCESS &&
           isfinite(p->chi2);
}

/* A row: the offset's column, unless it is held, and others. */
static void set_row(problem *p, size_t row, int count, const double *value)
{
    size_t column = 0;

    if (!p->held) {
        gsl_matrix_set(p->x, row, column++, 1.0);
    }
    for (int k = 0; k < count; k++) {
        gsl_matrix_set(p->x, row, column++, value[k]);
    }
}

/* Chi-square at given exponents; scales are taken relative to the first point of the grid. */
static double chi2_at(const gsl_vector *exponents, void *context)
{
    problem *p = context;
    const double alpha = gsl_vector_get(exponents, 0);
    const double beta = gsl_vector_get(exponents, 1);
    const grid_point *point = p->g->point;

    if (!(fabs(alpha) <= nl_steepest && fabs(beta) <= nl_steepest)) {
        return 1e300;
    }
    for (size_t k = 0; k < p->x->size1; k++) {
        const double row[] = {exp(-alpha * (point[k].log_width - point[0].log_width)),
                              exp(-beta * (point[k].log_data - point[0].log_data))};

        set_row(p, k, 2, row);
    }
    return solve(p) ? p->chi2 : 1e300;
}

/* From several starts: exponents of either sign have valleys of their own. */
static bool minimise(problem *p, double best[2])
{
    static const double starts[][2] = {{0.5, 0.5},  {1.0, 0.3},  {0.3, 1.0},
                                       {-0.5, 0.5}, {0.5, -0.5}, {-0.5, -0.5}};
    gsl_multimin_fminimizer *m =
        gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    gsl_vector *at = gsl_vector_alloc(2);
    gsl_vector *step = gsl_vector_alloc(2);
    gsl_multimin_function f = {.f = chi2_at, .n = 2, .params = p};
    double least = INFINITY;

    for (size_t s = 0; m != NULL && at != NULL && step != NULL && s < NL_COUNT(starts); s++) {
        gsl_vector_set(at, 0, starts[s][0]);
        gsl_vector_set(at, 1, starts[s][1]);
        gsl_vector_set_all(step, 0.2);
        gsl_multimin_fminimizer_set(m, &f, at, step);
        for (int k = 0; k < most_iterations; k++) {
            if (gsl_multimin_fminimizer_iterate(m) != GSL_SUCCESS ||
                gsl_multimin_fminimizer_size(m) < 1e-8) {
                break;
            }
        }
        if (m->fval < least) {
            least = m->fval;
            best[0] = gsl_vector_get(m->x, 0);
            best[1] = gsl_vector_get(m->x, 1);
        }
    }
    if (m != NULL) {
        gsl_multimin_fminimizer_free(m);
    }
    gsl_vector_free(at);
    gsl_vector_free(step);
    return least < 1e299;
}

/* Intervals of the exponents from the Jacobian of all parameters. */
static bool linearise(const grid *g, const nl_joint_fit *fit, double held, double t,
                      double error[2])
{
    problem p = {0};
    bool sound = problem_create(g, parameters, held, &p);
    const size_t first = isnan(held) ? 3U : 2U; /* column of the exponents */

    for (size_t k = 0; sound && k < p.x->size1; k++) {
        const grid_point *point = &g->point[k];
        const double w = fit->width_amplitude * exp(-fit->alpha.value * point->log_width);
        const double n = fit->data_amplitude * exp(-fit->beta.value * point->log_data);

        const double row[] = {w, n, -w * point->log_width, -n * point->log_data};

        set_row(&p, k, 4, row);
    }
    sound = sound && solve(&p);
    for (size_t e = 0; sound && e < 2; e++) {
        error[e] = t * sqrt(gsl_matrix_get(p.covariance, first + e, first + e));
        sound = isfinite(error[e]);
    }
    problem_free(&p);
    return sound;
}

/* The best law with a free offset, or with one that is held. */
static nl_status find_law(const grid *g, double held, nl_joint_fit *out)
{
    problem p = {0};
    double best[2] = {0};
    gsl_vector_view at = gsl_vector_view_array(best, 2);
    const size_t first = isnan(held) ? 1U : 0U; /* column of the amplitudes */

    if (!problem_create(g, linear_parameters, held, &p)) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a joint fit of %d points", g->count);
    }
    out->law = NL_LAW_NONE;
    if (minimise(&p, best) && chi2_at(&at.vector, &p) < 1e299) {
        out->law = NL_LAW_JOINT;
        out->alpha.value = best[0];
        out->beta.value = best[1];
        out->chi2 = p.chi2;
        out->offset = p.held ? held : gsl_vector_get(p.c, 0);
        out->width_amplitude = gsl_vector_get(p.c, first) * exp(best[0] * g->point[0].log_width);
        out->data_amplitude = gsl_vector_get(p.c, first + 1) * exp(best[1] * g->point[0].log_data);
    }
    problem_free(&p);
    return NL_OK;
}

/* The end of the range that an offset has left; NaN: it is within. */
static double range_end(const grid *g, nl_offset_range range, double offset)
{
    for (int k = 0; range.floor && k < g->count; k++) {
        range.most = fmin(range.most, g->point[k].mean);
    }
    return offset < range.least ? range.least : offset > range.most ? range.most : NAN;
}

static void forget_law(nl_joint_fit *out)
{
    out->law = NL_LAW_NONE;
    out->alpha.value = out->beta.value = NAN;
    out->offset = out->width_amplitude = out->data_amplitude = NAN;
}

static void bound_exponents(const grid *g, double held, nl_joint_fit *out)
{
    const int freedom = g->count - parameters + (isnan(held) ? 0 : 1);
    double error[2] = {NAN, NAN};

    if (!(g->degrees > 0.0)) {
        nl_note(out->note, "one seed: no interval");
    } else if (!linearise(g, out, held, nl_student_quantile(g->degrees), error) ||
               error[0] > nl_steepest || error[1] > nl_steepest) {
        nl_note(out->note, "the exponents are not identified by this grid");
        forget_law(out);
    } else {
        out->p = gsl_cdf_fdist_Q(out->chi2 / freedom, freedom, g->degrees);
        out->alpha.low = out->alpha.value - error[0];
        out->alpha.high = out->alpha.value + error[0];
        out->beta.low = out->beta.value - error[1];
        out->beta.high = out->beta.value + error[1];
    }
}

static nl_status fit_grid(const grid *g, nl_offset_range range, nl_joint_fit *out)
{
    double held = NAN;
    nl_status status = find_law(g, held, out);

    if (status == NL_OK && out->law == NL_LAW_JOINT) {
        held = range_end(g, range, out->offset);
        if (!isnan(held)) {
            nl_note(out->note, "the best offset, %.3g, is not possible: held at %.3g", out->offset,
                    held);
            status = find_law(g, held, out);
        }
    }
    if (status != NL_OK) {
        return status;
    }
    if (out->law == NL_LAW_NONE) {
        nl_note(out->note, "the joint fit found no minimum");
    } else {
        bound_exponents(g, held, out);
    }
    return NL_OK;
}

nl_status nl_fit_joint_law(int count, const nl_grid_sample *samples, nl_offset_range range,
                           nl_joint_fit *out)
{
    grid g = {.point = nl_calloc((size_t)count, sizeof *g.point)};
    gsl_error_handler_t *handler = NULL;
    nl_status status = NL_OK;

    *out = (nl_joint_fit){.alpha = {NAN, NAN, NAN},
                          .beta = {NAN, NAN, NAN},
                          .width_amplitude = NAN,
                          .data_amplitude = NAN,
                          .offset = NAN,
                          .chi2 = NAN,
                          .p = NAN};
    if (g.point == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a joint fit of %d samples", count);
    }
    handler = gsl_set_error_handler_off(); /* a singular fit is a value here, not an abort */
    collect(count, samples, &g);
    out->points = g.count;
    out->unused = g.unused;
    out->seeds = seeds_of(count, samples);
    if (scales(&g, true) < least_scales || scales(&g, false) < least_scales ||
        g.count <= parameters) {
        nl_note(out->note,
                "a joint law needs three widths and three sizes, and more than %d points",
                parameters);
    } else {
        status = fit_grid(&g, range, out);
    }
    gsl_set_error_handler(handler);
    free(g.point);
    return status;
}
