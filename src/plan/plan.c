/** @file plan.c  What a run would need: memory, time, files. */
#include "plan.h"
#include "cost.h"
#include "memory_model.h"
#include "schedule.h"
#include "timings_rates.h"

#include "ntklens/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { most_ranks = 1 << 14 };
static const double service_bytes = 6e6;  /* threads, buffers of MPI and BLAS once at work */
static const double start_seconds = 0.5;  /* launcher, MPI */
static const double data_rate = 50e6;     /* bytes of images a second, read or drawn */
static const double write_seconds = 0.02; /* a small file until it is safe */
static const double write_rate = 100e6;   /* bytes of a file a second: built, written, verified */
static const double shared_efficiency = 0.95; /* of what ranks share, over one rank */
static const double dual_share = 0.6;         /* of a product's rate, in the fill of a dual */
static const double worth_seconds = 0.01; /* kernels that take less are not given to other ranks */
static const double table_row = 450.0;    /* bytes of a row of results.csv */

/*---------------------------------------------------------------------------------------------
 * Who solves, and in how much memory
 *-------------------------------------------------------------------------------------------*/

static double budget_of(const nl_plan *plan, int ranks)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (plan->memory_per_rank > 0.0 && plan->study->spec.memory_per_rank == 0.0) {
        return nl_usable_memory(plan->memory_per_rank);
    }
    return nl_memory_budget(plan->study->spec.memory_per_rank, ranks < cores ? ranks : (int)cores);
}

/* Solves on so many ranks; false where a kernel does not fit. */
static bool solves_fit(nl_plan *plan, int ranks)
{
    bool fit = false;

    plan->ranks = ranks;
    plan->budget = budget_of(plan, ranks);
    fit = nl_solve_table_fits(&plan->solves, ranks, plan->budget);
    plan->team_size = plan->solves.team_size;
    return fit;
}

static nl_memory_terms terms_of(const nl_plan *plan, int cell)
{
    return (nl_memory_terms){.asked = &plan->study->spec,
                             .info = &plan->info,
                             .measure = plan->measure,
                             .solve = nl_solve_table_of(&plan->solves, cell),
                             .ranks = plan->ranks,
                             .team_size = plan->team_size,
                             .cores = plan->ranks_per_node,
                             .bytes = plan->budget};
}

/* Peak of a rank, over the cells; images are counted, for the system counts them too. */
static nl_status measure_memory(nl_plan *plan)
{
    plan->rank_bytes = 0.0;
    for (int k = 0; k < plan->count; k++) {
        const nl_memory_terms terms = terms_of(plan, k);
        const nl_cell *cell = &plan->cells[k];
        nl_net *net = NULL;
        nl_status status = nl_cell_net_create(cell, &plan->info, &net);
        nl_cell_memory need;
        nl_cost cost;

        if (status != NL_OK) {
            return status;
        }
        cost = nl_cell_cost(plan->study, cell, net, plan->measure, terms.solve);
        need = nl_cell_memory_model(&terms, cell, net, &cost);
        nl_net_destroy(&net);
        plan->rank_bytes = fmax(plan->rank_bytes, need.training + fmax(need.kernel, need.image));
    }
    plan->rank_bytes += plan->process_bytes;
    plan->all_bytes = plan->ranks * plan->rank_bytes + plan->data_bytes;
    plan->rank_bytes += plan->data_bytes;
    return NL_OK;
}

/* The first number of ranks, of the usual ones, that fits; leaves the plan made for it. */
static nl_status find_least(nl_plan *plan)
{
    nl_status status = NL_OK;

    plan->least_ranks = 0;
    for (int ranks = 1; ranks <= most_ranks; ranks += ranks < 8 ? 1 : ranks / 4) {
        if (solves_fit(plan, ranks)) {
            status = measure_memory(plan);
            if (status != NL_OK || plan->rank_bytes <= plan->memory_per_rank) {
                plan->least_ranks = status == NL_OK ? ranks : 0;
                break;
            }
        }
    }
    return status;
}

