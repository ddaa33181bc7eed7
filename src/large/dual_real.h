/**
 * @file dual_real.h  Blocks of a dual in one floating-point format (ntklens/formats.h).
 *
 * Symbols, of layers l >= m:
 *   h       what a layer takes, h^{l-1}, as the dual's inputs: scaled, the merged one last
 *   delta   back-signals of unit k: delta[k] [samples x outputs]
 *   s       s_i = <delta_i^l[k], delta_i^m[j]>, of the samples i where it is not zero
 *   A, B    chunks of h as rows (columns) of G have them, in strips of `tile` inputs: [tile x
 * chunk] each, column-major, so that a product of two strips finds both in few pages T       A
 * diag(s) B^T, the part of G of one pair of units
 */

static const real *NAME(delta_of)(const nl_dual *dual, const nl_dual_layer *d, int k)
{
    return (const real *)d->delta +
           (size_t)d->unit[k] * (size_t)dual->samples * (size_t)dual->outputs;
}

static real *NAME(entry)(const dual_fill *f, int row, int col)
{
    return (real *)f->a->local + (size_t)col * (size_t)f->a->ld + (size_t)row;
}

/* Columns of a row of the images, or of activations. */
NL_VECTOR_CLONES
static void NAME(pick_x)(int count, const int *restrict column, double scale,
                         const float *restrict x, real *restrict out)
{
    for (int p = 0; p < count; p++) {
        out[p] = (real)(scale * (double)x[column[p]]);
    }
}

NL_VECTOR_CLONES
static void NAME(pick_h)(int count, const int *restrict column, double scale,
                         const real *restrict h, real *restrict out)
{
    for (int p = 0; p < count; p++) {
        out[p] = (real)(scale * (double)h[column[p]]);
    }
}

/* Inputs first .. first + count of a sample as local rows (columns) have them, s times. */
static void NAME(pick)(const nl_dual_layer *d, const local_inputs *list, input_range range,
                       int sample, real s, real *out)
{
    const size_t at = (size_t)sample * (size_t)d->layer->fan_in;
    const int *column = list->column + range.first;
    const int varying = nl_smaller(range.count, list->varying - range.first);

    if (varying > 0 && d->x != NULL) {
        NAME(pick_x)(varying, column, d->scale, d->x + at, out);
    } else if (varying > 0) {
        NAME(pick_h)(varying, column, d->scale, (const real *)d->h + at, out);
    }
    if (range.first + range.count > list->varying) {
        out[list->varying - range.first] = (real)d->constant;
    }
    for (int p = 0; s != 1 && p < range.count; p++) {
        out[p] *= s;
    }
}

/* Where inputs from `first` on of the i-th sample of a chunk lie in strips. */
static real *NAME(strip)(const dual_fill *f, void *strips, int first, int i)
{
    return (real *)strips +
           ((size_t)(first / f->tile) * chunk_samples + (size_t)i) * (size_t)f->lead;
}

/* Those of a sample into strips. */
static void NAME(pick_strips)(const dual_fill *f, const nl_dual_layer *d, const local_inputs *list,
                              chunk_sample at, real s, void *strips)
{
    for (int first = 0; first < list->count; first += f->tile) {
        NAME(pick)(d, list, (input_range){first, nl_smaller(f->tile, list->count - first)},
                   at.sample, s, NAME(strip)(f, strips, first, at.i));
    }
}

/* s_i of a pair of units of one layer; NULL: all are one.  Returns how many samples count. */
static int NAME(pair_up)(const dual_fill *f, const real *one, const real *other)
{
    const int outputs = f->dual->outputs;
    real *weight = f->weight;
    int count = 0;

    for (int i = 0; i < f->dual->samples; i++) {
        real s = one == NULL ? 1 : 0;

        for (int a = 0; one != NULL && a < outputs; a++) {
            s += one[(size_t)i * (size_t)outputs + (size_t)a] *
                 other[(size_t)i * (size_t)outputs + (size_t)a];
        }
        weight[count] = s;
        f->sample[count] = i;
        count += s != 0 ? 1 : 0; /* a NaN counts */
    }
    return count;
}

