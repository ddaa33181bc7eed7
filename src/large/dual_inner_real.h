/**
 * @file dual_inner_real.h  Parts of A^T B in one floating-point format (ntklens/formats.h).
 *
 * Symbols as in dual_real.h; of an expanded layer rows are (input p, unit k), of the other one
 * columns are the inputs of one unit.
 */

static const real *NAME(delta_of)(const side *s, int k)
{
    return (const real *)s->of->delta +
           (size_t)s->of->unit[k] * (size_t)s->dual->samples * (size_t)s->dual->outputs;
}

/* What a layer takes of a sample, s times: inputs that vary, then the merged one. */
NL_VECTOR_CLONES
static void NAME(take_inputs)(const nl_dual_layer *d, int sample, real s, real *restrict out)
{
    const size_t at = (size_t)sample * (size_t)d->layer->fan_in;
    const int *restrict column = d->column;

    if (d->x != NULL) {
        for (int p = 0; p < d->varying; p++) {
            out[p] = s * (real)(d->scale * (double)d->x[at + (size_t)column[p]]);
        }
    } else {
        for (int p = 0; p < d->varying; p++) {
            out[p] = s * (real)(d->scale * (double)((const real *)d->h)[at + (size_t)column[p]]);
        }
    }
    if (d->inputs > d->varying) {
        out[d->varying] = s * (real)d->constant;
    }
}

/* T = or += A B^T; below: as far as it lies on or below the diagonal, in blocks of columns. */
static void NAME(multiply)(const inner_work *w, int rows, int cols, int depth, bool first)
{
    const int step = w->below ? tile : cols;

    for (int j = 0; j < cols; j += step) {
        const int from = w->below ? j : 0;

        NAME(nl_gemm)(w->a->pieces, 'T', rows - from, nl_smaller(step, cols - j), depth, 1,
                      (const real *)w->left + from, w->row_lead, (const real *)w->right + j,
                      w->col_lead, first ? 0 : 1,
                      (real *)w->product + (size_t)j * (size_t)w->row_lead + from, w->row_lead);
    }
}

/* |T|_F^2, of which what lies below the blocks on the diagonal stands for what lies above. */
static double NAME(square)(const inner_work *w, int rows, int cols)
{
    double sum = 0.0;

    for (int q = 0; q < cols; q++) {
        const real *column = (const real *)w->product + (size_t)q * (size_t)w->row_lead;
        const int from = w->below ? q / tile * tile : 0;
        const int middle = w->below ? nl_smaller(from + tile, rows) : rows;

        sum += NAME(nl_squares)((size_t)(middle - from), column + from);
        if (rows > middle) {
            sum += 2.0 * NAME(nl_squares)((size_t)(rows - middle), column + middle);
        }
    }
    return sum;
}

/* s_i of a unit of each side; NULL: all are one.  Returns how many samples count. */
static int NAME(pair_up)(const inner_work *w, const real *one, const real *other)
{
    const size_t outputs = (size_t)w->a->outputs;
    real *weight = w->weight;
    int count = 0;

    for (int i = 0; i < w->a->samples; i++) {
        real s = one == NULL ? 1 : 0;

        for (size_t a = 0; one != NULL && a < outputs; a++) {
            s += one[(size_t)i * outputs + a] * other[(size_t)i * outputs + a];
        }
        weight[count] = s;
        w->sample[count] = i;
        count += s != 0 ? 1 : 0; /* a NaN counts */
    }
    return count;
}

/* |sum_i s_i h_i h'_i^T|^2 of one unit of each side; k < 0: of the outputs, where s is one. */
static double NAME(pair)(inner_work *w, const side *one, int k, const side *other, int j)
{
    const int count = k < 0 ? NAME(pair_up)(w, NULL, NULL)
                            : NAME(pair_up)(w, NAME(delta_of)(one, k), NAME(delta_of)(other, j));
    const real *weight = w->weight;

    for (int first = 0; first < count && goes_on(w); first += chunk_samples) {
        const int depth = nl_smaller(chunk_samples, count - first);

        for (int i = 0; i < depth; i++) {
            NAME(take_inputs)(one->of, w->sample[first + i], 1,
                              (real *)w->left + (size_t)i * (size_t)w->row_lead);
            NAME(take_inputs)(other->of, w->sample[first + i], weight[first + i],
                              (real *)w->right + (size_t)i * (size_t)w->col_lead);
        }
        NAME(multiply)(w, one->of->inputs, other->of->inputs, depth, first == 0);
    }
    return count > 0 ? NAME(square)(w, one->of->inputs, other->of->inputs) : 0.0;
}

/* s_i of each unit of one side with unit j of the other; false: all are zero. */
static bool NAME(couple)(const side *one, const side *other, int j, int sample, real *s)
{
    const size_t outputs = (size_t)one->dual->outputs;
    const size_t at = (size_t)sample * outputs;
    const real *theirs = other->of->delta != NULL ? NAME(delta_of)(other, j) + at : NULL;
    bool any = false;

    for (int k = 0; k < one->of->units; k++) {
        const real *ours = one->of->delta != NULL ? NAME(delta_of)(one, k) + at : NULL;

        s[k] = ours == NULL ? theirs[k] : theirs == NULL ? ours[j] : 0;
        for (size_t a = 0; ours != NULL && theirs != NULL && a < outputs; a++) {
            s[k] += ours[a] * theirs[a];
        }
        any = any || s[k] != 0;
    }
    return any;
}

/* Rows first .. first + rows of one side, expanded, against unit j of the other. */
static double NAME(expanded)(inner_work *w, const side *one, int first, const side *other, int j)
{
    const int units = one->of->units;
    const int rows = nl_smaller(most_rows, one->of->inputs * units - first);
    real *s = w->signal;
    bool begun = false;

    for (int i = 0; i < w->a->samples && goes_on(w);) {
        int depth = 0;

        for (; i < w->a->samples && depth < chunk_samples; i++) {
            real *row = (real *)w->left + (size_t)depth * (size_t)w->row_lead;

            if (NAME(couple)(one, other, j, i, s)) {
                NAME(take_inputs)(one->of, i, 1, w->inputs);
                for (int t = 0; t < rows; t++) {
                    row[t] =
                        ((const real *)w->inputs)[(first + t) / units] * s[(first + t) % units];
                }
                NAME(take_inputs)(other->of, i, 1,
                                  (real *)w->right + (size_t)depth * (size_t)w->col_lead);
                depth++;
            }
        }
        if (depth > 0) {
            NAME(multiply)(w, rows, other->of->inputs, depth, !begun);
            begun = true;
        }
    }
    return begun ? NAME(square)(w, rows, other->of->inputs) : 0.0;
}

static double NAME(part)(inner_work *w, const inner_part *p)
{
    return p->expand ? NAME(expanded)(w, &p->one, p->k, &p->other, p->j)
                     : NAME(pair)(w, &p->one, p->k, &p->other, p->j);
}
