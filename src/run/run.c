/** @file run.c  The run of a study: from checks through train and measure phase to the results
 * folder. */
#include "cell_team.h"
#include "cell_train.h"
#include "infinite_table.h"
#include "lending.h"
#include "messages.h"
#include "offload.h"
#include "queue.h"
#include "results_folder.h"

#include "ntklens/io.h"
#include "ntklens/machine.h"
#include "ntklens/plan.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const double progress_interval = 1.0; /* seconds between two words of progress from a rank */

/*---------------------------------------------------------------------------------------------
 * Hooks of the service thread
 *-------------------------------------------------------------------------------------------*/

/* A rank deep in a library call cannot be asked to leave.  When time runs out for it, all else is
 * on disk already: the root ends the job; what that rank computed is done again later.  Where a
 * failure is what ends it, its exit code says so: the same command would fail again. */
static void end_in_time(const nl_run *run, int reason)
{
    const nl_status why = reason > NL_STOP_ERROR ? (nl_status)(reason - NL_STOP_ERROR) : NL_STOPPED;

    if (run->in.team->rank != 0 || run->in.options->time_left == NULL ||
        run->in.options->time_left(run->in.options->stop_context, reason) > 0.0) {
        return;
    }
    if (why != NL_STOPPED) {
        nl_complain("%s: the study has failed (%s); a solve that still runs is not waited for",
                    run->in.options->folder, nl_status_text(why));
        nl_log_event(run->out.log, "solve_abandoned", "reason=\"the study has failed: %s\"",
                     nl_status_text(why));
    } else {
        nl_warn("%s: no time is left for a solve to end; the same command continues",
                run->in.options->folder);
        nl_log_event(run->out.log, "solve_abandoned", "reason=\"no time is left for it to end\"");
    }
    MPI_Abort(run->in.team->comm, nl_status_exit_code(why));
}

static nl_status send_progress(nl_run *run)
{
    nl_cell_progress now = {.cell = atomic_load(&run->clock.now_cell),
                            .rank = run->in.team->rank,
                            .step = atomic_load(&run->clock.now_step),
                            .cores = atomic_load(&run->clock.now_cores)};

    if (now.cell < 0 || nl_now() < run->clock.next_progress) {
        return NL_OK;
    }
    now.fraction =
        0.99 * (double)now.step / (double)nl_cell_train_spec(&run->in.cells[now.cell]).max_steps;
    run->clock.next_progress = nl_now() + progress_interval;
    if (run->out.collector != NULL) { /* the root's service thread does not send to itself */
        nl_collector_progress(run->out.collector, &now);
        return NL_OK;
    }
    return nl_send_progress(run->schedule.service, &now);
}

/* Root: the lock is lost, here or as another rank has seen.  What is on disk is another run's now.
 */
static nl_status lose(nl_run *run)
{
    if (!run->out.lost) {
        run->out.lost = true;
        nl_log_mute(run->out.log);
        nl_collector_mute(run->out.collector);
        return nl_lock_complain_lost(run->out.lock);
    }
    return NL_ERR_BUSY;
}

/* Root: what is to be done now and then. */
static nl_status update_collector(nl_run *run)
{
    if (nl_lock_is_lost(run->out.lock) ||
        nl_service_stopping(run->schedule.service) == NL_STOP_ERROR + NL_ERR_BUSY) {
        return lose(run);
    }
    return nl_collector_tick(run->out.collector);
}

static int tick(void *context)
{
    nl_run *run = context;
    const double reserve = 1e-3 * (double)atomic_load(&run->clock.reserve);
    const bool stopping = nl_run_stopping(run);
    nl_status status = NL_OK;

    if (run->out.collector != NULL) {
        status = update_collector(run);
    }
    if (stopping) {
        end_in_time(run, nl_service_stopping(run->schedule.service));
    } else if (status == NL_OK) {
        status = send_progress(run);
    }
    if (status != NL_OK) {
        return NL_STOP_ERROR + (int)status;
    }
    return !stopping && run->in.options->stop_wanted != NULL
               ? run->in.options->stop_wanted(run->in.options->stop_context, reserve)
               : 0;
}

static void deliver(void *context, int source, const void *bytes, size_t length)
{
    nl_run *run = context;

    nl_collector_deliver(run->out.collector, source, bytes, length);
}

