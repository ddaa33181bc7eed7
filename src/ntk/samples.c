/** @file samples.c  Which samples a rank's part of a kernel is about. */
#include "samples.h"

#include <stdlib.h>

static nl_status allocate(nl_local_samples *samples)
{
    samples->row = nl_calloc((size_t)samples->rows, sizeof *samples->row);
    samples->col = nl_calloc((size_t)samples->cols, sizeof *samples->col);
    return samples->row != NULL && samples->col != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of local samples");
}

nl_status nl_local_samples_list(const nl_dmat *a, int unit, nl_local_samples *out)
{
    nl_status status = NL_OK;

    *out = (nl_local_samples){
        .unit = unit, .rows = a->local_rows / unit, .cols = a->local_cols / unit};
    status = allocate(out);
    for (int i = 0; status == NL_OK && i < out->rows; i++) {
        out->row[i] = nl_dmat_global_row(a, i * unit) / unit;
    }
    for (int j = 0; status == NL_OK && j < out->cols; j++) {
        out->col[j] = nl_dmat_global_col(a, j * unit) / unit;
    }
    return status;
}

nl_status nl_local_samples_first(int count, nl_local_samples *out)
{
    nl_status status = NL_OK;

    *out = (nl_local_samples){.unit = 1, .rows = count, .cols = count};
    status = allocate(out);
    for (int k = 0; status == NL_OK && k < count; k++) {
        out->row[k] = out->col[k] = k;
    }
    return status;
}

void nl_local_samples_free(nl_local_samples *samples)
{
    free(samples->row);
    free(samples->col);
    *samples = (nl_local_samples){0};
}
