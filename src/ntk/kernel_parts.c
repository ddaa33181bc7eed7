/** @file kernel_parts.c  Kernels of networks that are no chains of dense layers. */
#include "kernel_parts.h"
#include "chunk_gradients.h"
#include "tile_products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/** A fill at work. */
typedef struct parts_job {
    const nl_dmat *a;
    const nl_kernel_input *input;
    nl_kernel_spec spec;
    nl_kernel_view view;
    void *local;
    nl_local_samples samples;           /* owned; of rows and of columns */
    const nl_chunk_gradients *made;     /* borrowed; the parts of them that are held */
    product_means means;                /* its array owned */
    void *gram_h, *gram_delta, *factor; /* owned; of a tile */
    void *joined;                       /* owned; products [units x n x m] of a tile's samples */
    void *turned;                       /* owned; [units x mC] factors of one column sample */
    bool first_of_all;
    bool stopped; /* it was asked to: nothing more is made */
} parts_job;

/** A tile: row samples i .. i + m, column samples j .. j + n. */
typedef struct tile_place {
    int i, m, j, n;
    void *theta; /* its first entry; borrowed */
} tile_place;

static nl_status create_tiles(parts_job *job)
{
    const size_t size = nl_precision_bytes(job->a->precision);
    const int unit = job->view.rows_per_sample;
    const int most = nl_larger(job->samples.rows, job->samples.cols) * unit;
    const size_t side = (size_t)nl_smaller(nl_larger(unit, nl_tile_rows), most);
    const size_t units = nl_chunks_joined_units(job->made->chunk, job->made->chunks);

    job->means.pieces = nl_blas_likes_pieces();
    job->means.precision = job->a->precision;
    job->means.transposed =
        nl_calloc(job->means.pieces ? transposed_depth : 0,
                  size * (size_t)nl_leading_dimension((int)side, job->a->precision));
    job->gram_h = nl_alloc(side * side / (size_t)(unit * unit), size);
    job->gram_delta = nl_alloc(side * side, size);
    job->factor = nl_calloc(side, size);
    job->joined =
        nl_alloc(unit > 1 ? units * (side / (size_t)unit) * (side / (size_t)unit) : 0, size);
    job->turned = nl_alloc(unit > 1 ? units * side : 0, size);
    return job->means.transposed != NULL && job->gram_h != NULL && job->gram_delta != NULL &&
                   job->factor != NULL && job->joined != NULL && job->turned != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel tile");
}

#define TEMPLATE "ntk/tile_products_real.h"
#include "ntklens/formats.h"
#define TEMPLATE "ntk/kernel_parts_real.h"
#include "ntklens/formats.h"

static void make_tile(int i, int m, int j, int n, void *context)
{
    parts_job *job = context;
    const size_t C = (size_t)job->view.rows_per_sample;
    const size_t at = (size_t)j * C * (size_t)job->a->ld + (size_t)i * C;
    const tile_place place = {i, m, j, n,
                              (char *)job->local + at * nl_precision_bytes(job->a->precision)};

    job->stopped = job->stopped || nl_interrupted(job->input->interrupt);
    if (job->stopped) {
        return;
    }
    if (job->a->precision == NL_DOUBLE) {
        add_tile_double(job, &place);
    } else {
        add_tile_single(job, &place);
    }
}

/* The chunks that are held, into all tiles. */
static nl_status add_part(parts_job *job)
{
    const nl_tile_walk walk = {.rows = job->samples.row,
                               .m = job->samples.rows,
                               .cols = job->samples.col,
                               .n = job->samples.cols,
                               .unit = job->view.rows_per_sample};

    nl_for_each_lower_tile(&walk, make_tile, job);
    job->first_of_all = false;
    return job->stopped ? NL_STOPPED : NL_OK;
}

/* Gradients that are there for all kernels of a state. */
static nl_status add_ready(parts_job *job)
{
    nl_status status = NL_OK;

    job->made = job->input->gradients;
    status = create_tiles(job);
    return status == NL_OK ? add_part(job) : status;
}

