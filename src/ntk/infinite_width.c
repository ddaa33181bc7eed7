/** @file infinite_width.c  Kernels of wide random networks, in closed form. */
#include "samples.h"

#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    tile = 128,      /* samples: a tile's inputs and its result stay in cache */
    most_kept = 4096 /* samples whose kernel is kept between distances: 64 MiB */
};

static const double pi = 3.14159265358979323846;

/** Mean over draws of what one layer does.  q^0 = <x,x'>/d, q^l = E[phi(z_l) phi(z'_l)]. */
typedef struct layer_mean {
    double variance, bias_variance; /* K^l = variance q^{l-1} + bias_variance */
    double weights, biases;         /* gradients of its own parameters: weights q^{l-1} + biases */
} layer_mean;

struct nl_infinite {
    nl_activation activation;
    int inputs, layers, samples;
    float *x;          /* owned; [samples x inputs] */
    layer_mean *layer; /* owned; [layers] */
    double *square;    /* owned; [samples] |x|^2 / d */
    double *variance;  /* owned; [samples x layers]: K^l of a sample with itself */
    double *panel;     /* owned; [2 x tile x inputs]: rows and columns of a tile */
    double *gram;      /* owned; [tile x tile] */
    double *result;    /* owned; [tile x tile] */
    double *kept; /* owned; NTK, columns of the lower half one behind the other; NULL: not yet */
};

/*---------------------------------------------------------------------------------------------
 * Two units
 *-------------------------------------------------------------------------------------------*/

/** Expectations over (u, v), normal with covariance [[uu, uv], [uv, vv]]. */
typedef struct expectation {
    double value; /* E[phi(u) phi(v)] */
    double slope; /* E[phi'(u) phi'(v)] */
} expectation;

/* Arc-cosine kernels of order 1 and 0 (Cho & Saul 2009), the angle taken from sine and cosine: acos
 * alone loses half of the digits of small angles.  uu = uv = vv gives exactly uu / 2 and 1 / 2. */
static inline expectation relu_expectation(double uu, double uv, double vv)
{
    const double sine = sqrt(fmax(0.0, uu * vv - uv * uv));
    const double rest = pi - atan2(sine, uv);

    if (!(uu * vv > 0.0)) { /* a unit that is always 0, where relu has slope 0 */
        return (expectation){.value = 0.0 * uu * vv};
    }
    return (expectation){
        .value = (sine + rest * uv) / (2.0 * pi),
        .slope = rest / (2.0 * pi),
    };
}

/* Williams 1997, "Computing with infinite networks"; asin(a / b) as atan2(a, sqrt(b^2 - a^2)),
 * which keeps its digits near 1. */
static inline expectation erf_expectation(double uu, double uv, double vv)
{
    const double root = sqrt(1.0 + 2.0 * (uu + vv) + 4.0 * (uu * vv - uv * uv));

    return (expectation){
        .value = 2.0 / pi * atan2(2.0 * uv, root),
        .slope = 4.0 / pi / root,
    };
}

/* Tsuchida et al. 2021, "Avoiding kernel fixed points".  By parts from the normal cdf F and density
 * f: E[F(u) F(v)] = 1/4 + asin(uv / sqrt((1 + uu)(1 + vv))) / (2 pi), E[f(u) f(v)] = 1 / (2 pi
 * root). */
static inline expectation gelu_expectation(double uu, double uv, double vv)
{
    const double det = 1.0 + uu + vv + (uu * vv - uv * uv); /* of 1 + covariance */
    const double root = sqrt(det);
    const double both = 0.25 + atan2(uv, root) / (2.0 * pi);
    const double density = 1.0 / (2.0 * pi * root);
    const double u = uv / (1.0 + uu);
    const double v = uv / (1.0 + vv);

    return (expectation){
        .value = uv * both + density * ((uu * vv - uv * uv) + uv * (u + v)),
        .slope = both + density * ((u + v) + uv / det),
    };
}

