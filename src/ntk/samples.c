/** @file samples.c  Which samples a rank's part of a kernel is about. */
#include "samples.h"

#include <stdlib.h>

nl_status nl_local_samples_list(const nl_dmat *a, int unit, nl_local_samples *out)
{
    *out = (nl_local_samples){
        .unit = unit, .rows = a->local_rows / unit, .cols = a->local_cols / unit};
    out->row = nl_calloc((size_t)out->rows, sizeof *out->row);
    out->col = nl_calloc((size_t)out->cols, sizeof *out->col);
    if (out->row == NULL || out->col == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of local samples");
    }
    for (int i = 0; i < out->rows; i++) {
        out->row[i] = nl_dmat_global_row(a, i * unit) / unit;
    }
    for (int j = 0; j < out->cols; j++) {
        out->col[j] = nl_dmat_global_col(a, j * unit) / unit;
    }
    return NL_OK;
}

void nl_local_samples_free(nl_local_samples *samples)
{
    free(samples->row);
    free(samples->col);
    *samples = (nl_local_samples){0};
}
