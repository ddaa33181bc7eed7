/** @file kernel_parts.c  Kernels of networks that are no chains of dense layers. */
#include "kernel_parts.h"
#include "chunks.h"
#include "joined.h"
#include "output_passes.h"
#include "samples.h"
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
    int seeds; /* nl_kernel_view_seeds() */
    void *local;
    nl_local_samples samples; /* owned; of rows and of columns */
    int *list;                /* owned; [count] both together, in rising order */
    int *place[2];            /* owned; [count] which row, which column a sample has; -1: none */
    int count;
    bool square;     /* rows and columns are the same samples */
    nl_chunk *chunk; /* owned; [chunks] */
    int chunks;
    nl_output_passes by_output; /* owned */
    int batch;                  /* its, samples that go through at a time */
    int first;                  /* of these, in the list */
    void *row;                  /* owned; M before it is turned */
    double *mask;               /* owned; of one sample, joined.h */
    void *rounded;              /* owned; the mask in the format of the kernel */
    nl_chunk *part;             /* the chunks that are held, [held] */
    int held;
    product_means means;                /* its array owned */
    void *gram_h, *gram_delta, *factor; /* owned; of a tile */
    void *joined;                       /* owned; products [units x n x m] of a tile's samples */
    void *turned;                       /* owned; [units x mC] factors of one column sample */
    bool first_of_all;
    bool stopped;           /* it was asked to: nothing more is made */
    nl_kept_memory *memory; /* of a part; borrowed */
} parts_job;

/** A tile: row samples i .. i + m, column samples j .. j + n. */
typedef struct tile_place {
    int i, m, j, n;
    void *theta; /* its first entry; borrowed */
} tile_place;

/*---------------------------------------------------------------------------------------------
 * Preparation
 *-------------------------------------------------------------------------------------------*/

static int by_number(const void *a, const void *b)
{
    const int x = *(const int *)a;
    const int y = *(const int *)b;

    return (x > y) - (x < y);
}

/* Which of `samples` [n] each sample of the list is. */
static void find_places(const parts_job *job, const int *samples, int n, int *place)
{
    for (int k = 0, at = 0; k < job->count; k++) {
        const bool is_there = at < n && samples[at] == job->list[k];

        place[k] = is_there ? at : -1;
        at += is_there;
    }
}

/* The samples of local rows and columns, each once. */
static nl_status list_samples(parts_job *job)
{
    const nl_local_samples *s = &job->samples;
    const size_t most = (size_t)s->rows + (size_t)s->cols;
    int *list = nl_calloc(most, sizeof *list);

    job->list = list;
    job->place[0] = nl_calloc(most, sizeof *job->place[0]);
    job->place[1] = nl_calloc(most, sizeof *job->place[1]);
    if (list == NULL || job->place[0] == NULL || job->place[1] == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of local samples");
    }
    memcpy(list, s->row, (size_t)s->rows * sizeof *list);
    memcpy(list + s->rows, s->col, (size_t)s->cols * sizeof *list);
    qsort(list, most, sizeof *list, by_number);
    for (size_t k = 0; k < most; k++) {
        if (k == 0 || list[k] != list[job->count - 1]) {
            list[job->count++] = list[k];
        }
    }
    find_places(job, s->row, s->rows, job->place[0]);
    find_places(job, s->col, s->cols, job->place[1]);
    job->square = s->rows == s->cols && job->count == s->rows;
    return NL_OK;
}

