/** @file joint.c  The joint law of width and data, L = offset + a W^-alpha + b N^-beta (the
 * additive form of Rosenfeld et al. 2020 and Hoffmann et al. 2022). */
#include "sample.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_multifit.h>
#include <gsl/gsl_multimin.h>

#include <math.h>
#include <stdlib.h>

enum { linear = 3, parameters = 5, least_cells = 7, most_iterations = 500 };
static const double steepest = 4.0;
static const double flattest = 0.02;

/** One cell of the grid: mean over seeds. */
typedef struct grid {
    int count;
    double *width, *data; /* owned; [count] over their geometric means */
    double middle_width, middle_data;
    const nl_means *means; /* in the order of the cells */
    gsl_matrix *basis;     /* owned; [count x 3] */
    gsl_vector *y, *w, *c; /* owned */
    gsl_matrix *cov;       /* owned */
    gsl_multifit_linear_workspace *work;
} grid;

static void release(grid *g)
{
    free(g->width);
    free(g->data);
    gsl_matrix_free(g->basis);
    gsl_matrix_free(g->cov);
    gsl_vector_free(g->y);
    gsl_vector_free(g->w);
    gsl_vector_free(g->c);
    if (g->work != NULL) {
        gsl_multifit_linear_free(g->work);
    }
}

static bool allocate(grid *g)
{
    const size_t n = (size_t)g->count;

    g->basis = gsl_matrix_alloc(n, linear);
    g->cov = gsl_matrix_alloc(linear, linear);
    g->y = gsl_vector_alloc(n);
    g->w = gsl_vector_alloc(n);
    g->c = gsl_vector_alloc(linear);
    g->work = gsl_multifit_linear_alloc(n, linear);
    return g->basis != NULL && g->cov != NULL && g->y != NULL && g->w != NULL && g->c != NULL &&
           g->work != NULL;
}

static double geometric_mean(int count, const double *values)
{
    double sum = 0.0;

    for (int k = 0; k < count; k++) {
        sum += log(values[k]) / count;
    }
    return exp(sum);
}

/* chi^2 of the best offset, a and b for these exponents. */
static double chi2_at(grid *g, double alpha, double beta)
{
    double chi2 = HUGE_VAL;

    if (!(fabs(alpha) >= flattest && fabs(alpha) <= steepest && fabs(beta) >= flattest &&
          fabs(beta) <= steepest)) {
        return HUGE_VAL;
    }
    for (int k = 0; k < g->count; k++) {
        gsl_matrix_set(g->basis, (size_t)k, 0, 1.0);
        gsl_matrix_set(g->basis, (size_t)k, 1, pow(g->width[k], -alpha));
        gsl_matrix_set(g->basis, (size_t)k, 2, pow(g->data[k], -beta));
    }
    if (gsl_multifit_wlinear(g->basis, g->w, g->y, g->c, g->cov, &chi2, g->work) != GSL_SUCCESS) {
        return HUGE_VAL;
    }
    return chi2;
}

static double objective(const gsl_vector *at, void *context)
{
    return chi2_at(context, gsl_vector_get(at, 0), gsl_vector_get(at, 1));
}

/* Nelder and Mead from one start. */
static double descend(grid *g, double *alpha, double *beta)
{
    gsl_multimin_function f = {.n = 2, .f = objective, .params = g};
    gsl_vector *at = gsl_vector_alloc(2);
    gsl_vector *step = gsl_vector_alloc(2);
    gsl_multimin_fminimizer *m =
        gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    double least = HUGE_VAL;

    if (at != NULL && step != NULL && m != NULL) {
        gsl_vector_set(at, 0, *alpha);
        gsl_vector_set(at, 1, *beta);
        gsl_vector_set_all(step, 0.1);
        gsl_multimin_fminimizer_set(m, &f, at, step);
        for (int k = 0; k < most_iterations && gsl_multimin_fminimizer_iterate(m) == GSL_SUCCESS;
             k++) {
            if (gsl_multimin_test_size(gsl_multimin_fminimizer_size(m), 1e-7) == GSL_SUCCESS) {
                break;
            }
        }
        *alpha = gsl_vector_get(m->x, 0);
        *beta = gsl_vector_get(m->x, 1);
        least = m->fval;
    }
    if (m != NULL) {
        gsl_multimin_fminimizer_free(m);
    }
    gsl_vector_free(at);
    gsl_vector_free(step);
    return least;
}

static double search(grid *g, nl_joint_law *law)
{
    static const double starts[] = {-0.5, 0.2, 0.5, 1.0, 2.0};
    double least = HUGE_VAL;

    for (size_t i = 0; i < NL_COUNT(starts); i++) {
        for (size_t j = 0; j < NL_COUNT(starts); j++) {
            double alpha = starts[i];
            double beta = starts[j];
            const double chi2 = descend(g, &alpha, &beta);

            if (chi2 < least) {
                least = chi2;
                law->alpha = alpha;
                law->beta = beta;
            }
        }
    }
    return least;
}