/* T = or += A B^T of all rows, each strip of them against as many columns as `reach` says. */
static void NAME(multiply_strips)(const dual_fill *f, int rows, const int *reach, int depth,
                                  bool first)
{
    for (int j = 0; j < reach[(rows - 1) / f->tile]; j += f->tile) {
        for (int i = 0; i < rows; i += f->tile) {
            const int cols = nl_smaller(f->tile, reach[i / f->tile] - j);

            if (cols > 0) {
                NAME(nl_gemm)(f->dual->pieces, 'T', nl_smaller(f->tile, rows - i), cols, depth, 1,
                              NAME(strip)(f, f->left, i, 0), f->lead,
                              NAME(strip)(f, f->right, j, 0), f->lead, first ? 0 : 1,
                              (real *)f->product + (size_t)j * (size_t)f->product_lead + i,
                              f->product_lead);
            }
        }
    }
}

/* T of the samples that count, as far as it lies on or below the diagonal. */
static void NAME(multiply_pair)(dual_fill *f, int l, int count)
{
    const nl_dual_layer *d = &f->dual->layer[l];
    const local_inputs *rows = &f->rows[l];
    const local_inputs *cols = &f->cols[l];
    const real *weight = f->weight;

    set_reach(f, rows, cols);
    for (int first = 0; first < count && goes_on(f); first += chunk_samples) {
        const int depth = nl_smaller(chunk_samples, count - first);

        for (int i = 0; i < depth; i++) {
            const chunk_sample at = {i, f->sample[first + i]};

            NAME(pick_strips)(f, d, rows, at, 1, f->left);
            NAME(pick_strips)(f, d, cols, at, weight[first + i], f->right);
        }
        NAME(multiply_strips)(f, rows->count, f->reach, depth, first == 0);
    }
}

/* T to the entries (p,k),(q,j) and (p,j),(q,k) that this rank has. */
static void NAME(store_pair)(const dual_fill *f, int l, int k, int j)
{
    const int units = f->dual->layer[l].units;
    const local_inputs *rows = &f->rows[l];
    const local_inputs *cols = &f->cols[l];
    int below = 0; /* first row on or below the diagonal */

    for (int q = 0; q < cols->count; q++) {
        const int *col = cols->place + (size_t)q * (size_t)units;
        const real *product = (const real *)f->product + (size_t)q * (size_t)f->product_lead;

        while (below < rows->count && rows->input[below] < cols->input[q]) {
            below++;
        }
        for (int p = below; col[j] >= 0 && p < rows->count; p++) {
            const int row = rows->place[(size_t)p * (size_t)units + (size_t)k];

            if (row >= 0) {
                *NAME(entry)(f, row, col[j]) = product[p];
            }
        }
        for (int p = below; k != j && col[k] >= 0 && p < rows->count; p++) {
            const int row = rows->place[(size_t)p * (size_t)units + (size_t)j];

            if (row >= 0) {
                *NAME(entry)(f, row, col[k]) = product[p];
            }
        }
    }
}

/* The blocks of the output layer are all the same, or zero. */
static void NAME(fill_output_layer)(dual_fill *f, int l)
{
    if (begin_unit(f)) {
        NAME(multiply_pair)(f, l, NAME(pair_up)(f, NULL, NULL));
        for (int k = 0; f->status == NL_OK && k < f->dual->layer[l].units; k++) {
            NAME(store_pair)(f, l, k, k);
        }
        end_unit(f);
    }
}

/* A layer's own blocks, one pair of units after the other. */
static void NAME(fill_layer)(dual_fill *f, int l)
{
    const nl_dual_layer *d = &f->dual->layer[l];
    int count = 0;

    if (f->rows[l].count == 0 || f->cols[l].count == 0) {
        return;
    }
    if (d->delta == NULL) {
        NAME(fill_output_layer)(f, l);
        return;
    }
    for (int k = 0; k < d->units; k++) {
        for (int j = 0; j <= k; j++) {
            if (!begin_unit(f)) {
                continue;
            }
            count = NAME(pair_up)(f, NAME(delta_of)(f->dual, d, k), NAME(delta_of)(f->dual, d, j));
            if (count > 0) {
                NAME(multiply_pair)(f, l, count);
            }
            if (count > 0 && f->status == NL_OK) {
                NAME(store_pair)(f, l, k, j);
            }
            end_unit(f);
        }
    }
}

