/**
 * @file twostage_real.h  Full to band on a grid of ranks in one floating-point format
 * (ntklens/formats.h).
 *
 * Symbols:
 *   A  the rest of the matrix, behind the panel [rows x rows], symmetric, lower half stored
 *   b  columns of a panel, off-diagonals of the band; k = count reflectors a panel
 *   V  the panel's reflectors [rows x k], unit lower trapezoidal;  T [k x k], upper triangular:
 *      Q = I - V T V^T, panel = Q R, R goes to the band (geqrt)
 *   Z  A V [rows x k], then A V T, then W
 *   M  T^T V^T Z [k x k]
 *   W  Z - V M / 2 [rows x k]:  Q^T A Q = A - V W^T - W V^T
 * (Dongarra, Sorensen, Hammarling 1989).  A panel's update of A is put off (pending) until the next
 * panel's V is known: a tile of A is read once for A - V W^T - W V^T and for A V.
 */

static real *NAME(at)(const nl_dmat *a, int row, int col)
{
    return (real *)a->local + (size_t)col * (size_t)a->ld + (size_t)row;
}

/* Entries of a vector of the rows from `start` on, to local places from `low` on.  `global` names
 * local rows, or columns. */
static void NAME(pick)(const nl_dmat *a, const int *global, int start, int low, int end,
                       const real *from, real *to)
{
    for (int k = low, stop = 0; k < end; k = stop) {
        stop = run_end(a, k, end);
        memcpy(to + k, from + (global[k] - start), (size_t)(stop - k) * sizeof *to);
    }
}

/* Columns first - b to first - 1 from the diagonal down, to all ranks.  Leading dimension: what
 * is left, the panel's own rows included. */
static void NAME(share_panel)(reduction *r, int width)
{
    const nl_dmat *a = r->a;
    const int corner = r->first - r->b;
    const size_t ld = (size_t)(a->n - corner);
    const int end = local_cols_before(a, corner + width);
    const int *row_of = r->row_of;
    real *panel = r->panel;

    memset(panel, 0, ld * (size_t)width * sizeof *panel);
    for (int c = local_cols_before(a, corner); c < end; c++) {
        const int j = nl_dmat_global_col(a, c);
        real *column = panel + (size_t)(j - corner) * ld;

        for (int k = nl_dmat_first_row(a, j), stop = 0; k < a->local_rows; k = stop) {
            stop = run_end(a, k, a->local_rows);
            memcpy(column + (row_of[k] - corner), NAME(at)(a, k, c),
                   (size_t)(stop - k) * sizeof *column);
        }
    }
    nl_add_up(a->grid->comm, a->precision, panel, (int)ld * width, r->scratch);
}

/* Rows `low` to `high` of a panel's column, to where the band has them. */
static void NAME(keep_column)(reduction *r, int c, int low, int high)
{
    const int corner = r->first - r->b;
    const real *column = (const real *)r->panel + (size_t)c * (size_t)(r->a->n - corner);
    real *to = (real *)r->band + 3 * (size_t)r->b * (size_t)(corner + c) + r->b;

    memcpy(to + (low - c), column + low, (size_t)(high - low) * sizeof *to);
}

/* QR of what lies below the diagonal block: R to the band, V stays, T.  Every rank does the same,
 * which is quicker than to share it. */
static void NAME(factor_panel)(reduction *r)
{
    const int ld = r->rows + r->b;
    real *v = (real *)r->panel + r->b;
    int info = 0;

    BLAS(geqrt)(&r->rows, &r->b, &r->count, v, &ld, r->t, &r->b, r->work, &info);
    for (int c = 0; c < r->b; c++) {
        NAME(keep_column)(r, c, r->b, r->b + (c < r->count ? c + 1 : r->count));
    }
    for (int c = 0; c < r->count; c++) {
        memset(v + (size_t)c * (size_t)ld, 0, (size_t)c * sizeof *v);
        v[(size_t)c * (size_t)ld + (size_t)c] = 1;
    }
}

/* The rows that a rank has of V or W (columns by the same rule). */
static void NAME(take_rows)(const reduction *r, const real *from, int ld, real *rows, real *cols)
{
    const nl_dmat *a = r->a;

    for (int c = 0; c < r->count; c++) {
        const real *column = from + (size_t)c * (size_t)ld;

        NAME(pick)(a, r->row_of, r->first, nl_dmat_first_row(a, r->first), a->local_rows, column,
                   rows + (size_t)c * (size_t)r->row_ld);
        NAME(pick)(a, r->col_of, r->first, local_cols_before(a, r->first), a->local_cols, column,
                   cols + (size_t)c * (size_t)r->col_ld);
    }
}

