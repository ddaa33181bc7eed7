/** @file measure.c  Kernels, spectra and observables of one state. */
#include "observe.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Plan
 *-------------------------------------------------------------------------------------------*/

static double local_bytes(const nl_solve_plan *plan, nl_precision precision, int rows, int cols)
{
    const double blocks = ceil((double)plan->n / plan->block);

    return ceil(blocks / rows) * ceil(blocks / cols) * plan->block * plan->block *
           (double)nl_precision_bytes(precision);
}

double nl_solve_memory(const nl_solve_plan *plan, nl_precision precision)
{
    int rows = 1;
    int cols = 1;
    double bytes = 0.0;
    double work = 0.0; /* of observables and solve, which come one after the other */

    nl_grid_shape(plan->team, &rows, &cols);
    bytes = local_bytes(plan, precision, rows, cols) + nl_panel_bytes;
    if (plan->solver != NULL) {
        work = plan->solver->workspace(plan->n, plan->block, precision, rows, cols);
    }
    if (plan->vectors) {
        work = fmax(work, nl_projections_workspace(plan->n, plan->block, precision, rows, cols));
    }
    /* Vectors and their products, and the local part of both. */
    work = fmax(work, 4.0 * plan->columns * plan->n * (double)sizeof(double));
    return bytes + work + (plan->team == 1 ? plan->kept : 0.0);
}

double nl_measure_memory(const nl_solve_plan *plan, int samples, nl_precision precision,
                         const nl_net *net)
{
    const double unit = (double)plan->n / samples; /* rows of a sample */
    const double sample = nl_factors_bytes(net, precision);
    int rows = 1;
    int cols = 1;
    double both = 0.0;

    nl_grid_shape(plan->team, &rows, &cols);
    both = (fmin(samples, ceil(samples / (double)rows) + plan->block / unit) +
            fmin(samples, ceil(samples / (double)cols) + plan->block / unit)) *
           sample;
    if (rows * cols == 1 && samples * sample <= nl_panel_bytes) {
        both = samples * sample; /* rows and columns are the same samples */
    }
    return nl_solve_memory(plan, precision) - nl_panel_bytes +
           fmax(fmin(both, nl_panel_bytes), 2.0 * sample) + 2.0 * nl_factors_fixed_bytes(net);
}

/* What 32-bit libraries can count. */
static bool countable(const nl_solve_plan *plan)
{
    int rows = 1;
    int cols = 1;

    nl_grid_shape(plan->team, &rows, &cols);
    return local_bytes(plan, NL_SINGLE, rows, cols) <= (double)sizeof(float) * INT_MAX &&
           (!plan->vectors || nl_projections_length(plan->n, plan->block, rows, cols) <= INT_MAX);
}

static bool fits(const nl_solve_plan *plan, nl_precision precision, double memory)
{
    return countable(plan) && nl_solve_memory(plan, precision) <= memory;
}

/* Also where kernels of other orders make the team larger: a grid's longer side has at most
 * sqrt(3 ranks) ranks. */
static bool able(const nl_solver *solver, const nl_solve_plan *plan, nl_precision precision,
                 int ranks)
{
    const int longest = (int)ceil(sqrt(3.0 * ranks));

    return solver != NULL && nl_solver_able(solver, plan->n, plan->block, precision, 1, longest);
}

/* Ranks of the smallest team, from `least` on, on which this solver fits; 0: none. */
static int smallest_team(nl_solve_plan trial, const char *solver, nl_precision precision, int least,
                         int ranks, double memory)
{
    trial.solver = nl_solver_find(solver);
    if (least > 1 && !able(trial.solver, &trial, precision, ranks)) {
        return 0;
    }
    for (trial.team = least; trial.team <= ranks; trial.team++) {
        if (fits(&trial, precision, memory)) {
            return trial.team;
        }
    }
    return 0;
}

/* Alone where that fits, else in two stages, else with ScaLAPACK, which is several times slower but
 * needs least memory: see ARCHITECTURE.md.  A solver that the study names decides alone. */
static int choose_team_size(const char *solver, const nl_solve_plan *plan, nl_precision precision,
                            int ranks, double memory)
{
    int team = 0;

    if (strcmp(solver, "auto") != 0) {
        team = smallest_team(*plan, solver, precision, 1, ranks, memory);
        return team > 0 ? team : ranks;
    }
    team = smallest_team(*plan, "lapack", precision, 1, 1, memory);
    if (team == 0) {
        team = smallest_team(*plan, "twostage", precision, 2, ranks, memory);
    }
    if (team == 0) {
        team = smallest_team(*plan, "scalapack", precision, 2, ranks, memory);
    }
    return team > 0 ? team : ranks;
}