static nl_status create_tiles(parts_job *job)
{
    const size_t size = nl_precision_bytes(job->a->precision);
    const int unit = job->view.rows_per_sample;
    const int most = nl_larger(job->samples.rows, job->samples.cols) * unit;
    const size_t side = (size_t)nl_smaller(nl_larger(unit, nl_tile_rows), most);
    const size_t units = nl_chunks_joined_units(job->chunk, job->chunks);

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

static nl_status prepare(parts_job *job)
{
    nl_status status = list_samples(job);

    if (status == NL_OK) {
        status =
            nl_chunks_create(job->input->net, &job->view, job->a->n, &job->chunk, &job->chunks);
    }
    if (status == NL_OK) {
        status = nl_output_passes_create(job->input, job->a->precision, &job->view, job->count,
                                         &job->by_output);
        job->batch = job->by_output.batch;
    }
    if (status == NL_OK) {
        const size_t size = nl_precision_bytes(job->a->precision);
        const size_t widest = (size_t)nl_net_widest(job->input->net);

        job->row = nl_alloc(nl_chunks_joined_columns(job->chunk, job->chunks), size);
        job->mask = nl_alloc(widest, sizeof *job->mask);
        job->rounded = nl_alloc(widest, size);
        status = job->row != NULL && job->mask != NULL && job->rounded != NULL
                     ? NL_OK
                     : NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients");
    }
    return status == NL_OK ? create_tiles(job) : status;
}

/*---------------------------------------------------------------------------------------------
 * One part
 *-------------------------------------------------------------------------------------------*/

#define TEMPLATE "ntk/tile_products_real.h"
#include "ntklens/formats.h"
#define TEMPLATE "ntk/kernel_parts_real.h"
#include "ntklens/formats.h"

/* Back-signals of a layer have come: its chunks take what they need. */
static void take_layer(int l, const void *delta, void *context)
{
    parts_job *job = context;

    for (int k = 0; k < job->held; k++) {
        if (job->part[k].lowest == l && job->a->precision == NL_DOUBLE) {
            store_double(job, &job->part[k], delta);
        } else if (job->part[k].lowest == l) {
            store_single(job, &job->part[k], delta);
        }
    }
}

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

/* Bytes of some numbers, so that what lies behind them is aligned as they are. */
static size_t aligned_bytes(size_t count, nl_precision precision)
{
    const size_t line = 64;

    return (count * nl_precision_bytes(precision) + line - 1) / line * line;
}

/* What the chunks that are held take of samples that are rows and, where those differ, columns. */
static size_t part_bytes(const nl_chunk *part, int held, nl_precision precision,
                         const size_t samples[2])
{
    size_t bytes = 0;

    for (int k = 0; k < held; k++) {
        for (int side = 0; side < 2; side++) {
            bytes += aligned_bytes(samples[side] * part[k].in_size, precision) +
                     aligned_bytes(samples[side] * part[k].delta_size, precision);
        }
    }
    return bytes;
}

static nl_status make_room(nl_kept_memory *memory, size_t bytes, int samples)
{
    if (memory->bytes >= bytes) {
        return NL_OK;
    }
    nl_kept_memory_free(memory);
    memory->data = nl_alloc(bytes, 1);
    if (memory->data == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of %d samples", samples);
    }
    memory->bytes = bytes;
    return NL_OK;
}

void nl_kept_memory_free(nl_kept_memory *kept)
{
    free(kept->data);
    *kept = (nl_kept_memory){0};
}

/* Places of what is stored, one behind the other. */
static nl_status hold(parts_job *job)
{
    const nl_precision precision = job->a->precision;
    const size_t samples[2] = {(size_t)job->samples.rows,
                               job->square ? 0 : (size_t)job->samples.cols};
    const nl_status status =
        make_room(job->memory, part_bytes(job->part, job->held, precision, samples), job->count);
    char *at = job->memory->data;

    for (int k = 0; status == NL_OK && k < job->held; k++) {
        nl_chunk *chunk = &job->part[k];

        for (int side = 0; side < 2; side++) {
            const bool same = side == 1 && job->square;

            chunk->in[side] = same ? chunk->in[0] : at;
            at += aligned_bytes(samples[side] * chunk->in_size, precision);
            chunk->delta[side] = same ? chunk->delta[0] : at;
            at += aligned_bytes(samples[side] * chunk->delta_size, precision);
        }
    }
    return status;
}

/* Chunks job->part .. + held: passes over all samples, then their products. */
static nl_status add_part(parts_job *job)
{
    const nl_kernel_input *input = job->input;
    const int lowest = nl_chunks_lowest(job->part, job->held);
    const nl_tile_walk walk = {.rows = job->samples.row,
                               .m = job->samples.rows,
                               .cols = job->samples.col,
                               .n = job->samples.cols,
                               .unit = job->view.rows_per_sample};
    nl_status status = hold(job);

    for (job->first = 0; status == NL_OK && job->first < job->count; job->first += job->batch) {
        const int rows = nl_smaller(job->batch, job->count - job->first);

        if (nl_interrupted(input->interrupt)) {
            return NL_STOPPED;
        }
        nl_passes_forward(job->by_output.passes, rows, input->probe, job->list + job->first);
        nl_passes_backward(job->by_output.passes, job->by_output.signal, lowest, take_layer, job);
    }
    if (status == NL_OK) {
        nl_for_each_lower_tile(&walk, make_tile, job);
        job->first_of_all = false;
    }
    return job->stopped ? NL_STOPPED : status;
}

static nl_status add_parts(parts_job *job)
{
    const double element = (double)nl_precision_bytes(job->a->precision);
    const double held_samples = job->samples.rows + (job->square ? 0.0 : (double)job->samples.cols);
    nl_status status = NL_OK;

    job->first_of_all = true;
    for (int k = 0; status == NL_OK && k < job->chunks; k += job->held) {
        job->part = job->chunk + k;
        job->held = nl_chunks_that_fit(job->part, job->chunks - k,
                                       job->input->panel_bytes / (element * held_samples));
        status = add_part(job);
    }
    return status;
}

nl_status nl_parts_fill(const nl_dmat *a, nl_kernel_spec spec, const nl_kernel_input *input,
                        void *local)
{
    parts_job job = {.a = a,
                     .input = input,
                     .spec = spec,
                     .view = nl_kernel_view_of(spec, input->net->spec.outputs),
                     .local = local};
    nl_kept_memory own = {0};
    nl_status status = NL_OK;

    job.memory = input->kept != NULL ? input->kept : &own;
    job.seeds = nl_kernel_view_seeds(&job.view);
    status = nl_local_samples_list(a, job.view.rows_per_sample, &job.samples);

    if (status == NL_OK && job.samples.rows > 0 && job.samples.cols > 0) {
        status = prepare(&job);
        if (status == NL_OK) {
            status = add_parts(&job);
        }
    }
    nl_kept_memory_free(&own);
    nl_output_passes_free(&job.by_output);
    nl_local_samples_free(&job.samples);
    free(job.list);
    free(job.place[0]);
    free(job.place[1]);
    free(job.chunk);
    free(job.row);
    free(job.means.transposed);
    free(job.gram_h);
    free(job.gram_delta);
    free(job.factor);
    free(job.joined);
    free(job.turned);
    free(job.mask);
    free(job.rounded);
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

/* As if all outputs had their rows: those of class kernels take less. */
static nl_kernel_view widest_view(const nl_net *net)
{
    return nl_kernel_view_of((nl_kernel_spec){.kind = NL_KERNEL_FULL}, net->spec.outputs);
}

double nl_parts_kept(const nl_net *net, nl_precision precision, int order, double samples,
                     double panel_bytes)
{
    const nl_kernel_view view = widest_view(net);
    const double of_samples = samples * (double)nl_precision_bytes(precision);
    const size_t all[2] = {(size_t)samples, 0};
    nl_chunk *chunk = NULL;
    int chunks = 0;
    int held = 0;
    double most = 0.0;

    if (nl_chunks_create(net, &view, order, &chunk, &chunks) != NL_OK) {
        return panel_bytes;
    }
    for (int k = 0; k < chunks; k += held) {
        held = nl_chunks_that_fit(chunk + k, chunks - k, panel_bytes / of_samples);
        most = fmax(most, (double)part_bytes(chunk + k, held, precision, all));
    }
    free(chunk);
    return most;
}

double nl_parts_memory(const nl_net *net, nl_precision precision, int order, double samples,
                       double panel_bytes)
{
    const nl_kernel_view view = widest_view(net);

    return nl_parts_kept(net, precision, order, samples, panel_bytes) +
           nl_output_passes_bytes(net, precision, &view, samples);
}