/* V for the products: where local columns are, and transposed where local rows are. */
static void NAME(spread_v)(reduction *r)
{
    const nl_dmat *a = r->a;
    const int ld = r->rows + r->b;
    const real *v = (const real *)r->panel + r->b;
    const int *row_of = r->row_of;
    real *rows = r->v_rows;
    real *cols = r->v_cols;

    for (int c = 0; c < r->count; c++) {
        NAME(pick)(a, r->col_of, r->first, local_cols_before(a, r->first), a->local_cols,
                   v + (size_t)c * (size_t)ld, cols + (size_t)c * (size_t)r->col_ld);
    }
    for (int k = nl_dmat_first_row(a, r->first), stop = 0; k < a->local_rows; k = stop) {
        stop = run_end(a, k, a->local_rows);
        NAME(nl_transpose)(r->count, stop - k, v + (row_of[k] - r->first), ld,
                           rows + (size_t)k * (size_t)r->b, r->b);
    }
}

/* A -= [V W] [W V]^T of the last panel, a tile of it.  On the diagonal both halves change alike. */
static void NAME(update_tile)(const reduction *r, int row, int rows, int col, int cols)
{
    const int both = 2 * r->pending;
    const real one = 1;
    const real minus_one = -1;

    BLAS(gemm)("N", "T", &rows, &cols, &both, &minus_one, (const real *)r->at_rows + row,
               &r->row_ld, (const real *)r->at_cols + col, &r->col_ld, &one,
               NAME(at)(r->a, row, col), &r->a->ld);
}

/* A tile's part of A V: z_rows += A_ij V_j, and by its mirror image z_cols += V_i^T A_ij. */
static void NAME(multiply_tile)(const reduction *r, int row, int rows, int col, int cols,
                                bool diagonal)
{
    const real one = 1;
    const real *tile = NAME(at)(r->a, row, col);

    BLAS(gemm)("N", "N", &rows, &r->count, &cols, &one, tile, &r->a->ld,
               (const real *)r->v_cols + col, &r->col_ld, &one, (real *)r->z_rows + row,
               &r->row_ld);
    if (!diagonal) {
        BLAS(gemm)("N", "N", &r->count, &cols, &rows, &one,
                   (const real *)r->v_rows + (size_t)row * (size_t)r->b, &r->b, tile, &r->a->ld,
                   &one, (real *)r->z_cols + (size_t)col * (size_t)r->b, &r->b);
    }
}

/* Both while the tile is in cache. */
static void NAME(pass_part)(const reduction *r, int row, int rows, int col, int cols, bool diagonal)
{
    const int row_step = nl_even_part(rows, tile_side);
    const int col_step = nl_even_part(cols, tile_side);

    for (int j = 0; j < cols; j += col_step) {
        const int n = nl_smaller(col_step, cols - j);

        for (int i = 0; i < rows; i += row_step) {
            const int m = nl_smaller(row_step, rows - i);

            if (r->pending > 0) {
                NAME(update_tile)(r, row + i, m, col + j, n);
            }
            if (r->count > 0) {
                NAME(multiply_tile)(r, row + i, m, col + j, n, diagonal);
            }
        }
    }
}

/* Clears what tiles add to. */
static void NAME(clear_products)(reduction *r, int row, int col)
{
    real *z_rows = r->z_rows;
    real *z_cols = r->z_cols;

    for (int c = 0; c < r->count; c++) {
        memset(z_rows + (size_t)c * (size_t)r->row_ld + (size_t)row, 0,
               (size_t)(r->row_ld - row) * sizeof *z_rows);
    }
    memset(z_cols + (size_t)col * (size_t)r->b, 0,
           (size_t)(r->col_ld - col) * (size_t)r->b * sizeof *z_cols);
}

/* Global rows from `start` on, of all columns. */
static void NAME(add_to_z)(const reduction *r, int start, int rows, const real *part, int ld)
{
    for (int c = 0; c < r->count; c++) {
        const real *from = part + (size_t)c * (size_t)ld;
        real *z = (real *)r->z + (size_t)c * (size_t)r->rows + (start - r->first);

        for (int i = 0; i < rows; i++) {
            z[i] += from[i];
        }
    }
}