static nl_status choose_ranks(nl_plan *plan, const nl_plan_options *options)
{
    int ranks = options->ranks > 0 ? options->ranks : 1;
    nl_solve_plan infinite;
    nl_status status = NL_OK;

    plan->least_ranks = -1;
    if (options->memory_per_rank > 0.0) {
        status = find_least(plan);
        if (options->ranks == 0 && plan->least_ranks > 0) {
            ranks = plan->least_ranks;
        }
    }
    if (status == NL_OK && !solves_fit(plan, ranks)) {
        status = nl_solve_table_make(&plan->solves, ranks, plan->budget); /* say why */
    }
    if (status == NL_OK) {
        status =
            nl_regression_check(&plan->study->spec.split, plan->measure, &plan->info, plan->budget);
    }
    if (status == NL_OK) {
        status = nl_infinite_plan(&plan->study->spec, plan->measure,
                                  &(nl_solve_room){plan->info.classes, ranks, plan->budget, NULL},
                                  &infinite);
    }
    return status == NL_OK ? measure_memory(plan) : status;
}

/*---------------------------------------------------------------------------------------------
 * Time
 *-------------------------------------------------------------------------------------------*/

/** Seconds of one cell: of the rank that trains, and of kernels, one behind the other. */
typedef struct cell_time {
    double rank;
    double steps;                  /* of it, steps and evaluations */
    int cores;                     /* that these make use of */
    double share;                  /* of them, what other cores take a share of */
    double alone, longest_alone;   /* kernels that other ranks without work take over; of one */
    double shared, longest_shared; /* by teams */
    double order;                  /* what the queue is sorted by */
} cell_time;

/** Seconds of one kernel of one state. */
typedef struct kernel_time {
    double gram, solve;           /* on one rank */
    double team_gram, team_solve; /* of its team */
} kernel_time;

/* Ranks share all of a solve but what takes n^2 operations. */
static double shared_seconds(double seconds, const nl_solve_plan *solve, int order,
                             nl_precision precision)
{
    const double serial =
        solve->solver->serial != NULL
            ? fmin(1.0, solve->solver->serial(order, precision) / nl_solve_flops(order))
            : 0.0;
    int rows = 1;
    int cols = 1;

    nl_grid_shape(solve->team, &rows, &cols);
    return seconds * (serial + (1.0 - serial) / (rows * cols * shared_efficiency));
}

/* Rates of the fills of a kind of kernel, or, where those are not told apart, of all. */
static const nl_throughput *fills_of(const nl_plan *plan, const nl_net *net, nl_kernel_kind kind)
{
    const nl_net_throughputs *of = &plan->throughputs.of[net->spec.kind];

    return of->gram[kind].count > 0 ? &of->gram[kind] : &of->effort[NL_EFFORT_GRAM];
}

/* Of one state: passes go as the samples, products as their square and near a product's rate. */
static double fill_seconds(const nl_plan *plan, const nl_net *net, const nl_solve_plan *plans,
                           int k)
{
    const nl_kernel_spec spec = plan->measure->kernel[k];
    const double flops = nl_fills_flops(net, plan->measure, k, plans);
    const nl_throughput *passes = &plan->throughputs.of[net->spec.kind].gram[spec.kind];

    if (plans[k].method == NL_METHOD_QUADRATURE) {
        return flops / (dual_share * plan->single_rate);
    }
    if (plans[k].method == NL_METHOD_DUAL) {
        return flops / (dual_share * plan->product_rate);
    }
    if (!nl_net_is_dense(net) && passes->count > 0) {
        const nl_fill_work work = nl_fills_work(net, plan->measure, k);
        const double sample = nl_sample_passes(net, spec);

        return work.passes / sample * nl_throughput_seconds(passes, sample) +
               work.products / (nl_products_share * plan->product_rate);
    }
    return nl_throughput_seconds(fills_of(plan, net, spec.kind), flops);
}