static inline expectation expect(nl_activation activation, double uu, double uv, double vv)
{
    switch (activation) {
    case NL_RELU:
        return relu_expectation(uu, uv, vv);
    case NL_ERF:
        return erf_expectation(uu, uv, vv);
    default:
        return gelu_expectation(uu, uv, vv);
    }
}

/*---------------------------------------------------------------------------------------------
 * Set-up
 *-------------------------------------------------------------------------------------------*/

static layer_mean at_width(const nl_layer *layer, bool rate_weighted)
{
    const double scale = layer->weight_scale * layer->weight_scale * layer->fan_in;
    const double shift = layer->bias_scale * layer->bias_scale;

    return (layer_mean){
        .variance = scale * layer->weight_std * layer->weight_std,
        .bias_variance = shift * layer->bias_std * layer->bias_std,
        .weights = scale * (rate_weighted ? layer->weight_rate : 1.0),
        .biases = shift * (rate_weighted ? layer->bias_rate : 1.0),
    };
}

/* Over the width, what does not grow with it goes to zero: the first layer's weights, all biases.
 */
static void divide_by_width(nl_infinite *k)
{
    for (int l = 0; l < k->layers; l++) {
        k->layer[l].weights = l > 0 ? 1.0 : 0.0;
        k->layer[l].biases = 0.0;
    }
}

static nl_status check(const nl_net_spec *spec, nl_infinite_scale scale)
{
    if (spec->kind != NL_MLP) {
        return NL_FAIL(NL_ERR_ARG, "infinite width: known of mlp only, not of %s",
                       nl_net_kind_name(spec->kind));
    }
    if (!nl_infinite_is_known(spec)) {
        return NL_FAIL(NL_ERR_ARG,
                       "infinite width: activation %s has no closed form, use relu, erf or gelu",
                       nl_activation_name(spec->activation));
    }
    if (scale == NL_INFINITE_LIMIT && spec->parametrization == NL_MUP) {
        return NL_FAIL(NL_ERR_ARG, "infinite width: in mup features move at any width, no kernel "
                                   "describes its limit; expected ntk or standard");
    }
    return NL_OK;
}

static nl_status allocate(nl_infinite *k)
{
    const size_t samples = (size_t)k->samples;

    k->x = nl_calloc(samples * (size_t)k->inputs, sizeof *k->x);
    k->layer = nl_calloc((size_t)k->layers, sizeof *k->layer);
    k->square = nl_calloc(samples, sizeof *k->square);
    k->variance = nl_calloc(samples * (size_t)k->layers, sizeof *k->variance);
    k->panel = nl_calloc((size_t)2 * tile * (size_t)k->inputs, sizeof *k->panel);
    k->gram = nl_calloc((size_t)tile * tile, sizeof *k->gram);
    k->result = nl_calloc((size_t)tile * tile, sizeof *k->result);
    if (!k->x || !k->layer || !k->square || !k->variance || !k->panel || !k->gram || !k->result) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the infinite-width kernel of %d samples",
                       k->samples);
    }
    return NL_OK;
}

static void compute_variances(nl_infinite *k)
{
    const size_t inputs = (size_t)k->inputs;
    const size_t layers = (size_t)k->layers;

    for (size_t i = 0; i < (size_t)k->samples; i++) {
        double q = 0.0;

        for (size_t c = 0; c < inputs; c++) {
            q += (double)k->x[i * inputs + c] * (double)k->x[i * inputs + c];
        }
        q /= k->inputs;
        k->square[i] = q;
        for (size_t l = 0; l < layers; l++) {
            const double kii = k->layer[l].variance * q + k->layer[l].bias_variance;

            k->variance[i * layers + l] = kii;
            q = expect(k->activation, kii, kii, kii).value;
        }
    }
}

bool nl_infinite_is_known(const nl_net_spec *spec)
{
    return spec->kind == NL_MLP && (spec->activation == NL_RELU || spec->activation == NL_ERF ||
                                    spec->activation == NL_GELU);
}