static const char *auto_solver(const nl_solve_plan *plan, nl_precision precision, double memory)
{
    nl_solve_plan trial = *plan;

    if (plan->team == 1) {
        return "lapack";
    }
    trial.solver = nl_solver_find("twostage");
    return fits(&trial, precision, memory) ? "twostage" : "scalapack";
}

/* What keeps the solver from this plan, NULL where nothing does. */
static const char *obstacle(const nl_solver *solver, int team, nl_precision precision)
{
    if (solver == NULL) {
        return "is not in this build; use auto";
    }
    if (solver->one_rank && team > 1) {
        return "works on one rank only, but a team shares a kernel; use twostage, team_size 1 or "
               "more memory_per_rank";
    }
    if (solver->double_only && precision != NL_DOUBLE) {
        return "knows only double precision in this build; use auto or "
               "measure.precision double";
    }
    return NULL;
}

static nl_status choose_solver(const nl_study *study, nl_precision precision, int ranks,
                               double memory, bool quiet, nl_solve_plan *plan)
{
    const char *name = nl_study_word(study, NL_KEY_SOLVER);
    const char *why = NULL;

    if (strcmp(name, "none") == 0) {
        plan->solver = NULL;
        return NL_OK;
    }
    if (strcmp(name, "auto") == 0) {
        name = auto_solver(plan, precision, memory);
    }
    plan->solver = nl_solver_find(name);
    why = obstacle(plan->solver, plan->team, precision);
    if (why != NULL) {
        return quiet ? NL_ERR_STUDY
                     : NL_FAIL(NL_ERR_STUDY, "%s: measure.solver: %s %s", study->file, name, why);
    }
    if (plan->team > 1 && !able(plan->solver, plan, precision, ranks)) {
        plan->solver = nl_solver_find("scalapack"); /* fewer blocks than ELPA needs */
    }
    return NL_OK;
}

/* Team, block and solver; whether they fit is not looked at. */
static nl_status choose_team(const nl_study *study, const nl_measure_plan *measure, int kernel,
                             int outputs, int ranks, double memory, bool quiet, nl_solve_plan *out)
{
    const nl_kernel_spec spec = measure->kernel[kernel];
    const char *team = nl_study_word(study, NL_KEY_TEAM_SIZE);
    int rows = 1;
    int cols = 1;

    *out = (nl_solve_plan){.n = nl_kernel_order(spec, measure->samples, outputs)};
    out->block = nl_kernel_block(spec, outputs, nl_shared_block);
    out->columns = spec.kind == NL_KERNEL_FULL ? outputs + 2 : 2 * outputs + 1;
    out->kept = nl_kept_bytes(measure, kernel);
    out->vectors = measure->eigenvectors;
    if (team == NULL) {
        out->team = (int)nl_study_number(study, NL_KEY_TEAM_SIZE);
        out->team = out->team < ranks ? out->team : ranks;
    } else if (strcmp(team, "all") == 0) {
        out->team = ranks;
    } else {
        out->team = choose_team_size(nl_study_word(study, NL_KEY_SOLVER), out, measure->precision,
                                     ranks, memory);
    }
    nl_grid_shape(out->team, &rows, &cols);
    out->team = rows * cols; /* spare ranks, of a prime count, take other work */
    if (out->team == 1) {
        out->block = nl_kernel_block(spec, outputs, nl_private_block);
    }
    return choose_solver(study, measure->precision, ranks, memory, quiet, out);
}

bool nl_solve_plan_fits(const nl_study *study, const nl_measure_plan *measure, int kernel,
                        int outputs, int ranks, double memory, nl_solve_plan *out)
{
    return choose_team(study, measure, kernel, outputs, ranks, memory, true, out) == NL_OK &&
           fits(out, measure->precision, memory);
}