static kernel_time time_kernel(const nl_plan *plan, const nl_net *net, const nl_solve_plan *plans,
                               int k)
{
    const nl_throughputs *throughputs = &plan->throughputs;
    const nl_solve_plan *solve = &plans[k];
    kernel_time time = {.gram = fill_seconds(plan, net, plans, k)};
    int orders[nl_most_orders];
    const int solves = solve->solver != NULL ? nl_solve_orders(plan->measure, k, plans, orders) : 0;
    const nl_throughput *throughput = solve->team > 1 && throughputs->shared_solve.count > 0
                                          ? &throughputs->shared_solve
                                          : &throughputs->solve;
    int rows = 1;
    int cols = 1;

    nl_grid_shape(solve->team, &rows, &cols);
    for (int j = 0; j < solves; j++) {
        const double seconds = nl_throughput_seconds(throughput, nl_solve_flops(orders[j]));

        time.solve += seconds;
        time.team_solve += solve->team > 1
                               ? shared_seconds(seconds, solve, orders[j], plan->measure->precision)
                               : seconds;
    }
    time.team_gram = time.gram / (rows * cols);
    return time;
}

static void time_kernels(nl_plan *plan, int cell, const nl_net *net, const nl_cost *cost,
                         cell_time *time)
{
    const int kernels = plan->measure->kernels;
    const nl_solve_plan *solves = nl_solve_table_of(&plan->solves, cell);
    double *longest = plan->kernel_seconds + (size_t)plan->solves.network[cell] * (size_t)kernels;

    for (int k = 0; k < plan->measure->kernels; k++) {
        const kernel_time one = time_kernel(plan, net, solves, k);
        const double seconds = one.team_gram + one.team_solve;

        longest[k] = fmax(longest[k], seconds);
        if (solves[k].team > 1) {
            time->shared += cost->states * seconds;
            time->longest_shared = fmax(time->longest_shared, seconds);
        } else if (seconds >= worth_seconds && plan->helping) {
            time->alone += cost->states * seconds;
            time->longest_alone = fmax(time->longest_alone, seconds);
        } else {
            time->rank += cost->states * seconds;
        }
        plan->seconds[NL_EFFORT_GRAM] += cost->states * one.gram;
        plan->seconds[NL_EFFORT_SOLVE] += cost->states * one.solve;
    }
}

/* Done by the rank that trains. */
static void time_regression(nl_plan *plan, const nl_net *net, int n_train, const nl_cost *cost,
                            cell_time *time)
{
    const double flops = nl_regression_flops(net, plan->measure, n_train);
    const double seconds = !(flops > 0.0) ? 0.0
                           : nl_net_is_dense(net)
                               ? nl_throughput_seconds(fills_of(plan, net, NL_KERNEL_TRACED), flops)
                               : flops / (nl_products_share * plan->product_rate);
    const double solve = nl_throughput_seconds(&plan->throughputs.solve,
                                               nl_regression_solve_flops(plan->measure, n_train));

    time->rank += cost->states * (seconds + solve);
    plan->seconds[NL_EFFORT_GRAM] += cost->states * seconds;
    plan->seconds[NL_EFFORT_SOLVE] += cost->states * solve;
}

/** What is known of a cell. */
typedef struct network_terms {
    const nl_net *net;
    const nl_cost *cost;
    const nl_cell_memory *need;
    const cell_time *time;
} network_terms;

