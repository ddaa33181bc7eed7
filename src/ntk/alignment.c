/** @file alignment.c  How a kernel lies to the labels and to the gradient of the loss. */
#include "ntklens/eigen.h"
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <stdlib.h>
#include <string.h>

/**
 * Vectors that the kernel is applied to, columns of [n x columns]: `constants` that are the same
 * for every sample (one; full: one an output), centred one-hot `targets` and `gradients` of the
 * loss, one an output where the kernel is N x N, one of all outputs where it is full; behind them,
 * where asked for, one that checks the kernel.
 */
typedef struct vectors {
    int n, constants, targets, gradients, columns;
    int checks;    /* 1 or 0: a column more */
    double copies; /* the kernel stands for this many of it on a diagonal */
    double *x, *y; /* owned; y = Theta x */
} vectors;

static double *column(double *base, const vectors *v, int k)
{
    return base + (size_t)k * (size_t)v->n;
}

static double inner(const vectors *v, const double *a, const double *b)
{
    double sum = 0.0;

    for (int i = 0; i < v->n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Row of sample i and output a: full; of sample i: N x N, where each output has its column. */
static void fill_vectors(vectors *v, nl_kernel_spec spec, const nl_probe_state *state,
                         const double *shares)
{
    const int C = state->outputs;
    const bool full = spec.kind == NL_KERNEL_FULL;
    double *targets = column(v->x, v, v->constants);
    double *gradients = column(v->x, v, v->constants + v->targets);

    for (int i = 0; i < state->samples; i++) {
        for (int a = 0; a < C; a++) {
            const size_t row = full ? (size_t)(i * C + a) : (size_t)i;
            const size_t own = full ? row : (size_t)a * (size_t)v->n + row;
            const double gradient = state->gradient[(size_t)i * (size_t)C + (size_t)a];

            column(v->x, v, full ? a : 0)[row] = 1.0;
            targets[own] = (a == state->labels[i] ? 1.0 : 0.0) - shares[a];
            if (spec.kind != NL_KERNEL_CLASS) {
                gradients[own] = gradient;
            } else if (a == spec.output) {
                gradients[row] = gradient;
            }
        }
    }
}

static nl_status create_vectors(const nl_dmat *a, nl_kernel_spec spec, const nl_probe_state *state,
                                const double *check, vectors *v)
{
    const int C = state->outputs;
    const bool full = spec.kind == NL_KERNEL_FULL;
    double *shares = nl_calloc((size_t)C, sizeof *shares); /* of the classes in the probe */
    nl_status status = NL_OK;

    *v = (vectors){.n = a->n,
                   .constants = full ? C : 1,
                   .targets = full ? 1 : C,
                   .gradients = spec.kind == NL_KERNEL_TRACED ? C : 1,
                   .checks = check != NULL,
                   .copies = spec.kind == NL_KERNEL_TRACED ? C : 1.0};
    v->columns = v->constants + v->targets + v->gradients;
    v->x = nl_calloc((size_t)v->n * (size_t)(v->columns + v->checks), sizeof *v->x);
    v->y = nl_calloc((size_t)v->n * (size_t)(v->columns + v->checks), sizeof *v->y);
    if (shares == NULL || v->x == NULL || v->y == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for targets of a kernel of order %d", v->n);
    } else {
        for (int i = 0; i < state->samples; i++) {
            shares[state->labels[i]] += 1.0 / state->samples;
        }
        fill_vectors(v, spec, state, shares);
        if (check != NULL) {
            memcpy(column(v->x, v, v->columns), check, (size_t)v->n * sizeof *check);
        }
    }
    free(shares);
    return nl_agree(a->grid->comm, status);
}

/* sum over `count` columns from `first` of x^T Theta x */
static double quadratic_form(const vectors *v, int first, int count)
{
    double sum = 0.0;

    for (int k = first; k < first + count; k++) {
        sum += inner(v, column(v->x, v, k), column(v->y, v, k));
    }
    return sum;
}

/* |H Theta H|_F^2 = |Theta|^2 - 2/N sum_a |Theta e_a|^2 + 1/N^2 sum_ab (e_a^T Theta e_b)^2 with the
 * constants e_a */
static double centred_norm2(const vectors *v, int samples, double frobenius2)
{
    double once = 0.0;
    double twice = 0.0;

    for (int a = 0; a < v->constants; a++) {
        const double *y = column(v->y, v, a);

        once += inner(v, y, y);
        for (int b = 0; b < v->constants; b++) {
            const double both = inner(v, column(v->x, v, b), y);

            twice += both * both;
        }
    }
    return frobenius2 - 2.0 / samples * once + twice / ((double)samples * samples);
}

/* |T|_F^2 of the sum of targets' outer products */
static double target_norm2(const vectors *v)
{
    double sum = 0.0;

    for (int a = v->constants; a < v->constants + v->targets; a++) {
        for (int b = v->constants; b < v->constants + v->targets; b++) {
            const double both = inner(v, column(v->x, v, a), column(v->x, v, b));

            sum += both * both;
        }
    }
    return sum;
}

static void observe_vectors(const vectors *v, int samples, nl_kernel_sums *sums,
                            nl_observables *out)
{
    const int first = v->constants + v->targets;
    const double used = quadratic_form(v, first, v->gradients);
    double gradient2 = 0.0;

    for (int k = first; k < v->columns; k++) {
        gradient2 += inner(v, column(v->x, v, k), column(v->x, v, k));
    }
    out->label_alignment = quadratic_form(v, v->constants, v->targets) /
                           sqrt(centred_norm2(v, samples, sums->frobenius2) * target_norm2(v));
    out->chi_net = sums->trace / v->n;
    out->chi_loss = v->copies * v->n * gradient2;
    out->chi_coup = used / (v->copies * sums->trace * gradient2);
    out->spectral_position = v->copies * v->n * out->chi_coup;
    sums->random = quadratic_form(v, v->columns, v->checks);
    sums->gradient = used;
    sums->gradient2 = gradient2;
}

static double magnitude_entropy(int n, const double *diagonal)
{
    double sum = 0.0;
    double entropy = 0.0;

    for (int i = 0; i < n; i++) {
        sum += sqrt(diagonal[i]);
    }
    for (int i = 0; i < n; i++) {
        const double q = sqrt(diagonal[i]) / sum;

        entropy -= q > 0.0 ? q * log(q) : 0.0;
    }
    return sum > 0.0 ? entropy : NAN;
}

nl_status nl_observe_matrix(const nl_dmat *a, nl_kernel_spec spec, const nl_probe_state *state,
                            const double *check, nl_kernel_sums *sums, nl_observables *out)
{
    vectors v = {0};
    nl_status status = create_vectors(a, spec, state, check, &v);

    if (status == NL_OK) {
        status = nl_dmat_diagonal(a, v.y);
    }
    if (status == NL_OK) {
        out->frobenius_norm = sqrt(sums->frobenius2);
        out->magnitude_entropy = magnitude_entropy(v.n, v.y);
        status = nl_dmat_multiply(a, v.columns + v.checks, v.x, v.y);
    }
    if (status == NL_OK) {
        observe_vectors(&v, state->samples, sums, out);
    }
    free(v.x);
    free(v.y);
    return status;
}

/* Sum over some columns of the squares of row i. */
static double row_power(const vectors *v, int first, int count, int i)
{
    double sum = 0.0;

    for (int k = first; k < first + count; k++) {
        sum += column(v->y, v, k)[i] * column(v->y, v, k)[i];
    }
    return sum;
}

static void sum_powers(const vectors *v, const nl_directions *d)
{
    double so_far = 0.0;

    for (int i = 0; i < v->n; i++) {
        so_far += row_power(v, v->constants, v->targets, i);
        d->target_power[i] = so_far;
        d->gradient_power[i] = row_power(v, v->constants + v->targets, v->gradients, i);
    }
    for (int i = 0; i < v->n; i++) {
        d->target_power[i] /= so_far;
    }
}

/* Eigenvalues that agree to rounding share a space, in which g has one direction whatever basis the
 * solver chose: narrow networks have exactly equal ones. */
double nl_used_rank(int n, const double *lambda, double eps, const double *gradient_power)
{
    const double rounding = n * eps * lambda[0];
    double sum = 0.0;
    double entropy = 0.0;
    double used = 0.0;

    for (int i = n - 1; i >= 0; i--) {
        sum += fmax(lambda[i], 0.0) * gradient_power[i];
    }
    for (int i = n - 1; i >= 0; i--) {
        used += fmax(lambda[i], 0.0) * gradient_power[i] / sum;
        if (i == 0 || lambda[i - 1] - lambda[i] > rounding) {
            entropy -= used > 0.0 ? used * log(used) : 0.0;
            used = 0.0;
        }
    }
    return sum > 0.0 ? exp(entropy) : NAN;
}

static nl_status create_directions(const nl_dmat *a, double **lambda, nl_directions *d)
{
    *lambda = nl_calloc((size_t)a->n, sizeof **lambda);
    d->target_power = nl_calloc((size_t)a->n, sizeof *d->target_power);
    d->gradient_power = nl_calloc((size_t)a->n, sizeof *d->gradient_power);
    return nl_agree(a->grid->comm,
                    *lambda != NULL && d->target_power != NULL && d->gradient_power != NULL
                        ? NL_OK
                        : NL_FAIL(NL_ERR_NOMEM, "out of memory for directions of order %d", a->n));
}

nl_status nl_observe_eigenvectors(nl_dmat *a, nl_kernel_spec spec, const nl_probe_state *state,
                                  nl_observables *observed, nl_directions *out)
{
    const int tenth = (a->n + 9) / 10;
    const int classes = state->outputs < a->n ? state->outputs : a->n;
    double *lambda = NULL;
    vectors v = {0};
    nl_status status = create_directions(a, &lambda, out);

    if (status == NL_OK) {
        status = create_vectors(a, spec, state, NULL, &v);
    }
    if (status == NL_OK) {
        status = nl_dmat_projections(a, v.columns, v.x, lambda, v.y);
    }
    if (status == NL_OK) {
        sum_powers(&v, out);
        observed->target_power = out->target_power[classes - 1];
        observed->target_power_tenth = out->target_power[tenth - 1];
        observed->used_rank =
            nl_used_rank(a->n, lambda, nl_precision_eps(a->precision), out->gradient_power);
    } else {
        free(out->target_power);
        free(out->gradient_power);
        *out = (nl_directions){0};
    }
    free(lambda);
    free(v.x);
    free(v.y);
    return status;
}
