/**
 * @file kernel_parts_real.h  One part of a kernel in one floating-point format (ntklens/formats.h);
 * behind tile_products_real.h.
 *
 * Symbols: C rows of a sample in the matrix, A rows of J by a chunk's parameters, [samples x seeds
 * x columns]; h, delta, gram_h, gram_delta, u, v as in tile_products_real.h.
 */

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
    const nl_layer *layer = &job->made->net->layer[chunk->layer];
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
    const int seeds = job->made->seeds;
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
    const size_t C = (size_t)job->made->seeds;
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
    const int C = job->made->seeds;
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
    for (int k = 0; k < job->made->held; k++) {
        const nl_chunk *chunk = &job->made->chunk[job->made->part + k];

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