static void add_to_network(nl_plan *plan, int cell, const network_terms *of)
{
    nl_plan_network *out = &plan->network[plan->solves.network[cell]];
    const nl_effort *train = &of->cost->effort[NL_EFFORT_TRAIN];

    out->cells++;
    out->steps += train->units;
    out->step_flops = fmax(out->step_flops, train->unit);
    out->state_flops = of->cost->effort[NL_EFFORT_GRAM].unit;
    out->seconds += of->time->rank + of->time->alone + of->time->shared;
    out->train_seconds +=
        train->units *
        nl_throughput_seconds(&plan->throughputs.of[of->net->spec.kind].effort[NL_EFFORT_TRAIN],
                              train->unit);
    out->bytes = fmax(out->bytes, of->need->training + fmax(of->need->kernel, of->need->image));
    for (int k = 0; k < plan->measure->kernels; k++) {
        out->parts = nl_larger(out->parts, nl_fills_work(of->net, plan->measure, k).parts);
    }
}

static nl_status time_cell(nl_plan *plan, int index, cell_time *time)
{
    const nl_cell *cell = &plan->cells[index];
    const nl_memory_terms terms = terms_of(plan, index);
    nl_net *net = NULL;
    nl_status status = nl_cell_net_create(cell, &plan->info, &net);
    nl_cost cost;
    nl_cell_memory need;
    double other = write_seconds;

    if (status != NL_OK) {
        return status;
    }
    cost = nl_cell_cost(plan->study, cell, net, plan->measure, terms.solve);
    need = nl_cell_memory_model(&terms, cell, net, &cost);
    other += need.file / write_rate;
    *time = (cell_time){.order = nl_cost_total(&cost)};
    for (int k = 0; k < NL_EFFORT_KINDS; k++) {
        plan->flops[k] += cost.effort[k].unit * cost.effort[k].units;
    }
    for (int k = 0; k < NL_EFFORT_GRAM; k++) {
        const double seconds =
            cost.effort[k].units *
            nl_throughput_seconds(&plan->throughputs.of[net->spec.kind].effort[k],
                                  cost.effort[k].unit);

        plan->seconds[k] += seconds;
        time->rank += seconds;
    }
    time->steps = time->rank;
    time->cores = need.cores;
    time->share = plan->throughputs.of[net->spec.kind].shared;
    time_kernels(plan, index, net, &cost, time);
    time_regression(plan, net, cell->n_train, &cost, time);
    add_to_network(plan, index, &(network_terms){net, &cost, &need, time});
    nl_net_destroy(&net);
    if (plan->team_size > 1) {
        other += 2.0 * (write_seconds + need.checkpoint / write_rate); /* written, and read again */
    }
    time->rank += other;
    plan->other_seconds += other;
    plan->steps += cost.effort[NL_EFFORT_TRAIN].units;
    plan->states += cost.states;
    plan->files++;
    plan->disk_bytes += need.file + cost.states * plan->measure->kernels * table_row;
    plan->running_bytes = fmax(plan->running_bytes, need.checkpoint);
    return NL_OK;
}

static int compare_times(const void *a, const void *b)
{
    const cell_time *x = a;
    const cell_time *y = b;

    return (x->order < y->order) - (x->order > y->order);
}

/* How many of `workers` are at kernels of one cell at a time: those that no cell is left for help,
 * each cell some. */
static int workers_of_cell(const nl_plan *plan, int workers)
{
    const int share = workers / plan->count;

    return !plan->helping || share < 1 ? 1 : nl_smaller(share, 1 + nl_most_offloads);
}

/* Kernels, counted as if all took as long as the longest. */
static double pieces(double all, double longest)
{
    return longest > 0.0 ? ceil(all / longest - 1e-6) : 0.0;
}

/* Kernels of a cell, whole ones, by so many side by side. */
static double side_by_side(double all, double longest, int workers)
{
    return workers > 1 ? ceil(pieces(all, longest) / workers) * longest : all;
}

/* A cell's training, or what teams do for it. */
static nl_turn turn_of(const cell_time *t, bool team, int helping)
{
    nl_turn turn = {.cores = 1};

    if (team) {
        turn.seconds = side_by_side(t->shared, t->longest_shared, helping);
        return turn;
    }
    turn.seconds = t->rank + side_by_side(t->alone, t->longest_alone, helping);
    turn.cores = t->cores;
    turn.shared = turn.seconds > 0.0 ? t->share * t->steps / turn.seconds : 0.0;
    return turn;
}

