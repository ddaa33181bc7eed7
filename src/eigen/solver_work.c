/** @file solver_work.c  Work space of a solver, and the end of its work. */
#include "solver_work.h"

#include "ntklens/par.h"

#include <limits.h>
#include <stdlib.h>

nl_status nl_work_create(const nl_dmat *a, const char *routine, double length, nl_work *work)
{
    size_t bytes = nl_precision_bytes(a->precision);
    nl_status status = NL_OK;

    *work = (nl_work){0};
    if (!(length <= INT_MAX)) {
        status = NL_FAIL(NL_ERR_ARG,
                         "%s of order %d: work space of %.0f elements, expected at most 2^31 - 1: "
                         "use more ranks or smaller blocks",
                         routine, a->n, length);
    } else {
        work->length = (int)length;
        work->elements = nl_calloc((size_t)work->length + (size_t)a->n, bytes);
        if (work->elements == NULL) {
            status =
                NL_FAIL(NL_ERR_NOMEM, "%s of order %d: no memory for work space", routine, a->n);
        }
    }
    status = nl_agree(a->grid->comm, status);
    if (status != NL_OK) {
        nl_work_free(work);
        return status;
    }
    work->eigenvalues = (char *)work->elements + (size_t)work->length * bytes;
    return NL_OK;
}

void nl_work_free(nl_work *work)
{
    free(work->elements);
    *work = (nl_work){0};
}

nl_status nl_work_finish(const nl_dmat *a, const char *routine, int info, const nl_work *work,
                         double *ascending)
{
    if (info != 0 && nl_grid_root(a->grid)) {
        nl_warn("%s of order %d on %d x %d ranks: info = %d, expected 0", routine, a->n,
                a->grid->rows, a->grid->cols, info);
    }
    for (int k = 0; k < a->n; k++) {
        ascending[k] = a->precision == NL_DOUBLE ? ((const double *)work->eigenvalues)[k]
                                                 : ((const float *)work->eigenvalues)[k];
    }
    return nl_agree(a->grid->comm, info == 0 ? NL_OK : NL_ERR_LINALG);
}

void nl_reverse(int n, double *values)
{
    for (int low = 0, high = n - 1; low < high; low++, high--) {
        double kept = values[low];

        values[low] = values[high];
        values[high] = kept;
    }
}
