/** @file measurer.c  Kernels, spectra and observables of one state. */
#include "checked_fill.h"
#include "kernel_cache.h"
#include "measure_dual.h"
#include "measure_quadrature.h"
#include "measure_stored.h"
#include "observe.h"
#include "related.h"
#include "self_check.h"

#include <math.h>
#include <stdlib.h>

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

nl_status nl_measurer_create(MPI_Comm comm, const nl_study_spec *spec, const nl_measure_plan *plan,
                             nl_measurer **out)
{
    nl_measurer *m = calloc(1, sizeof *m);
    MPI_Comm part = MPI_COMM_NULL;
    nl_status status = NL_OK;
    int rank = 0;
    int size = 1;
    int rows = 1;
    int cols = 1;

    *out = NULL;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    nl_grid_shape(size, &rows, &cols);
    status =
        nl_agree(comm, m == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a measurer") : NL_OK);
    if (status != NL_OK) {
        free(m);
        return status;
    }
    m->plan = plan;
    m->cached_cell = -1;
    m->keep_spectra = spec->keep_spectra;
    m->keep_kernels = spec->keep_kernels;
    MPI_Comm_split(comm, rank < rows * cols ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        status = nl_grid_create(part, rows, cols, &m->grid);
        MPI_Comm_free(&part);
    }
    if (status == NL_OK && m->grid != NULL) {
        status = nl_kernel_cache_create(plan, rows * cols == 1, &m->cache);
    }
    status = nl_agree(comm, status);
    if (status != NL_OK || m->grid == NULL) {
        nl_measurer_destroy(&m);
        return status;
    }
    *out = m;
    return NL_OK;
}

void nl_measurer_destroy(nl_measurer **measurer)
{
    if (*measurer != NULL) {
        nl_measure_end(*measurer);
        nl_factors_destroy(&(*measurer)->factors);
        nl_chunk_gradients_destroy(&(*measurer)->gradients);
        nl_kept_memory_free(&(*measurer)->kept);
        nl_dmat_destroy(&(*measurer)->spare);
        nl_kernel_cache_destroy(&(*measurer)->cache);
        nl_grid_destroy(&(*measurer)->grid);
        free(*measurer);
        *measurer = NULL;
    }
}

nl_status nl_measure_begin(nl_measurer *m, const nl_measure_state *state, bool *collapsed)
{
    nl_status status = NL_OK;

    nl_measure_end(m);
    m->state = *state;
    if (state->cell != m->cached_cell || (m->factors != NULL && m->factors->net != state->net)) {
        nl_factors_destroy(&m->factors); /* of another network, or of one that is gone */
    }
    if (state->cell != m->cached_cell) { /* steps mean other states from now on */
        nl_chunk_gradients_destroy(&m->gradients);
        nl_kernel_cache_forget(m->cache);
        m->cached_cell = state->cell;
    }
    if (collapsed != NULL) { /* else the kernel says which samples */
        status = nl_measurer_take_samples(m, m->plan->samples);
        if (status == NL_OK) {
            *collapsed = nl_probe_state_collapsed(m->probe);
        }
    }
    return status;
}

void nl_measure_end(nl_measurer *m)
{
    nl_probe_state_destroy(&m->probe);
    nl_trust_destroy(&m->trust);
    m->state = (nl_measure_state){0};
    m->input = (nl_kernel_input){0};
}

/** What the fill of a matrix needs. */
typedef struct fill_context {
    nl_kernel_task task;
    nl_checked checked;
    double *full; /* [n x n] on the first rank: the kernel to be kept; NULL: not wanted */
} fill_context;

static nl_status fill(nl_dmat *a, void *context)
{
    fill_context *f = context;
    nl_measurer *m = f->task.measurer;
    const bool first = !f->checked.known;
    nl_status status = nl_fill_checked(&f->task, m->input.samples, a);

    return status == NL_OK && first && m->keep_kernels ? nl_dmat_gather(a, 0, f->full) : status;
}

void nl_measurement_clear(nl_measurement *measurement, int n)
{
    nl_measurement_free(measurement);
    *measurement =
        (nl_measurement){.n = n, .observed = nl_observables_unknown(), .entropy_error = NAN};
    snprintf(measurement->solver, sizeof measurement->solver, "none");
}

static nl_status measure_spectrum(nl_dmat *a, const nl_solver *solver, fill_context *f,
                                  nl_measurement *out)
{
    nl_measurer *m = f->task.measurer;
    const double start = nl_now();
    const double before = m->gram_seconds + m->observe_seconds;
    nl_spectrum *spectrum = NULL;
    nl_status status = nl_spectrum_compute(a, solver, fill, f, &spectrum);

    m->solve_seconds += nl_now() - start - (m->gram_seconds + m->observe_seconds - before);
    if (status != NL_OK) {
        return status;
    }
    nl_observe_spectrum(spectrum->n, spectrum->lambda, m->plan->classes,
                        nl_precision_eps(a->precision), &out->observed);
    if (f->task.spec.kind == NL_KERNEL_FULL && m->state.loss == NL_MSE) {
        out->observed.stability_rate = nl_stability_rate(m->probe, spectrum->lambda[0]);
    }
    out->entropy_error = isnan(out->observed.entropy) ? NAN : 0.0;
    out->fallback = spectrum->fallback;
    snprintf(out->solver, sizeof out->solver, "%s", spectrum->solver->name);
    if (m->keep_spectra) {
        out->values = spectrum->n;
        out->lambda = spectrum->lambda;
        spectrum->lambda = NULL;
    }
    nl_spectrum_destroy(&spectrum);
    return NL_OK;
}

/* What is beside the kernel and its spectrum. */
static nl_status measure_related(nl_dmat **a, const nl_solve_plan *solve,
                                 const nl_kernel_task *task)
{
    const double start = nl_now();
    nl_status status = nl_observe_related(task, solve, a);

    task->measurer->observe_seconds += nl_now() - start;
    return status;
}

static nl_status take_matrix(nl_measurer *m, const nl_solve_plan *solve, nl_dmat **a)
{
    if (m->spare != NULL && m->spare->n == solve->n && m->spare->nb == solve->block) {
        *a = m->spare;
        m->spare = NULL;
        return NL_OK;
    }
    return nl_dmat_create(m->grid, solve->n, solve->block, m->plan->precision, a);
}

/* To clear new memory takes as long as to fill it with the kernel of a narrow network: the largest
 * of the small matrices stays for the next state. */
static void give_back(nl_measurer *m, int kernel, nl_dmat **a)
{
    if (*a != NULL && m->grid->rows * m->grid->cols == 1 &&
        nl_kernel_cache_bytes(m->plan, kernel) > 0.0 &&
        (m->spare == NULL || m->spare->n < (*a)->n)) {
        nl_dmat_destroy(&m->spare);
        m->spare = *a;
        *a = NULL;
    }
    nl_dmat_destroy(a);
}

static nl_status measure_primal(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                nl_measurement *out)
{
    const bool first = m->grid->row == 0 && m->grid->col == 0;
    fill_context f = {
        .task = {.measurer = m, .kernel = kernel, .spec = m->plan->kernel[kernel], .out = out}};
    f.task.checked = &f.checked;
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    status = take_matrix(m, solve, &a);
    if (status != NL_OK) {
        return status;
    }
    if (m->keep_kernels && first) {
        f.full = nl_calloc((size_t)solve->n * (size_t)solve->n, sizeof *f.full);
        if (f.full == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM,
                             "out of memory for output.kernels: a kernel of order %d on one rank",
                             solve->n);
        }
    }
    status = nl_agree(m->grid->comm, status);
    if (status == NL_OK) {
        status = solve->solver == NULL ? fill(a, &f) : measure_spectrum(a, solve->solver, &f, out);
    }
    if (status == NL_OK && solve->solver != NULL) {
        status = measure_related(&a, solve, &f.task);
    }
    give_back(m, kernel, &a);
    if (status != NL_OK) {
        free(f.full);
        return status;
    }
    out->kernel = f.full;
    out->done = true;
    return NL_OK;
}

static nl_status measure_first(nl_measurer *m, const nl_solve_plan *solve, int kernel, int samples,
                               nl_measurement *out)
{
    nl_status status = nl_measurer_take_samples(m, samples);

    nl_measurement_clear(out, solve->n);
    if (status != NL_OK) {
        return status;
    }
    if (solve->method == NL_METHOD_DUAL) {
        return nl_measure_dual(m, solve, kernel, out);
    }
    if (solve->method == NL_METHOD_QUADRATURE) {
        return (solve->stored ? nl_measure_stored : nl_measure_quadrature)(m, solve, kernel, out);
    }
    return measure_primal(m, solve, kernel, out);
}

nl_status nl_measure_kernel(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                            nl_measurement *out)
{
    nl_status status = NL_OK;

    nl_measurement_clear(out, solve->n);
    if (nl_self_check_wanted(m, solve, kernel)) {
        status = nl_self_check(m, solve, kernel, measure_first);
    }
    return status == NL_OK
               ? measure_first(m, solve, kernel, nl_measure_samples(m->plan, kernel), out)
               : status;
}