/* Cells go out longest first, each to the worker that is free first. */
static nl_status add_phase(nl_plan *plan, const cell_time *times, bool team)
{
    const nl_workforce force = {.workers = team ? plan->ranks / plan->team_size : plan->ranks,
                                .node = team ? 1 : nl_smaller(plan->ranks_per_node, plan->ranks)};
    const int helping = workers_of_cell(plan, force.workers);
    nl_turn *turns = nl_calloc((size_t)plan->count, sizeof *turns);
    double seconds = 0.0;
    nl_status status = NL_OK;

    if (turns == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the time of %d cells", plan->count);
    }
    for (int k = 0; k < plan->count; k++) {
        turns[k] = turn_of(&times[k], team, helping);
    }
    status = nl_schedule_seconds(turns, plan->count, &force, &seconds);
    plan->wall += seconds;
    free(turns);
    return status;
}

/* Who has work at the same time, at most: while cells are trained, or while teams are at work. */
static void count_busy(nl_plan *plan, const cell_time *times)
{
    const int groups = plan->ranks / plan->team_size;
    double alone = 0.0; /* kernels of one cell, at most */
    double shared = 0.0;
    int rows = 1;
    int cols = 1;

    for (int k = 0; k < plan->count; k++) {
        const cell_time *t = &times[k];

        alone = fmax(alone, pieces(t->alone, t->longest_alone));
        shared = fmax(shared, pieces(t->shared, t->longest_shared));
    }
    plan->busy_ranks = nl_smaller(plan->ranks, plan->count);
    if (alone > 0.0) {
        plan->busy_ranks *= (int)fmin(workers_of_cell(plan, plan->ranks), 1.0 + alone);
    }
    if (shared > 0.0) {
        plan->teams =
            nl_smaller(plan->count, groups) * (int)fmin(workers_of_cell(plan, groups), shared);
        nl_grid_shape(plan->team_size, &rows, &cols);
        plan->busy_ranks = nl_larger(plan->busy_ranks, plan->teams * rows * cols);
    }
}

