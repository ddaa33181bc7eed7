/**
 * @file tile_real.h  One kernel tile in one floating-point format (ntklens/formats.h).
 */

NL_VECTOR_CLONES
static void NAME(set_product)(int n, const real *restrict a, const real *restrict b,
                              real *restrict out)
{
    for (int i = 0; i < n; i++) {
        out[i] = a[i] * b[i];
    }
}

NL_VECTOR_CLONES
static void NAME(add_product)(int n, const real *restrict a, const real *restrict b,
                              real *restrict out)
{
    for (int i = 0; i < n; i++) {
        out[i] += a[i] * b[i];
    }
}

/* out [m C] = u gram_h [m] + v, each value C times. */
NL_VECTOR_CLONES
static void NAME(expand)(int m, int C, real u, real v, const real *restrict gram_h,
                         real *restrict out)
{
    if (C == 1) {
        for (int i = 0; i < m; i++) {
            out[i] = u * gram_h[i] + v;
        }
        return;
    }
    for (int i = 0; i < m; i++) {
        const real factor = u * gram_h[i] + v;

        for (int a = 0; a < C; a++) {
            out[i * C + a] = factor;
        }
    }
}

/* theta [mC x nC] = or += (u gram_h [m x n] + v), expanded C-fold in both directions, o gram_delta
 * [mC x nC]; all column-major; C = rows a sample has; factor [mC] is scratch.  The factors of a
 * sample's columns are made once and serve all C. */
static void NAME(multiply_expanded)(int m, int n, int C, bool first, real u, real v,
                                    const real *gram_h, const real *gram_delta, real *factor,
                                    real *theta, int ld)
{
    for (int j = 0; j < n; j++) {
        NAME(expand)(m, C, u, v, gram_h + (size_t)j * (size_t)m, factor);
        for (int b = j * C; b < (j + 1) * C; b++) {
            const real *gd = gram_delta + (size_t)b * (size_t)(m * C);
            real *column = theta + (size_t)b * (size_t)ld;

            if (first) {
                NAME(set_product)(m * C, factor, gd, column);
            } else {
                NAME(add_product)(m * C, factor, gd, column);
            }
        }
    }
}

/* The output layer's part: delta^L is the identity, so only a = b is met. */
static void NAME(add_output_layer)(int m, int n, int C, real u, real v, const real *gram_h,
                                   real *theta, int ld)
{
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            const real factor = u * gram_h[(size_t)j * (size_t)m + (size_t)i] + v;

            for (int a = 0; a < C; a++) {
                theta[(size_t)(j * C + a) * (size_t)ld + (size_t)(i * C + a)] += factor;
            }
        }
    }
}

/* Products A^T B_c [rows x cols] of A [depth x rows] and `count` matrices B_c [depth x cols],
 * `apart` elements apart; one after the other in `out`.  By way of A^T where the BLAS is quicker
 * with it. */
static void NAME(multiply)(const tile_job *job, int rows, int cols, int depth, const real *a,
                           int lda, int count, const real *b, int ldb, int apart, real *out)
{
    const int ld = nl_leading_dimension(rows, job->precision);
    const int step = job->pieces ? turned_depth : depth;
    real *turned = job->turned;
    const real one = 1;

    for (int k = 0; k < depth; k += step) {
        const int part = nl_smaller(step, depth - k);
        const real beta = k > 0 ? 1 : 0;

        if (job->pieces) {
            NAME(nl_transpose)(rows, part, a + k, lda, turned, ld);
        }
        for (int c = 0; c < count; c++) {
            const real *with = b + (size_t)c * (size_t)apart + (size_t)k;
            real *product = out + (size_t)c * (size_t)rows * (size_t)cols;

            if (job->pieces) {
                NAME(nl_gemm)
                (true, 'N', rows, cols, part, one, turned, ld, with, ldb, beta, product, rows);
            } else {
                BLAS(gemm)
                ("T", "N", &rows, &cols, &part, &one, a, &lda, with, &ldb, &beta, product, &rows);
            }
        }
    }
}

/* The last hidden layer's back-signals are delta^a = s W[a, :] o phi', so that outputs (a, b) have
 * the same products [m x n] as (b, a): those of a >= b are 45 % less to do at ten outputs. */
