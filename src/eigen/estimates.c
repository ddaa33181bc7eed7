/** @file estimates.c  What Lanczos runs of random vectors say of a spectrum.
 *
 *   f(x) = -x ln x
 *   c        of the control variates x and x^2, whose sums over the rest are known: f - c_1 x -
 *            c_2 x^2 has the least mean square over the nodes of all probes
 */
#include "estimates.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

enum { powers = 5 };

/** Sums over the nodes of all probes. */
typedef struct pooled {
    double x[powers]; /* of x^k */
    double xf, xxf;   /* of x f, x^2 f */
} pooled;

/** What is taken off f, or off x^2 where c[1] is zero. */
typedef struct control {
    double c[2];
} control;

static double f(double x)
{
    return x > 0.0 ? -x * log(x) : 0.0;
}

static double rule_of_f(const nl_gauss *rule)
{
    double sum = 0.0;

    for (int k = 0; k < rule->count; k++) {
        sum += rule->weight[k] * f(rule->node[k]);
    }
    return sum;
}

/** z^T f z: between both rules. */
typedef struct bracket {
    double middle, half;
} bracket;

/* Of the first steps of a run.  Beta of a step that did not lead on: the rule before it is exact.
 */
static bracket bracket_of(const nl_probe *p, int steps)
{
    nl_gauss rule = {0};
    double upper = 0.0;
    double lower = 0.0;

    if (nl_gauss_rule(steps, p->alpha, p->beta, false, &rule)) {
        upper = rule_of_f(&rule);
    }
    lower = upper;
    if (p->beta[steps - 1] != 0.0 && nl_gauss_rule(steps, p->alpha, p->beta, true, &rule)) {
        lower = rule_of_f(&rule);
    }
    return (bracket){0.5 * (upper + lower) * p->square, 0.5 * (upper - lower) * p->square};
}

static pooled pool(int probes, const nl_probe *probe)
{
    pooled sum = {0};
    nl_gauss rule;

    for (int j = 0; j < probes; j++) {
        if (!nl_gauss_rule(probe[j].steps, probe[j].alpha, probe[j].beta, false, &rule)) {
            continue;
        }
        for (int k = 0; k < rule.count; k++) {
            const double x = fmax(rule.node[k], 0.0);
            double power = rule.weight[k] * probe[j].square;

            sum.xf += power * x * f(x);
            sum.xxf += power * x * x * f(x);
            for (int p = 0; p < powers; p++, power *= x) {
                sum.x[p] += power;
            }
        }
    }
    return sum;
}

/* Of the entropy. */
static control control_of(const nl_rest *rest, const pooled *sum)
{
    const double *x = sum->x;
    const double determinant = x[2] * x[4] - x[3] * x[3];

    if (!isnan(rest->squares) && determinant > 1e-12 * x[2] * x[4]) {
        return (control){{(sum->xf * x[4] - sum->xxf * x[3]) / determinant,
                          (sum->xxf * x[2] - sum->xf * x[3]) / determinant}};
    }
    return (control){{x[2] > 0.0 ? sum->xf / x[2] : 0.0, 0.0}};
}

/** Moments of a function over the rest, from the nodes of all probes. */
typedef struct moments {
    double first, second;
} moments;

/* Of one quadratic form on a sphere: 2 (<h^2> - <h>^2 / size). */
static double deviation_of(const moments *h, int size)
{
    return sqrt(fmax(2.0 * (h->second - h->first * h->first / size), 0.0));
}

static void add(moments *m, double weight, double h)
{
    m->first += weight * h;
    m->second += weight * h * h;
}

/** Sums over the runs that are longer than the others, or know their end. */
typedef struct refinement {
    int runs;
    double half;            /* of brackets */
    double change, squares; /* of their middles by the further steps */
} refinement;

static void add_longer(refinement *sum, const nl_probe *p, int steps, const bracket *coarse)
{
    const bool ended = p->beta[p->steps - 1] == 0.0;

    if (p->steps > steps || ended) {
        const bracket fine = bracket_of(p, p->steps);
        const double change = fine.middle - coarse->middle;

        sum->half += fine.half;
        sum->change += change;
        sum->squares += change * change;
        sum->runs++;
    }
}

