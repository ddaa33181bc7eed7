/**
 * @file product_real.h  A matrix times one vector in one floating-point format (ntklens/formats.h).
 */

/* Of the local columns c0 .. c0 + width of one block, and of their mirror image. */
static void NAME(multiply_columns)(const nl_dmat *a, int c0, int width, const real *x,
                                   const real *x_rows, real *y, real *y_rows)
{
    const int j0 = nl_dmat_global_col(a, c0);
    const real *panel = (const real *)a->local + (size_t)c0 * (size_t)a->ld;
    const real one = 1;
    const int step = 1;
    int r0 = nl_dmat_first_row(a, j0);
    int rows = 0;

    if (r0 < a->local_rows && nl_dmat_global_row(a, r0) == j0) {
        BLAS(symv)("L", &width, &one, panel + r0, &a->ld, x + j0, &step, &one, y + j0, &step, 1);
        r0 += width;
    }
    rows = a->local_rows - r0;
    if (rows > 0) {
        BLAS(gemv)("N", &rows, &width, &one, panel + r0, &a->ld, x + j0, &step, &one, y_rows + r0,
                   &step);
        BLAS(gemv)("T", &rows, &width, &one, panel + r0, &a->ld, x_rows + r0, &step, &one, y + j0,
                   &step);
    }
}

/* This rank's part of y = A x; scratch: 2 (n + ld) zeros. */
static void NAME(multiply_vector)(const nl_dmat *a, const double *x, void *scratch, double *y)
{
    real *x_all = scratch;
    real *y_all = x_all + a->n;
    real *x_rows = y_all + a->n;
    real *y_rows = x_rows + a->ld;
    const bool whole = a->local_rows == a->n && a->local_cols == a->n; /* symv reads it once */
    int width = 0;

    for (int i = 0; i < a->n; i++) {
        x_all[i] = (real)x[i];
    }
    for (int r = 0; r < a->local_rows; r++) {
        x_rows[r] = x_all[nl_dmat_global_row(a, r)];
    }
    for (int c0 = 0; c0 < a->local_cols; c0 += width) {
        width = whole ? a->n : nl_smaller(a->nb - c0 % a->nb, a->local_cols - c0);
        NAME(multiply_columns)(a, c0, width, x_all, x_rows, y_all, y_rows);
    }
    for (int r = 0; r < a->local_rows; r++) {
        y_all[nl_dmat_global_row(a, r)] += y_rows[r];
    }
    for (int i = 0; i < a->n; i++) {
        y[i] = (double)y_all[i];
    }
}