/*---------------------------------------------------------------------------------------------
 * Preparation
 *-------------------------------------------------------------------------------------------*/

/* Where results go, and where images come from.  The root looks first, so that a complaint is told
 * once. */
static nl_status check_folders(nl_run *run, char **folder)
{
    nl_dataset_info info;
    nl_status status = NL_OK;

    *folder = NULL;
    if (run->in.team->rank == 0) {
        status = nl_folder_check_results(run->in.options->folder);
        if (status == NL_OK) {
            status = nl_study_data_folder(run->in.study, folder);
        }
        if (status == NL_OK) {
            status = nl_dataset_probe(run->in.study->spec.split.source, *folder, &info);
        }
        if (status == NL_OK) {
            status = nl_splits_check(&run->in.study->spec.split, &info);
        }
    }
    status = nl_agree(run->in.team->comm, status);
    if (status == NL_OK && run->in.team->rank != 0) {
        status = nl_study_data_folder(run->in.study, folder);
    }
    return nl_agree(run->in.team->comm, status);
}

static nl_status plan_solves(nl_run *run, const nl_dataset_info *info)
{
    double mine = nl_memory_budget(run->in.study->spec.memory_per_rank, run->in.team->node_size);
    nl_solve_room room = {.outputs = info->classes, .ranks = run->in.team->size};
    nl_solve_plan infinite; /* made again at the end: here, so that nothing is trained in vain */
    nl_status status = NL_OK;

    MPI_Allreduce(&mine, &run->in.memory, 1, MPI_DOUBLE, MPI_MIN, run->in.team->comm);
    room.memory = run->in.memory;
    run->clock.kernel = nl_calloc((size_t)run->in.plan->kernels, sizeof *run->clock.kernel);
    if (run->clock.kernel == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the plan of solves");
    }
    if (status == NL_OK) {
        status = nl_solve_table_create(&run->in.study->spec, run->in.plan, run->in.cells,
                                       run->in.count, info, &run->in.solves);
    }
    run->clock.checkpoint_every = run->in.study->spec.checkpoint_every;
    status = nl_agree(run->in.team->comm, status);
    for (int turn = 0; status == NL_OK && turn < 2;
         turn++) { /* the root first: a complaint is told once */
        if ((turn == 0) == (run->in.team->rank == 0)) {
            status = nl_solve_table_make(&run->in.solves, room.ranks, room.memory);
        }
        if (status == NL_OK && (turn == 0) == (run->in.team->rank == 0)) {
            status =
                nl_regression_check(&run->in.study->spec.split, run->in.plan, info, run->in.memory);
        }
        if (status == NL_OK && (turn == 0) == (run->in.team->rank == 0)) {
            status = nl_infinite_plan(&run->in.study->spec, run->in.plan, &room, &infinite);
        }
        status = nl_agree(run->in.team->comm, status);
    }
    run->schedule.team_size = run->in.solves.team_size;
    return status;
}

/* Ranks on different CPUs may compute with different kernels: results then depend on who computes,
 * and each cell is left to one rank, or flagged where a team shares it.  Collective. */
static nl_status compare_libraries(nl_run *run)
{
    const nl_libraries mine = nl_libraries_here();
    nl_libraries *all =
        run->in.team->rank == 0 ? nl_calloc((size_t)run->in.team->size, sizeof *all) : NULL;
    nl_text differences = {0};
    nl_status status = NL_OK;

    if (run->in.team->rank == 0 && all == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the libraries of %d ranks",
                         run->in.team->size);
    }
    status = nl_agree(run->in.team->comm, status);
    run->in.same_blas = true;
    if (status != NL_OK) {
        free(all);
        return status;
    }
    MPI_Gather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, 0, run->in.team->comm);
    for (int k = 1; all != NULL && k < run->in.team->size && differences.length == 0; k++) {
        nl_libraries_compare(&all[k], &differences);
        if (differences.length > 0) {
            run->in.same_blas = false;
            nl_warn("rank %d computes with other libraries than rank 0 (%s): the last bits of "
                    "results depend on which rank computes a cell; OPENBLAS_CORETYPE sets one BLAS "
                    "kernel for all",
                    k, differences.data);
            nl_log_event(run->out.log, "blas_mix", "rank=%d reason=\"%s\"", k, differences.data);
        }
    }
    nl_text_free(&differences);
    free(all);
    nl_team_broadcast(run->in.team, &run->in.same_blas, sizeof run->in.same_blas, 0);
    return NL_OK;
}

