/**
 * @file gemm_real.h  Transposes, products in pieces and sums of squares in one floating-point
 * format (ntklens/formats.h).
 *
 * Symbols, column-major: C [m x n] = alpha A [m x k] op(B) [k x n] + beta C; pieces of rows_step,
 * depth_step and cols_step of m, k and n.
 */

/* Of `side` rows, by squares that stay in registers. */
INLINE void NAME(transpose_strip)(int cols, const real *restrict from, int ld_from,
                                  real *restrict to, int ld_to)
{
    real square[side][side];
    int k = 0;

    for (; k + side <= cols; k += side) {
        for (int i = 0; i < side; i++) {
            memcpy(square[i], from + (size_t)i * (size_t)ld_from + (size_t)k, sizeof square[i]);
        }
        for (int l = 0; l < side; l++) {
            real *column = to + (size_t)(k + l) * (size_t)ld_to;

            for (int i = 0; i < side; i++) {
                column[i] = square[i][l];
            }
        }
    }
    for (; k < cols; k++) {
        for (int i = 0; i < side; i++) {
            to[(size_t)k * (size_t)ld_to + (size_t)i] =
                from[(size_t)i * (size_t)ld_from + (size_t)k];
        }
    }
}

NL_VECTOR_CLONES
void NAME(nl_transpose)(int rows, int cols, const real *restrict from, int ld_from,
                        real *restrict to, int ld_to)
{
    int first = 0;

    for (; first + side <= rows; first += side) {
        NAME(transpose_strip)(cols, from + (size_t)first * (size_t)ld_from, ld_from, to + first,
                              ld_to);
    }
    for (; first < rows; first++) {
        for (int k = 0; k < cols; k++) {
            to[(size_t)k * (size_t)ld_to + (size_t)first] =
                from[(size_t)first * (size_t)ld_from + (size_t)k];
        }
    }
}

void NAME(nl_gemm)(bool pieces, char op_b, int m, int n, int k, real alpha, const real *a, int lda,
                   const real *b, int ldb, real beta, real *c, int ldc)
{
    const size_t b_row = op_b == 'N' ? 1 : (size_t)ldb;
    const size_t b_column = op_b == 'N' ? (size_t)ldb : 1;
    const real one = 1;
    const int rows_step = pieces ? nl_even_part(m, most_rows) : m;
    const int depth_step = pieces ? nl_even_part(k, most_depth) : k;
    const int cols_step =
        pieces ? nl_even_part(n, small_product / rows_step / depth_step / 8 * 8) : n;

    for (int l = 0; l < k; l += depth_step) {
        const int depth = nl_smaller(depth_step, k - l);

        for (int j = 0; j < n; j += cols_step) {
            const int cols = nl_smaller(cols_step, n - j);

            for (int i = 0; i < m; i += rows_step) {
                const int rows = nl_smaller(rows_step, m - i);

                /* C_ij = alpha A_il op(B)_lj + beta or 1 C_ij */
                BLAS(gemm)("N", &op_b, &rows, &cols, &depth, &alpha,
                           a + (size_t)l * (size_t)lda + i, &lda,
                           b + (size_t)l * b_row + (size_t)j * b_column, &ldb, l > 0 ? &one : &beta,
                           c + (size_t)j * (size_t)ldc + i, &ldc);
            }
        }
    }
}

/* In sums side by side, which fill vectors. */
NL_VECTOR_CLONES
double NAME(nl_squares)(size_t n, const real *v)
{
    enum { lanes = 8 };
    double sums[lanes] = {0};
    size_t k = 0;

    for (; k + lanes <= n; k += lanes) {
        for (size_t lane = 0; lane < lanes; lane++) {
            sums[lane] += (double)v[k + lane] * (double)v[k + lane];
        }
    }
    for (; k < n; k++) {
        sums[0] += (double)v[k] * (double)v[k];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}
