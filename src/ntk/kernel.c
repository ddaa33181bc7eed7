/** @file kernel.c  Kernels into block-cyclic storage, tile by tile. */
#include "chunk_gradients.h"
#include "kernel_parts.h"
#include "kernel_view.h"
#include "kernel_work.h"
#include "samples.h"
#include "tile_products.h"

#include "ntklens/ntk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { least_units = 48 }; /* of a layer whose outputs are paired */

/** A pair of panels and the scratch of its tiles. */
typedef struct tile_job {
    const nl_factors *rows, *cols; /* borrowed */
    nl_kernel_view view;
    bool rate_weighted;
    product_means means;                /* its array owned by the walk */
    void *gram_h, *gram_delta, *factor; /* likewise */
} tile_job;

/* Blocks of outputs (a, b), a >= b, before (a, 0). */
static int pairs_before(int a)
{
    return a * (a + 1) / 2;
}

/* Whether the products of a layer's back-signals are made by pairs of outputs. */
static bool pays_in_pairs(const tile_job *job, int layer)
{
    const nl_net *net = job->rows->net;

    return layer == nl_net_last_hidden(net) && job->view.rows_per_sample > 1 &&
           net->layer[layer].fan_out >= least_units;
}

/* Whether back-signals of a layer are to be had as one vector a sample, nl_factors.traced_delta. */
static bool has_traced_delta(const tile_job *job, int layer)
{
    return layer == nl_net_last_hidden(job->rows->net) && job->view.outputs_summed > 1;
}

/** A tile: of the panels' factors samples i0 .. i0 + m for rows and j0 .. j0 + n for columns. */
typedef struct tile_window {
    int i0, m, j0, n;
    void *theta; /* its first entry, whatever it holds; borrowed */
    int ld;
} tile_window;

#define TEMPLATE "ntk/tile_products_real.h"
#include "ntklens/formats.h"
#define TEMPLATE "ntk/tile_real.h"
#include "ntklens/formats.h"

const char *nl_method_name(nl_method method)
{
    static const char *const names[] = {[NL_METHOD_PRIMAL] = "primal",
                                        [NL_METHOD_DUAL] = "dual",
                                        [NL_METHOD_QUADRATURE] = "quadrature",
                                        [NL_METHOD_AUTO] = "auto"};

    return names[method];
}

const char *nl_kernel_name(nl_kernel_spec spec, char out[32])
{
    const char *suffix = spec.rate_weighted ? "-rate-weighted" : "";

    switch (spec.kind) {
    case NL_KERNEL_FULL:
        snprintf(out, 32, "full%s", suffix);
        break;
    case NL_KERNEL_TRACED:
        snprintf(out, 32, "traced%s", suffix);
        break;
    case NL_KERNEL_CLASS:
    default:
        snprintf(out, 32, "class%d%s", spec.output, suffix);
        break;
    }
    return out;
}

double nl_kernel_flops(const nl_net *net, nl_kernel_spec spec, int samples)
{
    const nl_kernel_view view = nl_kernel_view_of(spec, net->spec.outputs);
    const double n = nl_kernel_order(spec, samples, net->spec.outputs);
    const double pairs = (double)samples * samples;
    double flops = 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_parts_flops(net, spec, samples);
    }
    flops = samples * nl_factors_flops(net);
    /* Lower half, two operations each. */
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const int outputs = l == nl_net_last_hidden(net) ? 1 : view.outputs_summed;

        flops += pairs * layer->fan_in;
        if (layer->role != NL_ROLE_OUTPUT) {
            flops += n * n * layer->fan_out * outputs;
        }
    }
    return flops;
}

nl_fill_work nl_kernel_fill_work(const nl_net *net, const nl_fill_terms *terms)
{
    return nl_net_is_dense(net)
               ? (nl_fill_work){.products = nl_kernel_flops(net, terms->spec, terms->samples)}
               : nl_parts_work(net, terms);
}

double nl_kernel_kept_bytes(const nl_net *net, nl_precision precision, int order, double samples,
                            double panel_bytes)
{
    return nl_net_is_dense(net)
               ? 0.0
               : nl_chunk_gradients_bytes(net, precision, order, samples, panel_bytes);
}

double nl_kernel_fill_bytes(const nl_net *net, nl_precision precision, int order, double samples,
                            double panel_bytes)
{
    const double sample = nl_net_is_dense(net) ? nl_factors_bytes(net, precision) : 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_parts_memory(net, precision, order, samples, panel_bytes);
    }
    return fmax(fmin(samples * sample, panel_bytes), 2.0 * sample) +
           2.0 * nl_factors_fixed_bytes(net);
}

int nl_kernel_order(nl_kernel_spec spec, int samples, int outputs)
{
    return samples * nl_kernel_view_of(spec, outputs).rows_per_sample;
}

int nl_kernel_block(nl_kernel_spec spec, int outputs, int wanted)
{
    const int unit = nl_kernel_view_of(spec, outputs).rows_per_sample;

    return (wanted + unit - 1) / unit * unit;
}