static void NAME(multiply_pairs)(const tile_job *job, int m, int n, int width, const real *di,
                                 const real *dj)
{
    const int C = job->view.rows_per_sample;
    real *pairs = job->gram_delta;

    for (int a = 0; a < C; a++) {
        NAME(multiply)
        (job, m, n, width, di + (size_t)a * (size_t)width, C * width, a + 1, dj, C * width, width,
         pairs + (size_t)pairs_before(a) * (size_t)m * (size_t)n);
    }
}

/* theta = or += as above, from the products of pairs. */
NL_VECTOR_CLONES
static void NAME(expand_pairs)(int m, int n, int C, bool first, real u, real v,
                               const real *restrict gram_h, const real *restrict pairs,
                               real *restrict factor, real *restrict theta, int ld)
{
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            factor[i] = u * gram_h[(size_t)j * (size_t)m + (size_t)i] + v;
        }
        for (int b = 0; b < C; b++) {
            real *column = theta + (size_t)(j * C + b) * (size_t)ld;

            for (int a = 0; a < C; a++) {
                const int pair = pairs_before(nl_larger(a, b)) + nl_smaller(a, b);
                const real *product = pairs + ((size_t)pair * (size_t)n + (size_t)j) * (size_t)m;

                for (int i = 0; i < m; i++) {
                    column[i * C + a] = (first ? 0 : column[i * C + a]) + factor[i] * product[i];
                }
            }
        }
    }
}

/* The tile of row samples i0 .. i0 + m and column samples j0 .. j0 + n (of the panels' factors),
 * all layers while it is in cache; theta points at its first entry, whatever it held. */
static void NAME(make_tile)(const tile_job *job, int i0, int m, int j0, int n, real *theta, int ld)
{
    const nl_net *net = job->rows->net;
    const delta_view *view = &job->view;
    real *gram_h = job->gram_h;
    real *gram_delta = job->gram_delta;
    const int mC = m * view->rows_per_sample;
    const int nC = n * view->rows_per_sample;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const real *hi =
            (const real *)job->rows->activation[l] + (size_t)i0 * (size_t)layer->fan_in;
        const real *hj =
            (const real *)job->cols->activation[l] + (size_t)j0 * (size_t)layer->fan_in;
        const bool output = l == net->layers - 1;
        const double mean = output ? 1.0 : view->scale;
        const real u =
            (real)(mean * layer->s * layer->s * (job->rate_weighted ? layer->weight_rate : 1.0));
        const real v =
            (real)(mean * layer->t * layer->t * (job->rate_weighted ? layer->bias_rate : 1.0));

        NAME(multiply)
        (job, m, n, layer->fan_in, hi, layer->fan_in, 1, hj, layer->fan_in, 0, gram_h);
        if (output) {
            NAME(add_output_layer)(m, n, view->rows_per_sample, u, v, gram_h, theta, ld);
        } else {
            const size_t stride = (size_t)view->outputs * (size_t)layer->fan_out;
            const size_t offset = (size_t)view->output * (size_t)layer->fan_out;
            const real *di = (const real *)job->rows->delta[l] + (size_t)i0 * stride + offset;
            const real *dj = (const real *)job->cols->delta[l] + (size_t)j0 * stride + offset;
            int k = view->outputs_joined * layer->fan_out;
            int lead = (int)(stride / (size_t)view->rows_per_sample);

            if (view->outputs_joined > 1 && l == net->layers - 2) {
                k = lead = layer->fan_out;
                di = (const real *)job->rows->joined + (size_t)i0 * (size_t)k;
                dj = (const real *)job->cols->joined + (size_t)j0 * (size_t)k;
            }
            if (pays_in_pairs(job, l)) {
                NAME(multiply_pairs)(job, m, n, k, di, dj);
                NAME(expand_pairs)
                (m, n, view->rows_per_sample, l == 0, u, v, gram_h, gram_delta, job->factor, theta,
                 ld);
                continue;
            }
            NAME(multiply)(job, mC, nC, k, di, lead, 1, dj, lead, 0, gram_delta);
            NAME(multiply_expanded)
            (m, n, view->rows_per_sample, l == 0, u, v, gram_h, gram_delta, job->factor, theta, ld);
        }
    }
}
