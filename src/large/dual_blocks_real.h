/** @file dual_blocks_real.h  Panels of a dual in one floating-point format (ntklens/formats.h). */

/* What is local of the rows of J; NULL: nothing is. */
static void NAME(pick)(const blocks_fill *f, const nl_dual_blocks *blocks, const local_rows *list)
{
    const size_t size = blocks->input.net->size;

    for (int row = 0; list != NULL && row < f->depth; row++) {
        const real *from = (const real *)f->j + (size_t)row * size;
        real *to = (real *)list->j + (size_t)row * (size_t)list->lead;

        for (int k = 0; k < list->count; k++) {
            to[k] = from[blocks->place[list->global[k]]];
        }
        for (int k = 0; blocks->root != NULL && k < list->count; k++) {
            to[k] *= (real)blocks->root[list->global[k]];
        }
    }
}

static void NAME(add_tile)(const blocks_fill *f, int i, int m, int j, int n)
{
    const nl_dmat *a = f->a;
    real *to = (real *)a->local + (size_t)j * (size_t)a->ld + (size_t)i;

    NAME(nl_gemm)(f->pieces, 'T', m, n, f->depth, 1, (const real *)f->rows.j + i, f->rows.lead,
                  (const real *)f->cols.j + j, f->cols.lead, 1, to, a->ld);
}