/** The walk over the tiles of one local matrix. */
typedef struct fill_job {
    const nl_dmat *a; /* layout and precision */
    const nl_kernel_input *input;
    nl_local_samples samples; /* owned; of the probe */
    int panel;                /* samples whose factors are held at once */
    int row_start, col_start; /* of the panels at work, in local samples */
    nl_factors *rows, *cols;  /* owned; rows: NULL where cols serve both */
    tile_job tile;
    void *local;   /* where tiles go; NULL: they go to `take`, one by one */
    void *scratch; /* owned; one tile, where `local` is NULL */
    nl_tile_fn *take;
    void *context;
    bool stopped; /* it was asked to: further tiles are not made */
} fill_job;

bool nl_kernel_one_panel(const nl_kernel_input *input, nl_precision precision)
{
    return nl_net_is_dense(input->net) &&
           input->panel_bytes >= nl_factors_bytes(input->net, precision) * (double)input->samples;
}

nl_status nl_kernel_factors(const nl_kernel_input *input, nl_precision precision,
                            nl_factors **factors)
{
    int *list = nl_calloc((size_t)input->samples, sizeof *list);
    nl_status status =
        list == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a list of samples") : NL_OK;

    if (status == NL_OK && *factors == NULL) {
        status = nl_factors_create(input->net, precision, input->samples, factors);
    }
    for (int k = 0; status == NL_OK && k < input->samples; k++) {
        list[k] = k;
    }
    if (status == NL_OK) {
        nl_factors_compute(*factors, input->theta, input->probe, input->samples, list);
    }
    free(list);
    return status;
}

/* Local rows and columns are the same samples: one set of factors serves both. */
static bool is_square(const fill_job *job)
{
    return job->samples.rows == job->samples.cols &&
           memcmp(job->samples.row, job->samples.col, (size_t)job->samples.rows * sizeof(int)) == 0;
}

/* Panels of as many samples as the memory given holds factors of; rows need their own, but where
 * all samples fit and are those of the columns. */
static nl_status create_panels(fill_job *job)
{
    const nl_net *net = job->input->net;
    const nl_precision precision = job->a->precision;
    const double sample_bytes = nl_factors_bytes(net, precision);
    const int most = nl_larger(job->samples.rows, job->samples.cols);
    const double fitting = job->input->panel_bytes / sample_bytes;
    nl_status status = NL_OK;

    job->panel = most;
    if (is_square(job) && job->input->panel_bytes >= sample_bytes * (double)most) {
        return nl_factors_create(net, precision, most, &job->cols);
    }
    if (fitting < 2.0 * most) {
        job->panel = nl_larger((int)(fitting / 2.0), 1);
    }
    status =
        nl_factors_create(net, precision, nl_smaller(job->panel, job->samples.cols), &job->cols);
    if (status == NL_OK) {
        status = nl_factors_create(net, precision, nl_smaller(job->panel, job->samples.rows),
                                   &job->rows);
    }
    return status;
}

static nl_status prepare(fill_job *job)
{
    const size_t size = nl_precision_bytes(job->a->precision);
    const int unit = job->tile.view.rows_per_sample;
    /* a tile has at least one sample */
    const int most = nl_larger(job->samples.rows, job->samples.cols) * unit;
    const size_t side = (size_t)nl_smaller(nl_larger(unit, nl_tile_rows), most);

    job->tile.gram_h = nl_calloc(side * side / (size_t)(unit * unit), size);
    job->tile.gram_delta = nl_calloc(side * side, size);
    job->tile.factor = nl_calloc(side, size);
    job->tile.means.pieces = nl_blas_likes_pieces();
    job->tile.means.precision = job->a->precision;
    job->tile.means.transposed =
        nl_calloc(job->tile.means.pieces ? transposed_depth : 0,
                  size * (size_t)nl_leading_dimension((int)side, job->a->precision));
    job->scratch = nl_calloc(job->local == NULL ? side * side : 0, size);
    if (job->tile.gram_h == NULL || job->tile.gram_delta == NULL || job->tile.factor == NULL ||
        job->tile.means.transposed == NULL || job->scratch == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel tile");
    }
    return job->input->ready != NULL ? NL_OK : create_panels(job);
}

/* The tile of row samples i .. i + m and column samples j .. j + n of the panels: into the matrix,
 * or into scratch and to whoever takes it. */
static void make_tile(int i, int m, int j, int n, void *context)
{
    fill_job *job = context;
    const size_t size = nl_precision_bytes(job->a->precision);
    const int unit = job->tile.view.rows_per_sample;
    const int row = (job->row_start + i) * unit;
    const int col = (job->col_start + j) * unit;
    tile_window tile = {.i0 = i, .m = m, .j0 = j, .n = n, .theta = job->scratch, .ld = m * unit};

    job->stopped = job->stopped || nl_interrupted(job->input->interrupt);
    if (job->stopped) {
        return;
    }
    if (job->local != NULL) {
        tile.ld = job->a->ld;
        tile.theta = (char *)job->local + ((size_t)col * (size_t)tile.ld + (size_t)row) * size;
    }
    if (job->a->precision == NL_DOUBLE) {
        make_tile_double(&job->tile, &tile);
    } else {
        make_tile_single(&job->tile, &tile);
    }
    if (job->local == NULL) {
        job->take(row, m * unit, col, n * unit, tile.theta, job->context);
    }
}