/* Intervals of both exponents, all five parameters free (Gauss-Newton). */
static bool set_intervals(grid *g, nl_joint_law *law)
{
    const double a = gsl_vector_get(g->c, 1);
    const double b = gsl_vector_get(g->c, 2);
    gsl_matrix *normal = gsl_matrix_calloc(parameters, parameters);
    const double t = nl_t_quantile(g->means->freedom);
    double half[2] = {NAN, NAN};

    for (int k = 0; normal != NULL && k < g->count; k++) {
        const double u = pow(g->width[k], -law->alpha);
        const double v = pow(g->data[k], -law->beta);
        const double row[parameters] = {1.0, u, v, -a * u * log(g->width[k]),
                                        -b * v * log(g->data[k])};

        for (size_t i = 0; i < parameters; i++) {
            for (size_t j = 0; j < parameters; j++) {
                *gsl_matrix_ptr(normal, i, j) += gsl_vector_get(g->w, (size_t)k) * row[i] * row[j];
            }
        }
    }
    if (normal != NULL && gsl_linalg_cholesky_decomp1(normal) == GSL_SUCCESS &&
        gsl_linalg_cholesky_invert(normal) == GSL_SUCCESS) {
        half[0] = t * sqrt(gsl_matrix_get(normal, 3, 3));
        half[1] = t * sqrt(gsl_matrix_get(normal, 4, 4));
    }
    gsl_matrix_free(normal);
    law->alpha_interval = (nl_interval){law->alpha - half[0], law->alpha + half[0]};
    law->beta_interval = (nl_interval){law->beta - half[1], law->beta + half[1]};
    return isfinite(half[0]) && isfinite(half[1]);
}

static void fit_grid(grid *g, nl_joint_law *law)
{
    for (int k = 0; k < g->count; k++) {
        gsl_vector_set(g->y, (size_t)k, g->means->mean[k]);
        gsl_vector_set(g->w, (size_t)k,
                       1.0 / gsl_pow_2(g->means->mean[k] * nl_means_sigma(g->means, k)));
    }
    if (!isfinite(search(g, law)) || !isfinite(chi2_at(g, law->alpha, law->beta)) ||
        !set_intervals(g, law)) {
        snprintf(law->note, sizeof law->note, "the five parameters cannot be told apart");
        return;
    }
    law->found = true;
    law->offset = gsl_vector_get(g->c, 0);
    law->a = gsl_vector_get(g->c, 1) * pow(g->middle_width, law->alpha);
    law->b = gsl_vector_get(g->c, 2) * pow(g->middle_data, law->beta);
    if ((law->alpha_interval.low <= 0.0 && law->alpha_interval.high >= 0.0) ||
        (law->beta_interval.low <= 0.0 && law->beta_interval.high >= 0.0)) {
        snprintf(law->note, sizeof law->note,
                 "an exponent's interval holds zero: floor and power cannot be told apart");
    }
}

/* Number the cells of the grid; points get the number, from 1, as their x. */
static int number_cells(int count, const double *width, const double *data, const double *y,
                        const uint32_t *seed, nl_point *points, double *cell_width,
                        double *cell_data)
{
    int cells = 0;

    for (int k = 0; k < count; k++) {
        int at = 0;

        while (at < cells && (cell_width[at] != width[k] || cell_data[at] != data[k])) {
            at++;
        }
        if (at == cells) {
            cell_width[at] = width[k];
            cell_data[at] = data[k];
            cells++;
        }
        points[k] = (nl_point){.x = at + 1.0, .y = y[k], .seed = seed[k]};
    }
    return cells;
}

static int distinct(int count, const double *values)
{
    int found = 0;

    for (int k = 0; k < count; k++) {
        bool seen = false;

        for (int j = 0; j < k && !seen; j++) {
            seen = values[j] == values[k];
        }
        found += !seen;
    }
    return found;
}

static void scale(int count, double middle, double *values)
{
    for (int k = 0; k < count; k++) {
        values[k] /= middle;
    }
}

/* Cells without a usable point have no mean: keep width and data of the others. */
static void keep_measured(grid *g, const nl_means *means)
{
    for (int k = 0; k < means->count; k++) {
        g->width[k] = g->width[(int)means->x[k] - 1];
        g->data[k] = g->data[(int)means->x[k] - 1];
    }
    g->count = means->count;
    g->means = means;
}

static void fit_means(grid *g, nl_joint_law *law)
{
    law->points = g->count;
    law->seeds = g->means->seeds_at_most;
    if (!(g->means->relative > 0.0)) {
        snprintf(law->note, sizeof law->note,
                 "one seed, or all alike: nothing to weigh a fit with");
    } else if (g->count < least_cells || distinct(g->count, g->width) < 3 ||
               distinct(g->count, g->data) < 3) {
        snprintf(law->note, sizeof law->note,
                 "%d sizes: a joint law needs three widths, three sizes and %d cells at least",
                 g->count, least_cells);
    } else if (allocate(g)) {
        g->middle_width = geometric_mean(g->count, g->width);
        g->middle_data = geometric_mean(g->count, g->data);
        scale(g->count, g->middle_width, g->width);
        scale(g->count, g->middle_data, g->data);
        fit_grid(g, law);
    }
}

nl_joint_law nl_joint_law_fit(int count, const double *width, const double *data, const double *y,
                              const uint32_t *seed)
{
    const nl_interval none = {NAN, NAN};
    nl_joint_law law = {.alpha = NAN, .beta = NAN, .alpha_interval = none, .beta_interval = none};
    const size_t room = (size_t)count + 1;
    grid g = {.width = nl_calloc(room, sizeof *g.width), .data = nl_calloc(room, sizeof *g.data)};
    nl_point *points = nl_calloc(room, sizeof *points);
    nl_point *sorted = NULL;
    nl_means means = {0};
    int kept = 0;
    gsl_error_handler_t *handler = gsl_set_error_handler_off(); /* its default aborts */

    if (g.width != NULL && g.data != NULL && points != NULL) {
        number_cells(count, width, data, y, seed, points, g.width, g.data);
        sorted = nl_points_sorted(count, points, &kept);
    }
    if (sorted == NULL || !nl_means_create(kept, sorted, &means)) {
        snprintf(law.note, sizeof law.note, "out of memory");
    } else {
        keep_measured(&g, &means);
        fit_means(&g, &law);
    }
    release(&g);
    nl_means_free(&means);
    free(points);
    free(sorted);
    gsl_set_error_handler(handler);
    return law;
}
