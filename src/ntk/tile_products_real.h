/**
 * @file tile_products_real.h  Products that kernel tiles are made of, in one floating-point format
 * (ntklens/formats.h); behind tile_products.h.
 *
 * Symbols: m, n samples of the tile's rows and columns, C rows of a sample, u and v factors of
 * weights and biases, gram_h and gram_delta products of activations and of back-signals.  All
 * column-major.
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

/** What one layer adds to a tile: theta = (first) or += (u gram_h + v) expanded C-fold in both
 *  directions, o gram_delta.  Borrowed. */
typedef struct NAME(layer_part) {
    int m, n, C;
    bool first;
    real u, v;
    const real *gram_h; /* [m x n] */
    real *factor;       /* [mC], scratch */
    real *theta;        /* [mC x nC] */
    int ld;             /* of theta */
} NAME(layer_part);

/* theta = or += (u gram_h + v) o gram_delta [mC x nC].  The factors of a sample's columns are made
 * once and serve all C. */
static void NAME(multiply_expanded)(const NAME(layer_part) *p, const real *gram_delta)
{
    const int m = p->m;
    const int C = p->C;

    for (int j = 0; j < p->n; j++) {
        NAME(expand)(m, C, p->u, p->v, p->gram_h + (size_t)j * (size_t)m, p->factor);
        for (int b = j * C; b < (j + 1) * C; b++) {
            const real *gd = gram_delta + (size_t)b * (size_t)(m * C);
            real *column = p->theta + (size_t)b * (size_t)p->ld;

            if (p->first) {
                NAME(set_product)(m * C, p->factor, gd, column);
            } else {
                NAME(add_product)(m * C, p->factor, gd, column);
            }
        }
    }
}

/* The output layer's part: delta^L is the identity, so only a = b is met. */
static void NAME(add_output_layer)(const NAME(layer_part) *p)
{
    const int C = p->C;

    for (int j = 0; j < p->n; j++) {
        for (int i = 0; i < p->m; i++) {
            const real factor = p->u * p->gram_h[(size_t)j * (size_t)p->m + (size_t)i] + p->v;

            for (int a = 0; a < C; a++) {
                p->theta[(size_t)(j * C + a) * (size_t)p->ld + (size_t)(i * C + a)] += factor;
            }
        }
    }
}

/** Products A^T B_c [rows x cols] of A [depth x rows] and `count` matrices B_c [depth x cols],
 *  `apart` elements apart; one after the other in `out`.  Borrowed. */
typedef struct NAME(products) {
    int rows, cols, depth;
    const real *a;
    int lda;
    const real *b;
    int ldb;
    int count, apart;
    real *out;
} NAME(products);

/* A^T B_c by way of A^T where the BLAS is quicker with it. */
static void NAME(multiply)(const product_means *means, const NAME(products) *p)
{
    const int ld = nl_leading_dimension(p->rows, means->precision);
    const int step = means->pieces ? transposed_depth : p->depth;
    const int rows = p->rows;
    real *transposed = means->transposed;
    const real one = 1;

    for (int k = 0; k < p->depth; k += step) {
        const int part = nl_smaller(step, p->depth - k);
        const real beta = k > 0 ? 1 : 0;

        if (means->pieces) {
            NAME(nl_transpose)(rows, part, p->a + k, p->lda, transposed, ld);
        }
        for (int c = 0; c < p->count; c++) {
            const real *b = p->b + (size_t)c * (size_t)p->apart + (size_t)k;
            real *out = p->out + (size_t)c * (size_t)rows * (size_t)p->cols;

            if (means->pieces) {
                NAME(nl_gemm)(true, 'N', rows, p->cols, part, one, transposed, ld, b, p->ldb, beta,
                              out, rows);
            } else {
                BLAS(gemm)("T", "N", &rows, &p->cols, &part, &one, p->a, &p->lda, b, &p->ldb, &beta,
                           out, &rows);
            }
        }
    }
}