/* Into the log; too few cores for the ranks are told to people too. */
static nl_status log_machine(nl_run *run)
{
    nl_machine machine;
    nl_text findings = {0};
    nl_status status = nl_machine_inspect(run->in.team, &machine);

    if (status == NL_OK && run->in.team->rank == 0) {
        nl_machine_log(&machine, run->out.log);
        nl_machine_rank_findings(&machine, &findings);
    }
    if (findings.length > 0) {
        for (char *rest = NULL, *line = strtok_r(findings.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            nl_warn("%s", line);
        }
    }
    nl_text_free(&findings);
    return status;
}

static nl_status list_cells(nl_run *run, const nl_dataset_info *info)
{
    nl_status status = nl_study_cells(run->in.study, &run->in.cells, &run->in.count);

    if (status == NL_OK) {
        run->schedule.cost = nl_calloc((size_t)run->in.count, sizeof *run->schedule.cost);
        run->schedule.phase = nl_calloc((size_t)run->in.count, sizeof *run->schedule.phase);
        if (run->schedule.cost == NULL || run->schedule.phase == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d cells", run->in.count);
        }
    }
    for (int turn = 0; turn < 2; turn++) { /* the root first: a complaint is told once */
        if (status == NL_OK && (turn == 0) == (run->in.team->rank == 0)) {
            status = nl_study_check_networks(run->in.study, run->in.cells, run->in.count, info);
        }
        status = nl_agree(run->in.team->comm, status);
    }
    return status;
}

static nl_status plan_work(nl_run *run, const nl_dataset_info *info)
{
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < run->in.count; k++) {
        nl_net *net = NULL;

        status = nl_cell_net_create(&run->in.cells[k], info, &net);
        if (status == NL_OK) {
            const nl_cost cost = nl_cell_cost(run->in.study, &run->in.cells[k], net, run->in.plan,
                                              nl_solve_table_of(&run->in.solves, k));

            run->schedule.cost[k] = nl_cost_total(&cost);
        }
        nl_net_destroy(&net);
        run->in.cells[k].fingerprint = nl_dataset_fingerprint(run->in.splits->dataset);
    }
    return nl_agree(run->in.team->comm, status);
}