/* Z = z_rows + z_cols^T: what tiles added. */
static void NAME(collect_products)(reduction *r, int row, int col)
{
    const nl_dmat *a = r->a;
    const int *row_of = r->row_of;
    const int *col_of = r->col_of;
    real *transposed = r->scratch;

    memset(r->z, 0, (size_t)r->rows * (size_t)r->count * sizeof(real));
    for (int k = row, stop = 0; k < a->local_rows; k = stop) {
        stop = run_end(a, k, a->local_rows);
        NAME(add_to_z)(r, row_of[k], stop - k, (const real *)r->z_rows + k, r->row_ld);
    }
    for (int k = col, stop = 0; k < a->local_cols; k = stop) {
        stop = run_end(a, k, a->local_cols);
        NAME(nl_transpose)(stop - k, r->count, (const real *)r->z_cols + (size_t)k * (size_t)r->b,
                           r->b, transposed, stop - k);
        NAME(add_to_z)(r, col_of[k], stop - k, transposed, stop - k);
    }
}

/* Z = A V, summed over ranks, on every one of them. */
static void NAME(multiply)(reduction *r)
{
    const nl_dmat *a = r->a;
    const int row = nl_dmat_first_row(a, r->first);
    const int col = local_cols_before(a, r->first);

    NAME(clear_products)(r, row, col);
    walk_lower_half(r, col, a->local_cols, a->local_rows, NAME(pass_part));
    NAME(collect_products)(r, row, col);
    nl_add_up(a->grid->comm, a->precision, r->z, r->rows * r->count, r->scratch);
}

/* Z = A V becomes W. */
static void NAME(complete_w)(reduction *r)
{
    const int ld = r->rows + r->b;
    const real *v = (const real *)r->panel + r->b;
    const real one = 1;
    const real zero = 0;
    const real minus_half = (real)-0.5;

    /* Z := Z T */
    BLAS(trmm)("R", "U", "N", "N", &r->rows, &r->count, &one, r->t, &r->b, r->z, &r->rows, 1, 1, 1,
               1);
    /* M := V^T Z */
    BLAS(gemm)("T", "N", &r->count, &r->count, &r->rows, &one, v, &ld, r->z, &r->rows, &zero, r->m,
               &r->b);
    /* M := T^T M */
    BLAS(trmm)("L", "U", "T", "N", &r->count, &r->count, &one, r->t, &r->b, r->m, &r->b, 1, 1, 1,
               1);
    /* W := Z - V M / 2, in the place of Z */
    BLAS(gemm)("N", "N", &r->rows, &r->count, &r->count, &minus_half, v, &ld, r->m, &r->b, &one,
               r->z, &r->rows);
}

/* Clear a panel below the band.  The rest of the matrix is left for the next panel to update. */
static void NAME(reduce_panel)(reduction *r)
{
    const real *v = (const real *)r->panel + r->b;
    real *at_rows = r->at_rows;
    real *at_cols = r->at_cols;

    NAME(spread_v)(r);
    NAME(multiply)(r);
    NAME(complete_w)(r);
    NAME(take_rows)(r, v, r->rows + r->b, at_rows, at_cols + (size_t)r->count * (size_t)r->col_ld);
    NAME(take_rows)(r, r->z, r->rows, at_rows + (size_t)r->count * (size_t)r->row_ld, at_cols);
    r->pending = r->count;
}

/* Above the diagonal, too, within blocks on it. */
static void NAME(mirror_blocks)(const nl_dmat *a)
{
    for (int col = 0; col < a->local_cols; col++) {
        const int j = nl_dmat_global_col(a, col);
        const int row = nl_dmat_first_row(a, j);

        if (row < a->local_rows && nl_dmat_global_row(a, row) == j) {
            const int end = run_end(a, row, a->local_rows);

            for (int k = row; k < end; k++) {
                *NAME(at)(a, row, col + k - row) = *NAME(at)(a, k, col);
            }
        }
    }
}

/* The whole reduction: every rank of the grid gets the band. */
static void NAME(full_to_band)(reduction *r)
{
    const int n = r->a->n;

    NAME(mirror_blocks)(r->a);
    for (int corner = 0; corner < n; corner += r->b) {
        const int width = n - corner < r->b ? n - corner : r->b;
        const nl_dmat *a = r->a;

        r->first = corner + r->b;
        r->rows = n > r->first ? n - r->first : 0;
        r->count = 0;
        walk_lower_half(r, local_cols_before(a, corner), local_cols_before(a, corner + width),
                        a->local_rows, NAME(pass_part));
        r->count = r->rows < r->b ? r->rows : r->b;
        NAME(share_panel)(r, width);
        for (int c = 0; c < width; c++) {
            NAME(keep_column)(r, c, c, width);
        }
        if (r->rows > 0) {
            NAME(factor_panel)(r);
            NAME(reduce_panel)(r);
        }
    }
}
