/**
 * @file kernel_parts_real.h  One part of a kernel in one floating-point format (ntklens/formats.h);
 * behind tile_products_real.h.
 *
 * Symbols: C rows of a sample in the matrix, A rows of J by a chunk's parameters, [samples x seeds
 * x columns]; h, delta, gram_h, gram_delta, u, v as in tile_products_real.h.
 */

static void NAME(convert)(size_t n, const double *from, real *to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] = (real)from[k];
    }
}

/* v [n] *= scale */
static void NAME(scale)(size_t n, double scale, double *v)
{
    for (size_t k = 0; scale != 1.0 && k < n; k++) {
        v[k] *= scale;
    }
}

/* A of sample `at` of the batch, weighted with the roots of the learning rates where they count. */
static void NAME(store_rows)(parts_job *job, const nl_chunk *chunk, int at, const double *delta,
                             real *to)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const size_t columns = chunk->in_size / (size_t)job->seeds;
    const size_t weights = (size_t)layer->fan_in * (size_t)chunk->units;
    const nl_row_range range = {.first = chunk->first, .count = chunk->units, .apart = columns};
    const bool in_place = sizeof(real) == sizeof(double);
    double *rows = in_place ? (void *)to : job->row;

    nl_passes_rows(job->passes, chunk->layer, at, &range, delta, rows);
    for (int a = 0; job->spec.rate_weighted && a < job->seeds; a++) {
        double *row = rows + (size_t)a * columns;

        NAME(scale)(weights, sqrt(layer->weight_rate), row);
        NAME(scale)(columns - weights, sqrt(layer->bias_rate), row + weights);
    }
    if (!in_place) {
        NAME(convert)(chunk->in_size, rows, to);
    }
}

/* Of sample `at` of the batch, to where it is among the rows or columns. */
static void NAME(store_sample)(parts_job *job, nl_chunk *chunk, int side, int at,
                               const double *delta)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const size_t place = (size_t)job->place[side][job->first + at];
    const double *in = nl_passes_input(job->passes, chunk->layer);
    real *to = (real *)chunk->in[side] + place * chunk->in_size;

    if (!chunk->gram) {
        NAME(store_rows)(job, chunk, at, delta, to);
        return;
    }
    NAME(convert)(chunk->in_size, in + (size_t)at * (size_t)nl_shape_size(layer->in), to);
    NAME(convert)(chunk->delta_size, delta, (real *)chunk->delta[side] + place * chunk->delta_size);
}

/* What a chunk needs of the batch that went through. */
static void NAME(store)(parts_job *job, nl_chunk *chunk, const double *delta)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const size_t signals = (size_t)job->seeds * (size_t)nl_shape_size(layer->out);
    const int rows = nl_smaller(job->batch, job->count - job->first);

    for (int at = 0; at < rows; at++) {
        for (int side = 0; side < (job->square ? 1 : 2); side++) {
            if (job->place[side][job->first + at] >= 0) {
                NAME(store_sample)(job, chunk, side, at, delta + (size_t)at * signals);
            }
        }
    }
}

/* theta += A A^T / C or A A^T, columns of all seeds together where they are summed */
static void NAME(add_rows)(const parts_job *job, const nl_chunk *chunk, const tile_place *t,
                           real *theta)
{
    const int C = job->view.rows_per_sample;
    const int m = t->m * C;
    const int n = t->n * C;
    const int depth = (int)(chunk->in_size / (size_t)C);
    const real scale = (real)job->view.scale;
    const real one = 1;
    const real *rows = (const real *)chunk->in[0] + (size_t)t->i * chunk->in_size;
    const real *cols = (const real *)chunk->in[1] + (size_t)t->j * chunk->in_size;

    BLAS(gemm)("T", "N", &m, &n, &depth, &scale, rows, &depth, cols, &depth, &one, theta,
               &job->a->ld);
}

/* theta += (u gram_h + v) o gram_delta of a dense layer */
static void NAME(add_gram)(const parts_job *job, const nl_chunk *chunk, const tile_place *t,
                           real *theta)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const bool output = chunk->delta_size == 0;
    const int C = job->view.rows_per_sample;
    const int fan_in = layer->fan_in;
    const int apart = (int)chunk->delta_size / C;
    const double mean = output ? 1.0 : job->view.scale;
    const double weight_rate = job->spec.rate_weighted ? layer->weight_rate : 1.0;
    const double bias_rate = job->spec.rate_weighted ? layer->bias_rate : 1.0;
    const NAME(products) of_h = {
        .rows = t->m,
        .cols = t->n,
        .depth = fan_in,
        .a = (const real *)chunk->in[0] + (size_t)t->i * chunk->in_size,
        .lda = fan_in,
        .b = (const real *)chunk->in[1] + (size_t)t->j * chunk->in_size,
        .ldb = fan_in,
        .count = 1,
        .out = job->gram_h,
    };
    const NAME(products) of_delta = {
        .rows = t->m * C,
        .cols = t->n * C,
        .depth = apart,
        .a = (const real *)chunk->delta[0] + (size_t)t->i * chunk->delta_size,
        .lda = apart,
        .b = (const real *)chunk->delta[1] + (size_t)t->j * chunk->delta_size,
        .ldb = apart,
        .count = 1,
        .out = job->gram_delta,
    };
    const NAME(layer_part) part = {
        .m = t->m,
        .n = t->n,
        .C = C,
        .first = false,
        .u = (real)(mean * layer->weight_scale * layer->weight_scale * weight_rate),
        .v = (real)(mean * layer->bias_scale * layer->bias_scale * bias_rate),
        .gram_h = job->gram_h,
        .factor = job->factor,
        .theta = theta,
        .ld = job->a->ld,
    };

    NAME(multiply)(&job->means, &of_h);
    if (output) {
        NAME(add_output_layer)(&part);
        return;
    }
    NAME(multiply)(&job->means, &of_delta);
    NAME(multiply_expanded)(&part, job->gram_delta);
}

static void NAME(clear)(const tile_place *t, int C, real *theta, int ld)
{
    for (int j = 0; j < t->n * C; j++) {
        memset(theta + (size_t)j * (size_t)ld, 0, (size_t)(t->m * C) * sizeof *theta);
    }
}

/* All chunks of the part into a tile. */
static void NAME(add_tile)(const parts_job *job, const tile_place *t)
{
    const size_t C = (size_t)job->view.rows_per_sample;
    const size_t ld = (size_t)job->a->ld;
    real *theta = (real *)job->local + (size_t)t->j * C * ld + (size_t)t->i * C;

    if (job->first_of_all) {
        NAME(clear)(t, job->view.rows_per_sample, theta, job->a->ld);
    }
    for (int k = 0; k < job->held; k++) {
        if (job->part[k].gram) {
            NAME(add_gram)(job, &job->part[k], t, theta);
        } else {
            NAME(add_rows)(job, &job->part[k], t, theta);
        }
    }
}
