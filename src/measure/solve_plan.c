/** @file solve_plan.c  Who shares a kernel and how it is solved. */
#include "solve_method.h"

#include "ntklens/measure.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static double local_bytes(const nl_solve_plan *plan, nl_precision precision, int rows, int cols)
{
    const double blocks = ceil((double)plan->order / plan->block);

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
    if (plan->method == NL_METHOD_QUADRATURE) {
        return plan->held + (plan->team == 1 ? plan->cached : 0.0) +
               (plan->stored ? nl_panel_bytes +
                                   nl_dmat_lower_bytes(plan->n, plan->block, NL_SINGLE, rows, cols)
                             : 0.0);
    }
    bytes = local_bytes(plan, precision, rows, cols) + nl_panel_bytes;
    if (plan->solver != NULL) {
        work = plan->solver->workspace(plan->order, plan->block, precision, rows, cols);
    }
    if (plan->vectors) {
        work =
            fmax(work, nl_projections_workspace(plan->order, plan->block, precision, rows, cols));
    }
    /* Vectors and their products, and the local part of both. */
    work = fmax(work, 4.0 * plan->columns * plan->order * (double)sizeof(double));
    return fmax(bytes + work, plan->comparing) + plan->held +
           (plan->team == 1 ? plan->cached : 0.0);
}

double nl_fill_memory(const nl_net *net)
{
    return nl_net_is_dense(net) ? nl_panel_bytes : nl_part_bytes;
}

double nl_measure_memory(const nl_solve_plan *plan, int samples, nl_precision precision,
                         const nl_net *net)
{
    const double unit = (double)plan->n / samples; /* rows of a sample */
    const double fill = nl_fill_memory(net);
    int rows = 1;
    int cols = 1;
    double both = 0.0;
    double filling = 0.0;

    if (plan->method != NL_METHOD_PRIMAL && !plan->stored) {
        return nl_solve_memory(plan, precision);
    }
    if (plan->stored) {
        precision = NL_SINGLE;
    }
    nl_grid_shape(plan->team, &rows, &cols);
    both = fmin(samples, ceil(samples / (double)rows) + plan->block / unit) +
           fmin(samples, ceil(samples / (double)cols) + plan->block / unit);
    if (rows * cols == 1 &&
        (!nl_net_is_dense(net) || samples * nl_factors_bytes(net, precision) <= fill)) {
        both = samples; /* rows and columns are the same samples */
    }
    filling = nl_kernel_fill_bytes(net, precision, plan->n, both, fill);
    if (!nl_net_is_dense(net)) { /* a check comes behind the fill, beside what that leaves */
        const double kept = nl_kernel_kept_bytes(net, precision, plan->n, both, fill);
        const bool alone = rows * cols == 1;
        const double left = alone
                                ? nl_kernel_gradients_bytes(net, precision, samples, fill) +
                                      nl_kernel_beside_bytes(net, precision, plan->n, samples, fill)
                                : kept;

        filling = left + fmax(filling - kept, nl_trust_most_bytes(net, samples, rows * cols, fill));
    }
    return nl_solve_memory(plan, precision) - nl_panel_bytes + filling;
}

/* What 32-bit libraries can count. */
static bool countable(const nl_solve_plan *plan)
{
    int rows = 1;
    int cols = 1;

    nl_grid_shape(plan->team, &rows, &cols);
    return local_bytes(plan, NL_SINGLE, rows, cols) <= (double)sizeof(float) * INT_MAX &&
           (!plan->vectors ||
            nl_projections_length(plan->order, plan->block, rows, cols) <= INT_MAX);
}

static bool fits(const nl_solve_plan *plan, nl_precision precision, double memory)
{
    return (plan->method == NL_METHOD_QUADRATURE || countable(plan)) &&
           nl_solve_memory(plan, precision) <= memory;
}

/* Also where kernels of other orders make the team larger: a grid's longer side has at most
 * sqrt(3 ranks) ranks. */