/* What longer runs say beyond their first steps, added to the estimate; the brackets of those are
 * all there is where no run is longer. */
static void refine(const refinement *sum, nl_estimate *e)
{
    const int runs = sum->runs;

    if (runs > 1) {
        const double deviations = fmax(sum->squares - sum->change * sum->change / runs, 0.0);

        e->gap = sum->half / runs;
        e->entropy += sum->change / runs;
        e->refinement_error =
            gsl_cdf_tdist_Pinv(0.975, runs - 1) * sqrt(deviations / (runs - 1) / runs);
    }
}

nl_estimate nl_estimate_of(const nl_rest *rest, int steps, int probes, const nl_probe *probe)
{
    const pooled sum = pool(probes, probe);
    const control of = control_of(rest, &sum);
    const double slope = sum.x[2] > 0.0 ? sum.x[3] / sum.x[2] : 0.0; /* of x^2 by x */
    nl_estimate e = {0};
    moments entropy = {0};
    moments squares = {0};
    refinement longer = {0};
    nl_gauss rule;

    for (int j = 0; j < probes; j++) {
        const nl_probe *p = &probe[j];
        const double share = p->square / probes;
        const double alpha = p->alpha[0];
        const double first = alpha * p->square - rest->trace; /* what it has too much */
        const double second = (alpha * alpha + p->beta[0] * p->beta[0]) * p->square;
        const double too_much = isnan(rest->squares) ? 0.0 : second - rest->squares;
        const bracket coarse = bracket_of(p, nl_smaller(p->steps, steps));

        e.entropy += (coarse.middle - of.c[0] * first - of.c[1] * too_much) / probes;
        e.gap += coarse.half / probes;
        add_longer(&longer, p, steps, &coarse);
        e.squares += (second - slope * first) / probes;
        if (!nl_gauss_rule(p->steps, p->alpha, p->beta, false, &rule)) {
            continue;
        }
        for (int k = 0; k < rule.count; k++) {
            const double x = fmax(rule.node[k], 0.0);

            add(&entropy, rule.weight[k] * share, f(x) - of.c[0] * x - of.c[1] * x * x);
            add(&squares, rule.weight[k] * share, x * x - slope * x);
        }
    }
    e.deviation = deviation_of(&entropy, rest->size);
    e.squares_deviation = deviation_of(&squares, rest->size);
    refine(&longer, &e);
    e.gap = fmax(e.gap, 0.0);
    if (!isnan(rest->squares)) {
        e.squares = rest->squares;
        e.squares_deviation = 0.0;
    }
    return e;
}

/*---------------------------------------------------------------------------------------------
 * The counting function
 *-------------------------------------------------------------------------------------------*/

/** A node, and the eigenvalues it stands for. */
typedef struct node {
    double value, weight;
} node;

static int descending(const void *a, const void *b)
{
    const double x = ((const node *)a)->value;
    const double y = ((const node *)b)->value;

    return (x < y) - (x > y);
}

int nl_count_eigenvalues(const nl_counted *of, double *value, double *rank)
{
    node nodes[nl_most_counted];
    int count = 0;
    double above = 0.0;
    nl_gauss rule;

    for (int i = 0; i < of->kept; i++) {
        nodes[count++] = (node){of->theta[i], 1.0};
    }
    for (int j = 0; j < of->probes; j++) {
        const nl_probe *p = &of->probe[j];

        if (!nl_gauss_rule(nl_smaller(p->steps, nl_counted_steps), p->alpha, p->beta, false,
                           &rule)) {
            continue;
        }
        for (int k = 0; k < rule.count; k++) {
            if (rule.node[k] > 0.0) {
                nodes[count++] = (node){rule.node[k], rule.weight[k] * p->square / of->probes};
            }
        }
    }
    qsort(nodes, (size_t)count, sizeof *nodes, descending);
    for (int k = 0; k < count; k++) {
        value[k] = nodes[k].value;
        rank[k] = 0.5 + above + 0.5 * nodes[k].weight;
        above += nodes[k].weight;
    }
    return count;
}
