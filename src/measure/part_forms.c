/** @file part_forms.c  Kernels of the first samples of a probe, held against that of all of it. */
#include "part_forms.h"

#include <math.h>
#include <stdlib.h>

bool nl_parts_wanted(const nl_measure_plan *plan, nl_kernel_spec spec)
{
    return spec.kind == NL_KERNEL_TRACED ? plan->auxiliary_traced : plan->auxiliary_full;
}

int nl_part_samples(int samples, int part)
{
    return samples >> (part + 1);
}

static int rows_of(const nl_kernel_task *task, int samples)
{
    return nl_kernel_order(task->spec, samples, task->measurer->plan->classes);
}

/* The first `rows` rows: the same signs in the whole kernel and in the part. */
static void draw_signs(int rows, double *v)
{
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_CHECK, (uint32_t)rows, 3, 0);

    for (int k = 0; k < rows; k++) {
        v[k] = nl_rng_sign(&rng);
    }
}

/* v^T A v of the first rows[k] rows each. */
static nl_status forms_of(const nl_dmat *a, int count, const int *rows, double *form)
{
    const size_t n = (size_t)a->n;
    double *v = nl_calloc(n * (size_t)count, sizeof *v);
    double *y = nl_calloc(n * (size_t)count, sizeof *y);
    nl_status status = nl_agree(
        a->grid->comm, v != NULL && y != NULL
                           ? NL_OK
                           : NL_FAIL(NL_ERR_NOMEM, "out of memory for vectors of order %d", a->n));

    for (int k = 0; status == NL_OK && k < count; k++) {
        draw_signs(rows[k], v + (size_t)k * n);
    }
    if (status == NL_OK) {
        status = nl_dmat_multiply(a, count, v, y);
    }
    for (int k = 0; status == NL_OK && k < count; k++) {
        form[k] = nl_inner(n, v + (size_t)k * n, y + (size_t)k * n);
    }
    free(v);
    free(y);
    return status;
}

nl_status nl_part_forms_note(const nl_kernel_task *task, const nl_dmat *a)
{
    const nl_measurer *m = task->measurer;
    int rows[nl_probe_parts];

    if (task->out->method != NL_METHOD_PRIMAL || !nl_parts_wanted(m->plan, task->spec)) {
        return NL_OK;
    }
    for (int k = 0; k < nl_probe_parts; k++) {
        rows[k] = rows_of(task, nl_part_samples(m->input.samples, k));
    }
    return forms_of(a, nl_probe_parts, rows, task->checked->form);
}

nl_status nl_part_form_holds(const nl_kernel_task *task, const nl_dmat *a, int samples, bool *holds)
{
    const nl_measurer *m = task->measurer;
    const nl_rounding of = nl_rounding_of(m->state.net, task->spec, a->n);
    const int rows = rows_of(task, samples);
    double noted = NAN;
    double form = 0.0;
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = NL_OK;

    for (int k = 0; k < nl_probe_parts; k++) {
        noted = samples == nl_part_samples(m->input.samples, k) ? task->checked->form[k] : noted;
    }
    *holds = true;
    if (isnan(noted)) {
        return NL_OK;
    }
    status = forms_of(a, 1, &rows, &form);
    if (status == NL_OK) {
        status = nl_dmat_moments(a, &trace, &frobenius2);
    }
    /* both are off by as much as one is from the Jacobian's */
    *holds = fabs(form - noted) <=
             2.0 * nl_precision_eps(a->precision) * (of.trace * trace + of.form * fabs(noted));
    return status;
}