static nl_status prepare(nl_run *run)
{
    char *data_folder = NULL;
    const nl_dataset_info *info = NULL;
    const double start = nl_now();
    nl_status status = check_folders(run, &data_folder);

    if (status != NL_OK) {
        goto done;
    }
    status =
        nl_splits_create(&run->in.study->spec.split, data_folder, run->in.team, &run->in.splits);
    if (run->in.team->node_rank != 0 && data_folder != NULL) {
        run->clock.idle_seconds = nl_now() - start; /* one rank of a node reads the files */
    }
    if (status != NL_OK) {
        goto done;
    }
    info = run->in.splits->info;
    status =
        nl_agree(run->in.team->comm, nl_measure_plan_create(run->in.study, info, &run->in.plan));
    if (status == NL_OK) {
        status = list_cells(run, info);
    }
    if (status == NL_OK) {
        status = plan_solves(run, info);
    }
    if (status == NL_OK) {
        status = plan_work(run, info);
    }
    if (status == NL_OK) {
        status = nl_agree(run->in.team->comm,
                          run->in.team->rank == 0 ? nl_run_open_results(run, data_folder) : NL_OK);
    }
    if (status == NL_OK) {
        status = log_machine(run);
    }
    if (status == NL_OK) {
        status = compare_libraries(run);
        run->schedule.offloading = run->in.same_blas && !run->in.study->spec.keep_kernels &&
                                   !run->in.plan->eigenvectors; /* large replies */
    }
    if (status == NL_OK) {
        nl_team_broadcast(run->in.team, &run->in.holder, sizeof run->in.holder, 0);
        status = nl_cell_work_measurer(run, MPI_COMM_SELF, &run->alone);
    }
    if (status == NL_OK) {
        status = nl_lending_open(run);
    }
    status = nl_agree(run->in.team->comm, status);

done:
    free(data_folder);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Work
 *-------------------------------------------------------------------------------------------*/

/* A numerical failure is told at the end; anything else ends the study for all. */
static void note_failure(nl_run *run, nl_status status, nl_status *worst)
{
    *worst = status > *worst ? status : *worst;
    if (status != NL_OK && status != NL_ERR_NUMERIC) {
        nl_service_stop(run->schedule.service, NL_STOP_ERROR + (int)status);
    }
}

/* Behind the work: where does every cell stand? */
static nl_status exchange_phases(nl_run *run, nl_status status)
{
    const double start = nl_run_rest(run);

    nl_team_wait(run->in.team);
    nl_run_wake(run, start);
    status = nl_agree(run->in.team->comm, status);
    MPI_Allreduce(MPI_IN_PLACE, run->schedule.phase, run->in.count, MPI_UINT8_T, MPI_MAX,
                  run->in.team->comm);
    return status;
}

static nl_status train_cell(nl_run *run, const nl_task *task, int cell)
{
    nl_status status = nl_cell_train(run, cell);

    if (run->schedule.phase[cell] == NL_CELL_TRAINED &&
        (status == NL_OK || status == NL_ERR_NUMERIC)) {
        nl_status sent = nl_service_ready(run->schedule.service, task->item);

        status = sent > status ? sent : status;
    }
    return status;
}

/* Shared kernels of a trained cell, by the ranks of the task. */
static nl_status measure_in_team(nl_run *run, const nl_task *task, int cell)
{
    nl_team *part = NULL;
    nl_measurer *measurer = NULL;
    nl_status status = nl_team_form(run->in.team, task->count, task->ranks, &part);

    if (status != NL_OK) {
        return status;
    }
    status = nl_cell_work_measurer(run, part->comm, &measurer);
    if (status == NL_OK) {
        status = nl_cell_measure_shared(run, part, measurer, cell);
    }
    nl_measurer_destroy(&measurer);
    nl_team_destroy(&part);
    return status;
}

static nl_status do_task(nl_run *run, const nl_task *task, const nl_queued *queue)
{
    switch (task->kind) {
    case NL_TASK_ITEM:
        return train_cell(run, task, queue[task->item].cell);
    case NL_TASK_TEAM:
        return measure_in_team(run, task, queue[task->item].cell);
    case NL_TASK_OFFLOAD:
        return nl_offload_serve(run, task);
    case NL_TASK_NONE:
    default:
        return NL_OK;
    }
}

/* Train, help, join teams, until nothing is left for anyone.  A failure ends it for all. */
static nl_status do_tasks(nl_run *run, const nl_queued *queue)
{
    nl_status worst = NL_OK;
    nl_task task = {.kind = NL_TASK_ITEM};

    while (task.kind != NL_TASK_NONE && (worst == NL_OK || worst == NL_ERR_NUMERIC)) {
        const double start = nl_run_rest(run);
        nl_status status = nl_service_take(run->schedule.service, &task);

        nl_run_wake(run, start);
        if (status == NL_OK) {
            status = do_task(run, &task, queue);
        }
        note_failure(run, status, &worst);
    }
    return worst;
}

static bool all_finished(const nl_run *run)
{
    for (int k = 0; k < run->in.count; k++) {
        if (run->schedule.phase[k] != NL_CELL_FINISHED) {
            return false;
        }
    }
    return true;
}

static nl_status work(nl_run *run)
{
    const nl_service_hooks hooks = {.context = run, .tick = tick, .deliver = deliver};
    nl_queued *queue = NULL;
    int count = 0;
    nl_status sent = NL_OK;
    nl_status status = nl_service_start(run->in.team, hooks, &run->schedule.service);
    nl_status limits = NL_OK;

    if (status != NL_OK) {
        return status;
    }
    status = nl_run_load_finished(run);
    if (status == NL_OK) {
        status = nl_agree(run->in.team->comm, nl_queue_make(run, &queue, &count));
    }
    if (status == NL_OK) {
        status = nl_service_open_queue(run->schedule.service, count, run->schedule.team_size);
    }
    if (status == NL_OK) {
        status = exchange_phases(run, do_tasks(run, queue));
    }
    if (status == NL_OK || status == NL_ERR_NUMERIC) {
        limits = nl_infinite_write(run); /* which all ranks enter: whether to stop the root says */
        status = limits > status || limits == NL_STOPPED ? limits : status;
    }
    if (count > 0) {
        sent = nl_lending_send_idle(run);
    }
    free(queue);
    nl_service_end(&run->schedule.service);
    return sent > status ? sent : status;
}

/*---------------------------------------------------------------------------------------------
 * The end
 *-------------------------------------------------------------------------------------------*/

/* "" where none was held against an exact entropy. */
static void describe_checks(int checks, int off, char *text, size_t size)
{
    char quadratures[48];

    if (off > 0) {
        snprintf(text, size, "; %d of %s off", off,
                 nl_format_count(checks, "checked quadrature", quadratures));
    } else if (checks > 0) {
        snprintf(text, size, "; %s held",
                 nl_format_count(checks, "checked quadrature", quadratures));
    }
}

static nl_status close_results(nl_run *run, nl_status status, double start)
{
    nl_status written = NL_OK;
    const int finished = nl_collector_finished(run->out.collector);
    const double took = nl_now() - start;
    const double share = took > 0.0 ? 100.0 / (took * run->in.team->size) : 0.0;
    const double idle = share * nl_collector_idle(run->out.collector);
    const double lent = share * nl_collector_lent(run->out.collector);
    char lent_text[64] = "";
    char checks[96] = "";
    char seconds[32];
    char cells[48];

    if (run->out.lost || status == NL_ERR_BUSY ||
        !nl_lock_is_held(run->in.options->folder, &run->in.holder)) {
        status = lose(run);
        nl_collector_destroy(&run->out.collector);
        return status;
    }
    if (all_finished(run)) {
        nl_remove_kept(run);
    }
    written = nl_collector_finish(run->out.collector);
    status = written > status ? written : status;
    if (nl_run_remove_stop_file(run)) {
        nl_log_event(run->out.log, "stop_file", "file=%s",
                     run->in.options->stop_file); /* for job scripts */
    }
    nl_log_event(run->out.log, "end",
                 "status=\"%s\" finished=%d of=%d rows=%d seconds=%.3f idle_percent=%.2f "
                 "lent_percent=%.2f",
                 nl_status_text(status), finished, run->in.count,
                 nl_collector_rows(run->out.collector), took, idle, lent);
    describe_checks(nl_collector_checks(run->out.collector), nl_collector_off(run->out.collector),
                    checks, sizeof checks);
    nl_collector_destroy(&run->out.collector); /* ends the live line */
    if (!run->in.options->quiet) {
        char name[1024];

        if (lent > 0.0) {
            snprintf(lent_text, sizeof lent_text, "; %.1f %% lent to other ranks", lent);
        }
        fprintf(stderr, "%s: %d of %s finished in %s; idle %.1f %% of rank time%s%s\n",
                nl_escaped(run->in.options->folder, name, sizeof name), finished,
                nl_format_count(run->in.count, "cell", cells), nl_format_seconds(took, seconds),
                idle, lent_text, checks);
    }
    return status;
}

static void release(nl_run *run)
{
    nl_lending_close(run);
    nl_measurer_destroy(&run->alone);
    nl_infinite_destroy(&run->closed.infinite[0]);
    nl_infinite_destroy(&run->closed.infinite[1]);
    nl_collector_destroy(&run->out.collector);
    nl_log_close(&run->out.log);
    nl_lock_release(&run->out.lock);
    nl_splits_destroy(&run->in.splits);
    nl_text_free(&run->out.remarks);
    free(run->out.data_folder);
    nl_measure_plan_destroy(&run->in.plan);
    nl_solve_table_free(&run->in.solves);
    free(run->clock.kernel);
    free(run->schedule.cost);
    free(run->schedule.phase);
    free(run->in.cells);
}

nl_status nl_study_run(const nl_study *study, const nl_run_options *options, const nl_team *team)
{
    const double start = nl_now();
    nl_run run = {.in = {.study = study, .options = options, .team = team},
                  .clock = {.now_cell = -1}};
    nl_status status = NL_OK;

    nl_blas_set_threads(1); /* another number of threads would change bits of the training */
    status = prepare(&run);
    if (status == NL_OK) {
        status = work(&run);
        /* A spectrum that was not had is tried again with the rest, and told again then. */
        if ((status == NL_OK || status == NL_ERR_NUMERIC) && !all_finished(&run)) {
            status = NL_STOPPED;
        }
        if (run.in.team->rank == 0) {
            status = close_results(&run, status, start);
        }
        status = nl_agree(team->comm, status);
    }
    release(&run);
    return status;
}