static void make_tiles(fill_job *job, int rows, int cols)
{
    const nl_tile_walk walk = {.rows = job->samples.row + job->row_start,
                               .m = rows,
                               .cols = job->samples.col + job->col_start,
                               .n = cols,
                               .unit = job->tile.view.rows_per_sample};

    nl_for_each_lower_tile(&walk, make_tile, job);
}

/* Rows and columns of a panel pair are the same samples: one set of factors serves both. */
static bool same_samples(const fill_job *job, int i0, int m, int j0, int n)
{
    return m == n &&
           memcmp(job->samples.row + i0, job->samples.col + j0, (size_t)n * sizeof(int)) == 0;
}

static void fill_panels(fill_job *job)
{
    const nl_kernel_input *input = job->input;

    if (input->ready != NULL) {
        job->tile.rows = job->tile.cols = input->ready;
        make_tiles(job, job->samples.rows, job->samples.cols);
        return;
    }
    for (int j0 = 0; j0 < job->samples.cols; j0 += job->panel) {
        const int n = nl_smaller(job->panel, job->samples.cols - j0);

        if (job->stopped) {
            return;
        }
        nl_factors_compute(job->cols, input->theta, input->probe, n, job->samples.col + j0);
        for (int i0 = 0; i0 < job->samples.rows; i0 += job->panel) {
            const int m = nl_smaller(job->panel, job->samples.rows - i0);

            if (job->samples.row[i0 + m - 1] < job->samples.col[j0]) {
                continue;
            }
            job->tile.cols = job->cols;
            job->tile.rows = job->cols;
            if (!same_samples(job, i0, m, j0, n)) {
                nl_factors_compute(job->rows, input->theta, input->probe, m, job->samples.row + i0);
                job->tile.rows = job->rows;
            }
            job->row_start = i0;
            job->col_start = j0;
            make_tiles(job, m, n);
        }
    }
}

/* Walk over all tiles on and below the diagonal. */
static nl_status walk(fill_job *job, nl_kernel_spec spec)
{
    const int outputs = job->input->net->spec.outputs;
    nl_status status = NL_OK;

    job->tile.view = nl_kernel_view_of(spec, outputs);
    job->tile.rate_weighted = spec.rate_weighted;
    status = nl_local_samples_list(job->a, job->tile.view.rows_per_sample, &job->samples);
    if (status != NL_OK || job->samples.rows == 0 || job->samples.cols == 0) {
        goto done; /* or this rank holds no block */
    }
    status = prepare(job);
    if (status == NL_OK) {
        fill_panels(job);
        status = job->stopped ? NL_STOPPED : NL_OK;
    }

done:
    nl_factors_destroy(&job->rows);
    nl_factors_destroy(&job->cols);
    free(job->tile.gram_h);
    free(job->tile.gram_delta);
    free(job->tile.factor);
    free(job->tile.means.transposed);
    free(job->scratch);
    nl_local_samples_free(&job->samples);
    return status;
}

static nl_status check_layout(const nl_dmat *a, nl_kernel_spec spec, const nl_kernel_input *input)
{
    const int outputs = input->net->spec.outputs;
    const int unit = nl_kernel_view_of(spec, outputs).rows_per_sample;

    if (a->n != nl_kernel_order(spec, input->samples, outputs) || a->nb % unit != 0) {
        return NL_FAIL(NL_ERR_ARG,
                       "kernel of %d samples: matrix of order %d in blocks of %d does not fit",
                       input->samples, a->n, a->nb);
    }
    return NL_OK;
}

nl_status nl_kernel_fill(nl_dmat *a, nl_kernel_spec spec, const nl_kernel_input *input)
{
    fill_job job = {.a = a, .input = input, .local = a->local};
    nl_status status = check_layout(a, spec, input);

    if (status != NL_OK) {
        return status;
    }
    return nl_net_is_dense(input->net) ? walk(&job, spec) : nl_parts_fill(a, spec, input, a->local);
}

nl_status nl_kernel_for_each_tile(const nl_dmat *layout, nl_kernel_spec spec,
                                  const nl_kernel_input *input, nl_tile_fn *take, void *context)
{
    fill_job job = {.a = layout, .input = input, .take = take, .context = context};
    nl_status status = check_layout(layout, spec, input);

    if (status != NL_OK) {
        return status;
    }
    return nl_net_is_dense(input->net) ? walk(&job, spec)
                                       : nl_parts_for_each_tile(layout, spec, input, take, context);
}