/* s_i of each unit of the upper layer with one back-signal [outputs] of the lower one; false: all
 * are zero. */
static bool NAME(couple)(const dual_fill *f, const nl_dual_layer *upper, int sample,
                         const real *lower, real *s)
{
    const int outputs = f->dual->outputs;
    bool any = false;

    for (int k = 0; k < upper->units; k++) {
        s[k] = 0;
        if (upper->delta == NULL) {
            s[k] = lower[k];
        } else {
            const real *delta =
                NAME(delta_of)(f->dual, upper, k) + (size_t)sample * (size_t)outputs;

            for (int a = 0; a < outputs; a++) {
                s[k] += delta[a] * lower[a];
            }
        }
        any = any || s[k] != 0;
    }
    return any;
}

/* The next chunk of samples from *at on: those that have an s at all.  Returns how many. */
static int NAME(couple_chunk)(const dual_fill *f, const nl_dual_layer *upper, const real *lower,
                              int *at)
{
    const size_t outputs = (size_t)f->dual->outputs;
    int count = 0;

    for (; *at < f->dual->samples && count < chunk_samples; (*at)++) {
        f->sample[count] = *at;
        if (NAME(couple)(f, upper, *at, lower + (size_t)*at * outputs,
                         (real *)f->signal + (size_t)count * (size_t)upper->units)) {
            count++;
        }
    }
    return count;
}

/* Rows (p,k) of a sample into strips: h[p] s[k]. */
static void NAME(expand_rows)(const dual_fill *f, const row_list *list, int i, const real *s)
{
    const real *h = f->inputs;

    for (int first = 0; first < list->count; first += f->tile) {
        const int count = nl_smaller(f->tile, list->count - first);
        real *out = NAME(strip)(f, f->left, first, i);

        for (int t = 0; t < count; t++) {
            out[t] = h[list->input[first + t]] * s[list->unit[first + t]];
        }
    }
}

/* Rows of layer l in `list` against columns of unit j of the lower layer m. */
static void NAME(fill_cross)(dual_fill *f, int l, const row_list *list, int m, int j)
{
    const nl_dual_layer *upper = &f->dual->layer[l];
    const nl_dual_layer *lower = &f->dual->layer[m];
    const local_inputs *cols = &f->cols[m];
    const real *delta = NAME(delta_of)(f->dual, lower, j);
    const input_range all = {.count = f->rows[l].count};
    bool first = true;

    for (int k = 0; k < list->count; k += f->tile) {
        f->reach[k / f->tile] = cols->count;
    }
    for (int at = 0; at < f->dual->samples && goes_on(f);) {
        const int depth = NAME(couple_chunk)(f, upper, delta, &at);

        for (int i = 0; i < depth; i++) {
            NAME(pick)(upper, &f->rows[l], all, f->sample[i], 1, f->inputs);
            NAME(expand_rows)(f, list, i,
                              (const real *)f->signal + (size_t)i * (size_t)upper->units);
            NAME(pick_strips)(f, lower, cols, (chunk_sample){i, f->sample[i]}, 1, f->right);
        }
        if (depth > 0) {
            NAME(multiply_strips)(f, list->count, f->reach, depth, first);
            first = false;
        }
    }
    for (int q = 0; !first && f->status == NL_OK && q < cols->count; q++) {
        const int col = cols->place[(size_t)q * (size_t)lower->units + (size_t)j];
        const real *product = (const real *)f->product + (size_t)q * (size_t)f->product_lead;

        for (int t = 0; col >= 0 && t < list->count; t++) {
            *NAME(entry)(f, list->place[t], col) = product[t];
        }
    }
}

static void NAME(fill)(dual_fill *f, row_list *list)
{
    for (int l = 0; l < f->dual->layers; l++) {
        int next = 0;

        NAME(fill_layer)(f, l);
        while (l > 0 && next_rows(f, l, &next, list)) {
            for (int m = 0; m < l; m++) {
                for (int j = 0; f->cols[m].count > 0 && j < f->dual->layer[m].units; j++) {
                    if (begin_unit(f)) {
                        NAME(fill_cross)(f, l, list, m, j);
                        end_unit(f);
                    }
                }
            }
        }
    }
}