nl_status nl_solve_plan_make(const nl_study *study, const nl_measure_plan *measure, int kernel,
                             int outputs, int ranks, double memory, nl_solve_plan *out)
{
    char need[32];
    char have[32];
    nl_status status = choose_team(study, measure, kernel, outputs, ranks, memory, false, out);

    if (status == NL_OK && !fits(out, measure->precision, memory)) {
        nl_solve_plan wider = *out;
        char team[48];
        char advice[80] = "no number of ranks would do: raise it";

        while (wider.team < 1 << 20 && !fits(&wider, measure->precision, memory)) {
            wider.team *= 2;
        }
        if (fits(&wider, measure->precision, memory)) {
            snprintf(advice, sizeof advice, "about %d ranks would do, or a smaller data.probe_size",
                     wider.team);
        }
        if (!countable(out)) {
            return NL_FAIL(NL_ERR_STUDY,
                           "%s: a kernel of order %d%s has more than 2^31 - 1 elements on each of "
                           "%s; %s",
                           study->file, out->n,
                           out->vectors ? ", or the work space for its eigenvectors," : "",
                           nl_format_count(out->team, "rank", team), advice);
        }
        return NL_FAIL(
            NL_ERR_STUDY,
            "%s: a kernel of order %d needs %s on each of %s, measure.memory_per_rank is %s; "
            "%s",
            study->file, out->n, nl_format_bytes(nl_solve_memory(out, measure->precision), need),
            nl_format_count(out->team, "rank", team), nl_format_bytes(memory, have), advice);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

nl_status nl_measurer_create(MPI_Comm comm, const nl_study *study, const nl_measure_plan *plan,
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
    m->kept_cell = -1;
    m->keep_spectra = nl_study_number(study, NL_KEY_SPECTRA) > 0;
    m->keep_kernels = nl_study_number(study, NL_KEY_OUTPUT_KERNELS) > 0;
    MPI_Comm_split(comm, rank < rows * cols ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        status = nl_grid_create(part, rows, cols, &m->grid);
        MPI_Comm_free(&part);
    }
    if (status == NL_OK && rows * cols == 1) {
        status = nl_kept_create(plan, &m->kept);
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
        nl_dmat_destroy(&(*measurer)->spare);
        nl_kept_destroy(&(*measurer)->kept);
        nl_grid_destroy(&(*measurer)->grid);
        free(*measurer);
        *measurer = NULL;
    }
}

/* One set of factors serves all kernels of the subject where this rank measures alone and has room
 * for them; the next state of the network finds it there. */
static nl_status take_input(nl_measurer *m)
{
    const double start = nl_now();
    nl_status status = NL_OK;

    m->input = (nl_kernel_input){.net = m->subject.net,
                                 .theta = m->subject.theta,
                                 .probe = m->subject.probe,
                                 .samples = m->plan->samples,
                                 .panel_bytes = nl_panel_bytes};
    if (m->grid->rows * m->grid->cols == 1 && nl_kernel_one_panel(&m->input, m->plan->precision)) {
        status = nl_kernel_factors(&m->input, m->plan->precision, &m->factors);
        m->input.ready = m->factors;
    }
    m->gram_seconds += nl_now() - start;
    return nl_agree(m->grid->comm, status);
}

nl_status nl_measure_begin(nl_measurer *m, const nl_subject *subject, bool *collapsed)
{
    double start = 0.0;
    nl_status status = NL_OK;

    nl_measure_end(m);
    m->subject = *subject;
    if (subject->cell != m->kept_cell || (m->factors != NULL && m->factors->net != subject->net)) {
        nl_factors_destroy(&m->factors); /* of another network, or of one that is gone */
    }
    if (subject->cell != m->kept_cell) { /* steps mean other states from now on */
        nl_kept_forget(m->kept);
        m->kept_cell = subject->cell;
    }
    status = take_input(m);
    start = nl_now();
    if (status == NL_OK) {
        status = nl_probe_state_create(m->grid->comm, &m->input, subject->loss, subject->labels,
                                       &m->probe);
    }
    if (status == NL_OK && collapsed != NULL) {
        *collapsed = nl_probe_state_collapsed(m->probe);
    }
    m->observe_seconds += nl_now() - start;
    return status;
}

void nl_measure_end(nl_measurer *m)
{
    nl_probe_state_destroy(&m->probe);
    nl_trust_destroy(&m->trust);
    m->subject = (nl_subject){0};
    m->input = (nl_kernel_input){0};
}

/** What the fill of a matrix needs. */
typedef struct fill_context {
    nl_view view;
    nl_checked checked;
    double *full; /* [n x n] on the first rank: the kernel to be kept; NULL: not wanted */
} fill_context;

/* A matrix is looked at before the solve, which destroys it; the second time its moments are
 * enough. */
static nl_status look_at(const nl_view *view, const nl_dmat *a, bool *holds)
{
    nl_measurer *m = view->measurer;
    const double start = nl_now();
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = NL_OK;

    if (!view->checked->known) {
        status = nl_observe_before(view, a, holds);
    } else {
        status = nl_dmat_moments(a, &trace, &frobenius2);
        *holds = trace == view->checked->trace && frobenius2 == view->checked->frobenius2;
        *holds = *holds || !isfinite(view->checked->frobenius2);
    }
    m->observe_seconds += nl_now() - start;
    return status;
}

/* What a fill is made of is made again. */
static nl_status renew(nl_measurer *m)
{
    nl_trust_destroy(&m->trust);
    return take_input(m);
}

nl_status nl_fill_checked(const nl_view *view, int samples, nl_dmat *a)
{
    nl_measurer *m = view->measurer;
    const bool whole = samples == m->plan->samples;
    char name[32];
    bool holds = false;
    nl_status status = NL_OK;

    for (int turn = 0; status == NL_OK && !holds && turn < 2; turn++) {
        nl_kernel_input input;
        double start = 0.0;

        if (turn > 0) {
            if (m->grid->row == 0 && m->grid->col == 0) {
                nl_warn(
                    "kernel %s of step %ld: it does not match its network's Jacobian; made again",
                    nl_kernel_name(view->spec, name), m->subject.step);
            }
            view->out->refilled = true;
            status = renew(m);
        }
        input = m->input;
        input.samples = samples;
        start = nl_now();
        if (status == NL_OK) {
            status = nl_agree(a->grid->comm, nl_kernel_fill(a, view->spec, &input));
        }
        m->gram_seconds += nl_now() - start;
        holds = true;
        if (status == NL_OK && whole) {
            status = look_at(view, a, &holds);
        }
    }
    if (status == NL_OK && !holds) {
        status =
            m->grid->row != 0 || m->grid->col != 0
                ? NL_ERR_NUMERIC
                : NL_FAIL(NL_ERR_NUMERIC,
                          "kernel %s of step %ld: twice it did not match its network's Jacobian",
                          nl_kernel_name(view->spec, name), m->subject.step);
    }
    return status;
}

static nl_status fill(nl_dmat *a, void *context)
{
    fill_context *f = context;
    nl_measurer *m = f->view.measurer;
    const bool first = !f->checked.known;
    nl_status status = nl_fill_checked(&f->view, m->plan->samples, a);

    return status == NL_OK && first && m->keep_kernels ? nl_dmat_gather(a, 0, f->full) : status;
}

void nl_measurement_clear(nl_measurement *measurement, int n)
{
    nl_measurement_free(measurement);
    *measurement = (nl_measurement){.n = n, .observed = nl_observables_unknown()};
    snprintf(measurement->solver, sizeof measurement->solver, "none");
}

static nl_status measure_spectrum(nl_dmat *a, const nl_solver *solver, fill_context *f,
                                  nl_measurement *out)
{
    nl_measurer *m = f->view.measurer;
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
    if (f->view.spec.kind == NL_KERNEL_FULL && m->subject.loss == NL_MSE) {
        out->observed.stability_rate = nl_stability_rate(m->probe, spectrum->lambda[0]);
    }
    out->resolved = spectrum->resolved;
    snprintf(out->solver, sizeof out->solver, "%s", spectrum->solver->name);
    if (m->keep_spectra) {
        out->lambda = spectrum->lambda;
        spectrum->lambda = NULL;
    }
    nl_spectrum_destroy(&spectrum);
    return NL_OK;
}

/* What is beside the kernel and its spectrum. */
static nl_status measure_related(nl_dmat **a, const nl_solve_plan *solve, const nl_view *view)
{
    const double start = nl_now();
    nl_status status = nl_observe_related(view, solve, a);

    view->measurer->observe_seconds += nl_now() - start;
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
    if (*a != NULL && m->kept != NULL && nl_kept_bytes(m->plan, kernel) > 0.0 &&
        (m->spare == NULL || m->spare->n < (*a)->n)) {
        nl_dmat_destroy(&m->spare);
        m->spare = *a;
        *a = NULL;
    }
    nl_dmat_destroy(a);
}

nl_status nl_measure_kernel(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                            nl_measurement *out)
{
    const bool first = m->grid->row == 0 && m->grid->col == 0;
    fill_context f = {
        .view = {.measurer = m, .kernel = kernel, .spec = m->plan->kernel[kernel], .out = out}};
    f.view.checked = &f.checked;
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    nl_measurement_clear(out, solve->n);
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
        status = measure_related(&a, solve, &f.view);
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