/* Gradients of this kernel alone, part by part. */
static nl_status add_parts(parts_job *job)
{
    nl_kept_memory own = {0};
    nl_kept_memory *memory = job->input->kept != NULL ? job->input->kept : &own;
    nl_chunk_gradients *made = NULL;
    nl_status status = nl_chunk_gradients_open(job->input, job->spec, job->a->precision, job->a->n,
                                               &job->samples, &made);

    job->made = made;
    if (status == NL_OK) {
        status = create_tiles(job);
    }
    for (int k = 0; status == NL_OK && k < made->chunks; k += made->held) {
        status = nl_chunk_gradients_hold(made, k, job->input, memory);
        if (status == NL_OK) {
            status = add_part(job);
        }
    }
    nl_kept_memory_free(&own);
    nl_chunk_gradients_destroy(&made);
    return status;
}

nl_status nl_parts_fill(const nl_dmat *a, nl_kernel_spec spec, const nl_kernel_input *input,
                        void *local)
{
    parts_job job = {.a = a,
                     .input = input,
                     .spec = spec,
                     .view = nl_kernel_view_of(spec, input->net->spec.outputs),
                     .local = local,
                     .first_of_all = true};
    nl_status status = nl_local_samples_list(a, job.view.rows_per_sample, &job.samples);

    if (status == NL_OK && job.samples.rows > 0 && job.samples.cols > 0) {
        status =
            nl_chunk_gradients_serve(input->gradients, spec, a->precision, a->n, input->samples)
                ? add_ready(&job)
                : add_parts(&job);
    }
    nl_local_samples_free(&job.samples);
    free(job.means.transposed);
    free(job.gram_h);
    free(job.gram_delta);
    free(job.factor);
    free(job.joined);
    free(job.turned);
    return status;
}

/** A filled matrix on its way to whoever takes its tiles. */
typedef struct tile_delivery {
    const nl_dmat *layout;
    const char *local;
    char *tile; /* owned */
    int unit;
    nl_tile_fn *take;
    void *context;
} tile_delivery;

static void deliver(int i, int m, int j, int n, void *context)
{
    const tile_delivery *d = context;
    const size_t size = nl_precision_bytes(d->layout->precision);
    const size_t rows = (size_t)m * (size_t)d->unit;

    for (int col = 0; col < n * d->unit; col++) {
        const size_t from = (size_t)(j * d->unit + col) * (size_t)d->layout->ld;

        memcpy(d->tile + (size_t)col * rows * size,
               d->local + (from + (size_t)(i * d->unit)) * size, rows * size);
    }
    d->take(i * d->unit, m * d->unit, j * d->unit, n * d->unit, d->tile, d->context);
}

nl_status nl_parts_for_each_tile(const nl_dmat *layout, nl_kernel_spec spec,
                                 const nl_kernel_input *input, nl_tile_fn *take, void *context)
{
    const size_t size = nl_precision_bytes(layout->precision);
    const int unit = nl_kernel_view_of(spec, input->net->spec.outputs).rows_per_sample;
    const size_t side = unit > (int)nl_tile_rows ? (size_t)unit : nl_tile_rows;
    void *local = nl_calloc((size_t)layout->ld * (size_t)layout->local_cols, size);
    tile_delivery d = {.layout = layout,
                       .local = local,
                       .tile = nl_calloc(side * side, size),
                       .unit = unit,
                       .take = take,
                       .context = context};
    nl_local_samples samples = {0};
    nl_status status = local != NULL && d.tile != NULL
                           ? nl_local_samples_list(layout, unit, &samples)
                           : NL_FAIL(NL_ERR_NOMEM, "out of memory for a second kernel");

    if (status == NL_OK) {
        status = nl_parts_fill(layout, spec, input, local);
    }
    if (status == NL_OK && samples.rows > 0 && samples.cols > 0) {
        const nl_tile_walk walk = {.rows = samples.row,
                                   .m = samples.rows,
                                   .cols = samples.col,
                                   .n = samples.cols,
                                   .unit = unit};

        nl_for_each_lower_tile(&walk, deliver, &d);
    }
    nl_local_samples_free(&samples);
    free(d.tile);
    free(local);
    return status;
}

double nl_parts_memory(const nl_net *net, nl_precision precision, int order, double samples,
                       double panel_bytes)
{
    const nl_kernel_view view =
        nl_kernel_view_of((nl_kernel_spec){.kind = NL_KERNEL_FULL}, net->spec.outputs);

    return nl_chunk_gradients_bytes(net, precision, order, samples, panel_bytes) +
           nl_output_passes_bytes(net, precision, &view, samples);
}