static bool able(const nl_solver *solver, const nl_solve_plan *plan, nl_precision precision,
                 int ranks)
{
    const int longest = (int)ceil(sqrt(3.0 * ranks));

    return solver != NULL &&
           nl_solver_able(solver, plan->order, plan->block, precision, 1, longest);
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

/* Of a quadrature: only a matrix is shared.  All ranks where it fits on none. */
static int fewest_ranks(const nl_solve_plan *plan, nl_precision precision, int ranks, double memory)
{
    nl_solve_plan trial = *plan;

    trial.team = 1;
    while (plan->stored && trial.team < ranks && !fits(&trial, precision, memory)) {
        trial.team++;
    }
    return trial.team;
}

/* Alone where that fits, else in two stages, else with ScaLAPACK, which is several times slower but
 * needs least memory: see ARCHITECTURE.md.  A solver that the study names decides alone. */
static int choose_team_size(const char *solver, /* NULL: the best */
                            const nl_solve_plan *plan, nl_precision precision, int ranks,
                            double memory)
{
    int team = 0;

    if (solver != NULL) {
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

/* Returns what keeps the solver that is asked for from this plan, NULL where nothing does; *name:
 * of the solver. */
static const char *choose_solver(const nl_solve_request *request, nl_precision precision,
                                 const nl_solve_room *room, nl_solve_plan *plan, const char **name)
{
    const char *why = NULL;

    *name = request->solver != NULL ? request->solver : auto_solver(plan, precision, room->memory);
    plan->solver = request->none ? NULL : nl_solver_find(*name);
    if (request->none) {
        return NULL;
    }
    why = obstacle(plan->solver, plan->team, precision);
    if (why == NULL && plan->team > 1 && !able(plan->solver, plan, precision, room->ranks)) {
        plan->solver = nl_solver_find("scalapack"); /* fewer blocks than ELPA needs */
    }
    return why;
}

/* Order, operations and memory on the plan's team. */
static void size_plan(const nl_solve_request *request, const nl_measure_plan *measure, int kernel,
                      const nl_solve_room *room, nl_solve_plan *out)
{
    nl_solve_method_size(out, measure, kernel, room);
    if (out->compared > request->exact_operations) {
        out->compared = out->comparing = 0.0;
    }
}

/* Team and block of a method; whether they fit is not looked at. */
static void choose_team(const nl_solve_request *request, const nl_measure_plan *measure, int kernel,
                        const nl_solve_room *room, nl_solve_plan *out)
{
    int rows = 1;
    int cols = 1;

    out->relative_error = request->relative_error;
    size_plan(request, measure, kernel, room, out);
    out->block = nl_solve_method_block(out, measure, kernel, room, nl_shared_block);
    if (request->team > 0) {
        out->team = request->team < room->ranks ? request->team : room->ranks;
    } else if (request->team < 0) {
        out->team = room->ranks;
    } else if (out->method == NL_METHOD_QUADRATURE) {
        out->team = fewest_ranks(out, measure->precision, room->ranks, room->memory);
    } else {
        out->team =
            choose_team_size(request->solver, out, measure->precision, room->ranks, room->memory);
    }
    nl_grid_shape(out->team, &rows, &cols);
    out->team = rows * cols; /* spare ranks, of a prime count, take other work */
    size_plan(request, measure, kernel, room, out); /* with what the team shares */
    if (out->team == 1) {
        out->block = nl_solve_method_block(out, measure, kernel, room, nl_private_block);
    }
}

/* It fits on none of these ranks: what would do? */
static nl_status complain_of_size(const nl_solve_request *request, nl_precision precision,
                                  double memory, const nl_solve_plan *out)
{
    char need[32];
    char have[32];
    nl_solve_plan wider = *out;
    char team[48];
    char advice[80] = "no number of ranks would do: raise it";
    char how[48] = "";

    while (wider.team < 1 << 20 && !fits(&wider, precision, memory)) {
        wider.team *= 2;
    }
    if (fits(&wider, precision, memory)) {
        snprintf(advice, sizeof advice, "about %d ranks would do, or a smaller data.probe_size",
                 wider.team);
    }
    if (out->method == NL_METHOD_DUAL) {
        snprintf(how, sizeof how, " by its dual of order %d", out->order);
    } else if (out->stored) {
        snprintf(how, sizeof how, ", its lower half in single precision,");
    }
    if (out->method != NL_METHOD_QUADRATURE && !countable(out)) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: a kernel of order %d%s%s has more than 2^31 - 1 elements on each of "
                       "%s; %s",
                       request->file, out->n, how,
                       out->vectors ? ", or the work space for its eigenvectors," : "",
                       nl_format_count(out->team, "rank", team), advice);
    }
    return NL_FAIL(
        NL_ERR_STUDY,
        "%s: a kernel of order %d%s needs %s on each of %s, measure.memory_per_rank is %s; "
        "%s",
        request->file, out->n, how, nl_format_bytes(nl_solve_memory(out, precision), need),
        nl_format_count(out->team, "rank", team), nl_format_bytes(memory, have), advice);
}

/** A method that was looked at. */
typedef struct trial {
    nl_solve_plan plan;
    const char *solver; /* its name */
    const char *why;    /* what keeps it from being used; NULL: nothing but its size may */
    bool known, fits;
} trial;

static trial try_method(nl_method method, const nl_solve_request *request,
                        const nl_measure_plan *measure, int kernel, const nl_solve_room *room)
{
    trial t = {.plan = {.method = method},
               .known = nl_solve_method_known(method, request, measure, kernel, room)};

    if (t.known) {
        choose_team(request, measure, kernel, room, &t.plan);
        t.why = method == NL_METHOD_QUADRATURE
                    ? NULL
                    : choose_solver(request, measure->precision, room, &t.plan, &t.solver);
        t.fits = t.why == NULL && fits(&t.plan, measure->precision, room->memory);
    }
    return t;
}

/* What is held against exact_operations: of a kernel by itself the solve alone.  So to n = 42,000
 * what was measured before there were other methods is measured as it was, however much its fill
 * takes. */
static double counted_operations(const nl_solve_plan *plan)
{
    return plan->method == NL_METHOD_PRIMAL ? nl_solve_operations(plan->order) : plan->operations;
}

/* The method that is asked for, or the one that the rule chooses. */
static trial choose_method(const nl_solve_request *request, const nl_measure_plan *measure,
                           int kernel, const nl_solve_room *room)
{
    trial trials[NL_METHOD_COUNT];

    for (int method = 0; method < NL_METHOD_COUNT; method++) {
        if (request->method == NL_METHOD_AUTO || request->method == (nl_method)method) {
            trials[method] = try_method((nl_method)method, request, measure, kernel, room);
        } else {
            trials[method] = (trial){0};
        }
    }
    for (int method = 0; method < NL_METHOD_COUNT; method++) {
        if (trials[method].fits &&
            (method == NL_METHOD_QUADRATURE || room->net == NULL ||
             counted_operations(&trials[method].plan) <= request->exact_operations)) {
            return trials[method];
        }
    }
    for (int method = 0; method < NL_METHOD_COUNT; method++) {
        if (trials[method].fits) {
            return trials[method];
        }
    }
    /* None fits: what is asked for is told of, a stored kernel, which takes least, or the kernel.
     */
    if (request->method != NL_METHOD_AUTO && trials[request->method].known) {
        return trials[request->method];
    }
    return trials[NL_METHOD_QUADRATURE].plan.stored
               ? trials[NL_METHOD_QUADRATURE]
               : try_method(NL_METHOD_PRIMAL, request, measure, kernel, room);
}

bool nl_solve_plan_fits(const nl_solve_request *request, const nl_measure_plan *measure, int kernel,
                        const nl_solve_room *room, nl_solve_plan *out)
{
    const trial chosen = choose_method(request, measure, kernel, room);

    *out = chosen.plan;
    return chosen.fits;
}

nl_status nl_solve_plan_make(const nl_solve_request *request, const nl_measure_plan *measure,
                             int kernel, const nl_solve_room *room, nl_solve_plan *out)
{
    const trial chosen = choose_method(request, measure, kernel, room);

    *out = chosen.plan;
    if (chosen.why != NULL) {
        return NL_FAIL(NL_ERR_STUDY, "%s: measure.solver: %s %s", request->file, chosen.solver,
                       chosen.why);
    }
    return chosen.fits ? NL_OK : complain_of_size(request, measure->precision, room->memory, out);
}
