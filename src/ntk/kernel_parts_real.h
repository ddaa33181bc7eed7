/**
 * @file kernel_parts_real.h  One part of a kernel in one floating-point format (ntklens/formats.h);
 * behind tile_products_real.h.
 *
 * Symbols: C rows of a sample in the matrix, A rows of J by a chunk's parameters, [samples x seeds
 * x columns]; h, delta, gram_h, gram_delta, u, v as in tile_products_real.h.
 */

/* v [n] *= scale */
static void NAME(scale)(size_t n, double scale, real *v)
{
    for (size_t k = 0; scale != 1.0 && k < n; k++) {
        v[k] *= (real)scale;
    }
}

/* Gradients of sample `at` of the batch, weighted with the roots of the learning rates where they
 * count. */
static void NAME(make_rows)(parts_job *job, const nl_chunk *chunk, int at,
                            const nl_row_range *range, const real *delta, real *rows)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const size_t weights = (size_t)layer->fan_in * (size_t)chunk->units;

    nl_passes_rows(job->by_output.passes, chunk->layer, at, range, delta, rows);
    for (int a = 0; job->spec.rate_weighted && a < range->deltas; a++) {
        real *row = rows + (size_t)a * chunk->columns;

        NAME(scale)(weights, sqrt(layer->weight_rate), row);
        NAME(scale)(chunk->columns - weights, sqrt(layer->bias_rate), row + weights);
    }
}

static void NAME(store_rows)(parts_job *job, const nl_chunk *chunk, int at, const real *delta,
                             real *to)
{
    const nl_row_range range = {.deltas = job->seeds,
                                .first = chunk->first,
                                .count = chunk->units,
                                .apart = chunk->columns};

    NAME(make_rows)(job, chunk, at, &range, delta, to);
}

/* M, unit by unit, each with its bias behind; and u [units x seeds] from back-signals of the
 * average [seeds x channels]. */
static void NAME(store_joined)(parts_job *job, const nl_chunk *chunk, int at, const real *delta,
                               real *to, real *u)
{
    const nl_net *net = job->input->net;
    const nl_layer *layer = &net->layer[chunk->layer];
    const size_t K = (size_t)layer->fan_in;
    const size_t units = (size_t)chunk->units;
    const size_t channels = (size_t)layer->fan_out;
    const real share = (real)(1.0 / ((double)layer->out.height * layer->out.width));
    real *row = job->row;
    real *mask = job->rounded;
    const nl_row_range range = {.deltas = 1, .first = chunk->first, .count = chunk->units};

    nl_joined_mask(job->by_output.passes, net, chunk->layer, at, job->mask);
    for (size_t k = 0; k < (size_t)nl_shape_size(layer->out); k++) {
        mask[k] = (real)job->mask[k];
    }
    NAME(make_rows)(job, chunk, at, &range, mask, row);
    for (size_t o = 0; o < units; o++) {
        for (size_t q = 0; q < K; q++) {
            to[o * (K + 1) + q] = row[q * units + o];
        }
        to[o * (K + 1) + K] = row[K * units + o];
        for (size_t a = 0; a < (size_t)job->seeds; a++) {
            u[o * (size_t)job->seeds + a] = share * delta[a * channels + (size_t)chunk->first + o];
        }
    }
}

/* Of sample `at` of the batch, to where it is among the rows or columns. */
static void NAME(store_sample)(parts_job *job, nl_chunk *chunk, int side, int at, const real *delta)
{
    const nl_layer *layer = &job->input->net->layer[chunk->layer];
    const size_t place = (size_t)job->place[side][job->first + at];
    const real *in = nl_passes_input(job->by_output.passes, chunk->layer);
    real *to = (real *)chunk->in[side] + place * chunk->in_size;
    real *of_delta = (real *)chunk->delta[side] + place * chunk->delta_size;

    switch (chunk->way) {
    case NL_WAY_ROWS:
        NAME(store_rows)(job, chunk, at, delta, to);
        break;
    case NL_WAY_JOINED:
        NAME(store_joined)(job, chunk, at, delta, to, of_delta);
        break;
    case NL_WAY_GRAM:
    default:
        memcpy(to, in + (size_t)at * (size_t)nl_shape_size(layer->in), chunk->in_size * sizeof *to);
        memcpy(of_delta, delta, chunk->delta_size * sizeof *to);
        break;
    }
}

