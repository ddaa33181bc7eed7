/** @file slices.c  Vectors of which each rank has a slice. */
#include "slices.h"

#include "ntklens/blas.h"
#include "ntklens/linalg.h"

#include <stdlib.h>
#include <string.h>

enum { at_once = 4096 }; /* sums that are exchanged at a time */

nl_status nl_slices_create(MPI_Comm comm, int n, nl_slices *out)
{
    int rank = 0;

    *out = (nl_slices){.comm = comm, .n = n};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &out->ranks);
    out->count = nl_calloc((size_t)out->ranks, sizeof *out->count);
    out->start = nl_calloc((size_t)out->ranks, sizeof *out->start);
    out->scratch = nl_calloc((size_t)nl_add_up_scratch(at_once, out->ranks), sizeof *out->scratch);
    if (out->count == NULL || out->start == NULL || out->scratch == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for slices of %d ranks", out->ranks);
    }
    for (int k = 0; k < out->ranks; k++) {
        out->start[k] = nl_share_begin(n, k, out->ranks);
        out->count[k] = nl_share_begin(n, k + 1, out->ranks) - out->start[k];
    }
    out->first = out->start[rank];
    out->own = out->count[rank];
    out->lead = nl_larger(out->own, 1);
    return NL_OK;
}

void nl_slices_free(nl_slices *s)
{
    free(s->count);
    free(s->start);
    free(s->scratch);
    *s = (nl_slices){0};
}

void nl_slices_sum(const nl_slices *s, int count, double *values)
{
    for (int first = 0; first < count; first += at_once) {
        nl_add_up(s->comm, NL_DOUBLE, values + first, nl_smaller(at_once, count - first),
                  s->scratch);
    }
}

void nl_slices_squares(const nl_slices *s, int columns, const double *x, double *square)
{
    for (int c = 0; c < columns; c++) {
        square[c] = nl_squares_double((size_t)s->own, x + (size_t)c * (size_t)s->lead);
    }
    nl_slices_sum(s, columns, square);
}

void nl_slices_gather(const nl_slices *s, int columns, const double *x, double *all)
{
    for (int c = 0; c < columns; c++) {
        MPI_Allgatherv(x + (size_t)c * (size_t)s->lead, s->own, MPI_DOUBLE,
                       all + (size_t)c * (size_t)s->n, s->count, s->start, MPI_DOUBLE, s->comm);
    }
}

void nl_slices_take(const nl_slices *s, int columns, const double *all, double *x)
{
    for (int c = 0; c < columns; c++) {
        memcpy(x + (size_t)c * (size_t)s->lead, all + (size_t)c * (size_t)s->n + (size_t)s->first,
               (size_t)s->own * sizeof *x);
    }
}