static nl_status measure_time(nl_plan *plan)
{
    cell_time *times = nl_calloc((size_t)plan->count, sizeof *times);
    nl_status status = NL_OK;

    if (times == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the time of %d cells", plan->count);
    }
    for (int k = 0; status == NL_OK && k < plan->count; k++) {
        status = time_cell(plan, k, &times[k]);
    }
    if (status == NL_OK) {
        qsort(times, (size_t)plan->count, sizeof *times, compare_times);
        plan->wall = start_seconds + plan->data_bytes / data_rate;
        status = add_phase(plan, times, false);
    }
    if (status == NL_OK) {
        status = add_phase(plan, times, true);
    }
    if (status == NL_OK) {
        count_busy(plan, times);
        plan->files += 4; /* study.yaml, results.csv, timings.csv, log.txt */
        plan->disk_bytes += 16e3;
        /* Each rank may hold a checkpoint, and the one before it. */
        plan->running_bytes = plan->disk_bytes + 2.0 * plan->running_bytes *
                                                     (plan->team_size > 1         ? plan->count
                                                      : plan->ranks < plan->count ? plan->ranks
                                                                                  : plan->count);
    }
    free(times);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * The plan
 *-------------------------------------------------------------------------------------------*/

/* What the ranks of a node share: images, and the probe as the network sees it. */
static double node_bytes(const nl_plan *plan)
{
    const nl_split_spec *split = &plan->study->spec.split;
    const double image = (double)plan->info.inputs * (double)nl_pixel_bytes(&plan->info);
    const double images = (double)plan->info.train_count + plan->info.test_count;

    return images * (image + sizeof(uint16_t)) +
           (nl_probe_depends_on_seed(split) ? 0.0 : nl_probe_bytes(split, &plan->info));
}

static nl_status open_study(nl_plan *plan)
{
    char *folder = NULL;
    nl_status status = nl_study_data_folder(plan->study, &folder);

    if (status == NL_OK) {
        status =
            nl_dataset_inspect(plan->study->spec.split.source, folder, &plan->info, &plan->remarks);
    }
    free(folder);
    if (status == NL_OK) {
        status = nl_splits_check(&plan->study->spec.split, &plan->info);
    }
    if (status == NL_OK) {
        status = nl_measure_plan_create(plan->study, &plan->info, &plan->measure);
    }
    if (status == NL_OK) {
        status = nl_study_cells(plan->study, &plan->cells, &plan->count);
    }
    if (status == NL_OK) {
        status = nl_study_check_networks(plan->study, plan->cells, plan->count, &plan->info);
    }
    if (status == NL_OK) {
        status = nl_solve_table_create(&plan->study->spec, plan->measure, plan->cells, plan->count,
                                       &plan->info, &plan->solves);
    }
    if (status == NL_OK) {
        plan->kernel_seconds =
            nl_calloc((size_t)plan->measure->kernels * (size_t)plan->solves.networks,
                      sizeof *plan->kernel_seconds);
        plan->network = nl_calloc((size_t)plan->solves.networks, sizeof *plan->network);
        plan->helping = !plan->study->spec.keep_kernels && !plan->measure->eigenvectors;
        plan->data_bytes = node_bytes(plan);
        if (plan->kernel_seconds == NULL || plan->network == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the plan of solves");
        }
    }
    return status;
}

/* The solver of the largest kernel that is shared, NULL where none is. */
static const nl_solver *shared_solver(const nl_plan *plan)
{
    const nl_solve_plan *largest = NULL;

    for (int k = 0; k < plan->measure->kernels * plan->solves.networks; k++) {
        const nl_solve_plan *solve = &plan->solves.plan[k];

        if (solve->team > 1 && (largest == NULL || solve->order > largest->order)) {
            largest = solve;
        }
    }
    return largest != NULL ? largest->solver : NULL;
}

nl_status nl_plan_make(const nl_study *study, const nl_plan_options *options, nl_plan *out)
{
    nl_status status = NL_OK;

    /* What this process holds by now, a rank holds as well. */
    *out = (nl_plan){.study = study,
                     .ranks_per_node = options->ranks_per_node > 0
                                           ? options->ranks_per_node
                                           : nl_larger((int)sysconf(_SC_NPROCESSORS_ONLN), 1),
                     .memory_per_rank = options->memory_per_rank,
                     .process_bytes = (double)nl_peak_memory() + service_bytes};
    nl_blas_set_threads(1);
    status = open_study(out);
    if (status == NL_OK) {
        status = choose_ranks(out, options);
    }
    if (status == NL_OK) {
        status =
            options->timings != NULL
                ? nl_throughputs_read(options->timings, &out->throughputs)
                : nl_throughputs_measure(&(nl_throughputs_request){.study = study,
                                                                   .cells = out->cells,
                                                                   .count = out->count,
                                                                   .info = &out->info,
                                                                   .plan = out->measure,
                                                                   .shared = shared_solver(out)},
                                         &out->throughputs);
    }
    if (status == NL_OK) {
        out->single_rate = 1e9 * nl_blas_speed(NL_SINGLE);
        out->product_rate = 1e9 * nl_blas_speed(out->measure->precision);
        status = measure_time(out);
    }
    if (status != NL_OK) {
        nl_plan_free(out);
    }
    return status;
}

void nl_plan_free(nl_plan *plan)
{
    nl_measure_plan_destroy(&plan->measure);
    nl_text_free(&plan->remarks);
    free(plan->cells);
    nl_solve_table_free(&plan->solves);
    free(plan->kernel_seconds);
    free(plan->network);
    free(plan->start);
    *plan = (nl_plan){0};
}