bool nl_infinite_same_limit(const nl_net_spec *a, const nl_net_spec *b)
{
    return a->kind == b->kind && a->depth == b->depth && a->activation == b->activation &&
           a->parametrization == b->parametrization && a->weight_variance == b->weight_variance &&
           a->bias_variance == b->bias_variance;
}

nl_status nl_infinite_create(const nl_net *net, nl_infinite_scale scale, bool rate_weighted,
                             int samples, const float *x, nl_infinite **out)
{
    nl_infinite *k = NULL;
    nl_status status = check(&net->spec, scale);

    *out = NULL;
    if (status != NL_OK) {
        return status;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for an infinite-width kernel");
    }
    *k = (nl_infinite){.activation = net->spec.activation,
                       .inputs = net->spec.inputs,
                       .layers = net->layers,
                       .samples = samples};
    status = allocate(k);
    if (status != NL_OK) {
        nl_infinite_destroy(&k);
        return status;
    }
    memcpy(k->x, x, (size_t)samples * (size_t)k->inputs * sizeof *x);
    for (int l = 0; l < k->layers; l++) {
        k->layer[l] = at_width(&net->layer[l], rate_weighted);
    }
    if (scale == NL_INFINITE_LIMIT && net->spec.parametrization == NL_STANDARD) {
        divide_by_width(k);
    }
    compute_variances(k);
    *out = k;
    return NL_OK;
}

void nl_infinite_destroy(nl_infinite **infinite)
{
    nl_infinite *k = *infinite;

    if (k == NULL) {
        return;
    }
    free(k->x);
    free(k->layer);
    free(k->square);
    free(k->variance);
    free(k->panel);
    free(k->gram);
    free(k->result);
    free(k->kept);
    free(k);
    *infinite = NULL;
}

/*---------------------------------------------------------------------------------------------
 * Entries
 *-------------------------------------------------------------------------------------------*/

/* Theta^1 = A^1, Theta^{l+1} = A^{l+1} + variance_{l+1} E[phi' phi'] Theta^l with
 * A^l = weights_l q^{l-1} + biases_l; q = <x_i,x_j>/d. */
static double entry(const nl_infinite *k, nl_infinite_kind kind, size_t i, size_t j, double q)
{
    const double *kii = k->variance + i * (size_t)k->layers;
    const double *kjj = k->variance + j * (size_t)k->layers;
    const layer_mean *layer = k->layer;
    double kij = layer[0].variance * q + layer[0].bias_variance;
    double theta = layer[0].weights * q + layer[0].biases;

    for (int l = 1; l < k->layers; l++) {
        const expectation e = expect(k->activation, kii[l - 1], kij, kjj[l - 1]);

        theta = layer[l].weights * e.value + layer[l].biases + layer[l].variance * e.slope * theta;
        kij = layer[l].variance * e.value + layer[l].bias_variance;
    }
    return kind == NL_INFINITE_NTK ? theta : kij;
}

static void gather(const nl_infinite *k, int count, const int *list, double *panel)
{
    const size_t inputs = (size_t)k->inputs;

    for (int i = 0; i < count; i++) {
        for (size_t c = 0; c < inputs; c++) {
            panel[(size_t)i * inputs + c] = (double)k->x[(size_t)list[i] * inputs + c];
        }
    }
}

static void fill_tile(nl_infinite *k, nl_infinite_kind kind, const nl_sample_pairs *pairs,
                      double *out, int ld)
{
    const double per_input = 1.0 / k->inputs;
    const double zero = 0.0;
    double *row_panel = k->panel;
    double *col_panel = k->panel + (size_t)tile * (size_t)k->inputs;

    gather(k, pairs->m, pairs->rows, row_panel);
    gather(k, pairs->n, pairs->cols, col_panel);
    dgemm_("T", "N", &pairs->m, &pairs->n, &k->inputs, &per_input, row_panel, &k->inputs, col_panel,
           &k->inputs, &zero, k->gram, &pairs->m);
    for (int j = 0; j < pairs->n; j++) {
        for (int i = 0; i < pairs->m; i++) {
            const size_t row = (size_t)pairs->rows[i];
            const size_t col = (size_t)pairs->cols[j];
            const double q = row == col ? k->square[row] : k->gram[j * pairs->m + i];

            out[(size_t)j * (size_t)ld + (size_t)i] = entry(k, kind, row, col, q);
        }
    }
}