/* What a chunk needs of the batch that went through. */
static void NAME(store)(parts_job *job, nl_chunk *chunk, const real *delta)
{
    const nl_layer *layer = &job->input->net->layer[chunk->lowest];
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
static void NAME(add_rows)(const parts_job *job, const nl_chunk *chunk, const tile_place *t)
{
    const int C = job->view.rows_per_sample;
    const int m = t->m * C;
    const int n = t->n * C;
    const int depth = (int)(chunk->in_size / (size_t)C);
    const real scale = (real)job->view.scale;
    const real one = 1;
    const real *rows = (const real *)chunk->in[0] + (size_t)t->i * chunk->in_size;
    const real *cols = (const real *)chunk->in[1] + (size_t)t->j * chunk->in_size;

    BLAS(gemm)("T", "N", &m, &n, &depth, &scale, rows, &depth, cols, &depth, &one, t->theta,
               &job->a->ld);
}

/* theta += (u gram_h + v) o gram_delta of a dense layer */
static void NAME(add_gram)(const parts_job *job, const nl_chunk *chunk, const tile_place *t)
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
        .theta = t->theta,
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

/* R_o = M_i[:, o] M_j[:, o] of unit o, [m x n] */
static void NAME(join)(const parts_job *job, const nl_chunk *chunk, const tile_place *t, int o,
                       void *products)
{
    const int parameters = (int)(chunk->columns / (size_t)chunk->units);
    const size_t first = (size_t)o * (size_t)parameters;
    const NAME(products) of_unit = {
        .rows = t->m,
        .cols = t->n,
        .depth = parameters,
        .a = (const real *)chunk->in[0] + (size_t)t->i * chunk->in_size + first,
        .lda = (int)chunk->in_size,
        .b = (const real *)chunk->in[1] + (size_t)t->j * chunk->in_size + first,
        .ldb = (int)chunk->in_size,
        .count = 1,
        .out = products,
    };

    NAME(multiply)(&job->means, &of_unit);
}

/* theta[i, j] += scale sum_o R_o[i, j] sum_a u_i^a[o] u_j^a[o] */
static void NAME(add_joined_sums)(const parts_job *job, const nl_chunk *chunk, const tile_place *t)
{
    const int seeds = job->seeds;
    const int lead = (int)chunk->delta_size;
    const real *ui = (const real *)chunk->delta[0] + (size_t)t->i * chunk->delta_size;
    const real *uj = (const real *)chunk->delta[1] + (size_t)t->j * chunk->delta_size;
    const real scale = (real)job->view.scale;
    const real zero = 0;
    real *products = job->gram_h;
    real *of_u = job->gram_delta;

    for (int o = 0; o < chunk->units; o++) {
        NAME(join)(job, chunk, t, o, products);
        BLAS(gemm)("T", "N", &t->m, &t->n, &seeds, &scale, ui + (size_t)o * (size_t)seeds, &lead,
                   uj + (size_t)o * (size_t)seeds, &lead, &zero, of_u, &t->m);
        for (int j = 0; j < t->n; j++) {
            const size_t at = (size_t)j * (size_t)t->m;

            NAME(add_product)(t->m, products + at, of_u + at,
                              (real *)t->theta + (size_t)j * (size_t)job->a->ld);
        }
    }
}

/* turned [units x mC] = R_o[i, j] u_i^a[o] of column sample j */
static void NAME(turn)(const parts_job *job, const nl_chunk *chunk, const tile_place *t, int j)
{
    const size_t C = (size_t)job->seeds;
    const size_t m = (size_t)t->m;
    const real *u = (const real *)chunk->delta[0] + (size_t)t->i * chunk->delta_size;
    real *turned = job->turned;

    for (size_t o = 0; o < (size_t)chunk->units; o++) {
        const real *products = (const real *)job->joined + (o * (size_t)t->n + (size_t)j) * m;

        for (size_t i = 0; i < m; i++, turned += C) {
            for (size_t a = 0; a < C; a++) {
                turned[a] = products[i] * u[i * chunk->delta_size + o * C + a];
            }
        }
    }
}

/* theta[(i,a), (j,b)] += sum_o u_i^a[o] u_j^b[o] R_o[i, j] */
static void NAME(add_joined)(const parts_job *job, const nl_chunk *chunk, const tile_place *t)
{
    const int C = job->seeds;
    const int rows = t->m * C;
    const real one = 1;
    const real *uj = (const real *)chunk->delta[1] + (size_t)t->j * chunk->delta_size;

    for (int o = 0; o < chunk->units; o++) {
        NAME(join)
        (job, chunk, t, o, (real *)job->joined + (size_t)o * (size_t)t->m * (size_t)t->n);
    }
    for (int j = 0; j < t->n; j++) {
        NAME(turn)(job, chunk, t, j);
        BLAS(gemm)("N", "T", &rows, &C, &chunk->units, &one, job->turned, &rows,
                   uj + (size_t)j * chunk->delta_size, &C, &one,
                   (real *)t->theta + (size_t)(j * C) * (size_t)job->a->ld, &job->a->ld);
    }
}

static void NAME(clear)(const tile_place *t, int C, int ld)
{
    real *theta = t->theta;

    for (int j = 0; j < t->n * C; j++) {
        memset(theta + (size_t)j * (size_t)ld, 0, (size_t)(t->m * C) * sizeof *theta);
    }
}

/* All chunks of the part into a tile. */
static void NAME(add_tile)(const parts_job *job, const tile_place *t)
{
    if (job->first_of_all) {
        NAME(clear)(t, job->view.rows_per_sample, job->a->ld);
    }
    for (int k = 0; k < job->held; k++) {
        const nl_chunk *chunk = &job->part[k];

        if (chunk->way == NL_WAY_GRAM) {
            NAME(add_gram)(job, chunk, t);
        } else if (chunk->way == NL_WAY_ROWS) {
            NAME(add_rows)(job, chunk, t);
        } else if (job->view.rows_per_sample > 1) {
            NAME(add_joined)(job, chunk, t);
        } else {
            NAME(add_joined_sums)(job, chunk, t);
        }
    }
}