void nl_infinite_block(nl_infinite *infinite, nl_infinite_kind kind, const nl_sample_pairs *pairs,
                       double *out, int ld)
{
    for (int j = 0; j < pairs->n; j += tile) {
        for (int i = 0; i < pairs->m; i += tile) {
            const nl_sample_pairs part = {.m = nl_smaller(tile, pairs->m - i),
                                          .n = nl_smaller(tile, pairs->n - j),
                                          .rows = pairs->rows + i,
                                          .cols = pairs->cols + j};

            fill_tile(infinite, kind, &part, out + (size_t)j * (size_t)ld + (size_t)i, ld);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Block-cyclic matrices
 *-------------------------------------------------------------------------------------------*/

/** A tile of the local samples, with the kernel's values [tile x tile] on and below the diagonal.
 */
typedef void take_tile(int i0, int m, int j0, int n, const double *values, void *context);

/* Tiles that hold something on or below the diagonal. */
static void walk(nl_infinite *k, nl_infinite_kind kind, const nl_local_samples *s, take_tile *take,
                 void *context)
{
    for (int j = 0; j < s->cols; j += tile) {
        const int n = nl_smaller(tile, s->cols - j);

        for (int i = 0; i < s->rows; i += tile) {
            const int m = nl_smaller(tile, s->rows - i);

            if (s->row[i + m - 1] >= s->col[j]) {
                const nl_sample_pairs part = {m, n, s->row + i, s->col + j};

                fill_tile(k, kind, &part, k->result, tile);
                take(i, m, j, n, k->result, context);
            }
        }
    }
}

static void store_tile(int i0, int m, int j0, int n, const double *values, void *context)
{
    const nl_dmat *a = context;

    for (int j = 0; j < n; j++) {
        memcpy((double *)a->local + (size_t)(j0 + j) * (size_t)a->ld + (size_t)i0,
               values + (size_t)j * tile, (size_t)m * sizeof *values);
    }
}

nl_status nl_infinite_fill(nl_dmat *a, nl_infinite *infinite, nl_infinite_kind kind)
{
    nl_local_samples samples;
    nl_status status = nl_local_samples_list(a, 1, &samples);

    if (status == NL_OK && (a->n != infinite->samples || a->precision != NL_DOUBLE)) {
        status = NL_FAIL(NL_ERR_ARG,
                         "infinite width: kernel of %d samples into a matrix of order %d; expected "
                         "the same, in double",
                         infinite->samples, a->n);
    }
    if (status == NL_OK) {
        walk(infinite, kind, &samples, store_tile, a);
    }
    nl_local_samples_free(&samples);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Distance
 *-------------------------------------------------------------------------------------------*/

/* Where column j of the kept lower half would begin with row 0. */
static size_t kept_column(const nl_infinite *k, int j)
{
    return (size_t)j * (size_t)k->samples - (size_t)j * (size_t)(j + 1) / 2;
}

static void keep_tile(int i0, int m, int j0, int n, const double *values, void *context)
{
    nl_infinite *k = context;

    for (int j = 0; j < n; j++) {
        double *column = k->kept + kept_column(k, j0 + j);

        for (int i = i0 < j0 + j ? j0 + j : i0; i < i0 + m; i++) {
            column[i] = values[(size_t)j * tile + (size_t)(i - i0)];
        }
    }
}

/* The states of a cell are all compared with the same kernel. */
static nl_status keep(nl_infinite *k)
{
    const size_t samples = (size_t)k->samples;
    nl_local_samples all = {.unit = 1, .rows = k->samples, .cols = k->samples};
    int *list = nl_calloc(samples, sizeof *list);

    k->kept = nl_calloc(samples * (samples + 1) / 2, sizeof *k->kept);
    if (list == NULL || k->kept == NULL) {
        free(list);
        free(k->kept);
        k->kept = NULL;
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the infinite-width kernel of %d samples",
                       k->samples);
    }
    for (int i = 0; i < k->samples; i++) {
        list[i] = i;
    }
    all.row = all.col = list;
    walk(k, NL_INFINITE_NTK, &all, keep_tile, k);
    free(list);
    return NL_OK;
}

double nl_infinite_bytes(int samples, int inputs)
{
    const double kept = samples <= most_kept ? 0.5 * samples * (samples + 1.0) : 0.0;

    return (double)sizeof(double) * (kept + 2.0 * tile * (inputs + tile)) +
           (double)sizeof(float) * samples * inputs;
}

/** A comparison in work: sums over the entries of a sample with a sample, in one output. */
typedef struct comparison {
    const nl_dmat *a;
    const nl_local_samples *samples;
    double difference2; /* (A - K)^2 */
    double same2;       /* A^2 */
    double closed2;     /* K^2 */
} comparison;

static void compare_entry(comparison *c, int row, int col, bool diagonal, double closed)
{
    const int unit = c->samples->unit;
    const double times = diagonal ? 1.0 : 2.0; /* the others stand in the matrix twice */

    for (int a = 0; a < unit; a++) {
        const double value = nl_dmat_element(c->a, row * unit + a, col * unit + a);
        const double difference = value - closed;

        c->difference2 += times * difference * difference;
        c->same2 += times * value * value;
        c->closed2 += times * closed * closed;
    }
}

static void compare_tile(int i0, int m, int j0, int n, const double *values, void *context)
{
    comparison *c = context;
    const nl_local_samples *s = c->samples;

    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            if (s->row[i0 + i] >= s->col[j0 + j]) {
                compare_entry(c, i0 + i, j0 + j, s->row[i0 + i] == s->col[j0 + j],
                              values[(size_t)j * tile + (size_t)i]);
            }
        }
    }
}

static void compare_kept(const nl_infinite *k, comparison *c)
{
    const nl_local_samples *s = c->samples;

    for (int j = 0; j < s->cols; j++) {
        const double *column = k->kept + kept_column(k, s->col[j]);

        for (int i = 0; i < s->rows; i++) {
            if (s->row[i] >= s->col[j]) {
                compare_entry(c, i, j, s->row[i] == s->col[j], column[s->row[i]]);
            }
        }
    }
}

nl_status nl_infinite_distance(const nl_dmat *a, int rows_per_sample, double frobenius2,
                               nl_infinite *infinite, double *distance)
{
    nl_local_samples samples;
    comparison c = {.a = a, .samples = &samples};
    double sums[3] = {0};
    nl_status status = nl_local_samples_list(a, rows_per_sample, &samples);

    *distance = NAN;
    if (status == NL_OK && infinite->kept == NULL && infinite->samples <= most_kept) {
        status = keep(infinite);
    }
    if (status == NL_OK && infinite->kept != NULL) {
        compare_kept(infinite, &c);
    } else if (status == NL_OK) {
        walk(infinite, NL_INFINITE_NTK, &samples, compare_tile, &c);
    }
    nl_local_samples_free(&samples);
    status = nl_agree(a->grid->comm, status);
    if (status != NL_OK) {
        return status;
    }
    sums[0] = c.difference2;
    sums[1] = c.same2;
    sums[2] = c.closed2;
    status = nl_grid_sum(a->grid, sums, 3);
    if (rows_per_sample > 1) { /* between different outputs the closed form is zero */
        sums[0] += fmax(0.0, frobenius2 - sums[1]);
    }
    *distance = sqrt(sums[0] / sums[2]);
    return status;
}
