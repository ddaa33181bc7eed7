/** @file lending.c  Cores that have nothing to do, for the steps of what still trains. */
#include "lending.h"
#include "messages.h"

#include "ntklens/machine.h"
#include "ntklens/plan.h"

#include <math.h>

/* Seconds without other cores, after they were of no use: twice as many each time. */
static const double least_patience = 0.5;
static const double most_patience = 30.0;
static const double least_gain = 1.05;
enum { steps_before = 8, steps_judged = 50 }; /* alone, before it borrows; with others */
static const double tell_seconds = 30.0;      /* between two words of changes */

nl_status nl_lending_open(nl_run *run)
{
    const nl_team *team = run->in.team;
    nl_lending *lending = &run->lending;
    int possible = run->in.study->spec.share_cores && nl_blas_is_reentrant();
    nl_status status = NL_OK;

    MPI_Allreduce(MPI_IN_PLACE, &possible, 1, MPI_INT, MPI_LAND, team->comm);
    if (!possible) {
        nl_log_event(run->out.log, "cores_not_shared", "reason=\"%s\"",
                     run->in.study->spec.share_cores ? "the BLAS is made for one thread"
                                                     : "training.share_cores is false");
        return NL_OK;
    }
    status = nl_board_create(team, nl_cgroup_cores(""), &lending->board);
    if (status == NL_OK) {
        status = nl_crew_create(nl_board_every(lending->board), nl_board_look, lending->board,
                                &lending->crew);
    }
    return nl_agree(team->comm, status);
}

void nl_lending_close(nl_run *run)
{
    nl_crew_destroy(&run->lending.crew);
    nl_board_destroy(&run->lending.board);
}

double nl_run_rest(nl_run *run)
{
    if (run->lending.board != NULL) {
        nl_board_rest(run->lending.board, true);
    }
    return nl_now();
}

void nl_run_wake(nl_run *run, double since)
{
    if (run->lending.board != NULL) {
        nl_board_rest(run->lending.board, false);
    }
    run->clock.idle_seconds += nl_now() - since;
}

/* Cores that the steps of a cell may share. */
static int most_cores(const nl_cell_work *work)
{
    const nl_run *run = work->run;
    const nl_board *board = run->lending.board;
    const nl_cost cost =
        nl_cell_cost(run->in.study, work->cell, work->net, run->in.plan, work->solve);
    const nl_memory_terms terms = {.asked = &run->in.study->spec,
                                   .info = &run->in.plan->images,
                                   .measure = run->in.plan,
                                   .solve = work->solve,
                                   .ranks = run->in.team->size,
                                   .team_size = run->schedule.team_size,
                                   .cores = nl_board_most(board),
                                   .bytes = run->in.memory};

    return nl_board_is_random(board) ? nl_board_most(board)
                                     : nl_sharing_cores(&terms, work->cell, work->net, &cost);
}

nl_status nl_lending_begin(const nl_cell_work *work)
{
    nl_lending *lending = &work->run->lending;

    lending->most = 1;
    lending->told = 1;
    lending->step_began = 0.0;
    lending->step_alone = 0.0;
    lending->steps_alone = 0;
    lending->steps = 0;
    lending->seconds = 0.0;
    lending->not_before = 0.0;
    lending->patience = least_patience;
    if (lending->board == NULL) {
        return NL_OK;
    }
    lending->step_operations =
        3.0 * nl_net_forward_flops(work->net) * (double)nl_cell_batch(work->cell);
    lending->most = most_cores(work);
    nl_crew_limit(lending->crew, lending->most);
    lending->borrowed = nl_board_borrowed(lending->board);
    return nl_training_set_crew(work->training, lending->most > 1 ? lending->crew : NULL);
}

/* At most now and then: cores come and go by the millisecond. */
static void tell_cores(const nl_cell_work *work, int cores)
{
    nl_lending *lending = &work->run->lending;
    char reason[48];
    nl_status sent = NL_OK;

    if (cores == lending->told ||
        (lending->told != 1 && nl_now() < lending->told_at + tell_seconds)) {
        return;
    }
    lending->told = cores;
    lending->told_at = nl_now();
    nl_format_count(cores, "core", reason);
    sent = nl_send_event(work->run->schedule.service, work->index, work->run->in.team->rank,
                         "cores", reason);
    (void)sent; /* no more than a line of the log */
}

/* Whether steps with other cores were not worth it. */
static bool were_of_no_use(const nl_lending *lending)
{
    return lending->seconds * least_gain > lending->steps * lending->step_alone;
}

/* A step is over.  Where something else runs on borrowed cores, few steps wait so long for them
 * that all take longer: then it does without for a while.  So many seconds are lost, no more: it
 * does not wait for the last of the steps that are judged. */
static void judge(nl_lending *lending, int cores)
{
    const double now = nl_now();
    const double took = now - lending->step_began;
    const bool known = lending->step_began > 0.0;

    lending->step_began = now;
    if (known && cores == 1) {
        lending->steps_alone++;
        lending->step_alone +=
            (took - lending->step_alone) / nl_smaller(lending->steps_alone, steps_before);
    } else if (known) {
        lending->steps++;
        lending->seconds += took;
    }
    if (lending->steps >= steps_judged || lending->seconds > steps_judged * lending->step_alone) {
        const bool useless = were_of_no_use(lending);

        lending->not_before = useless ? now + lending->patience : 0.0;
        lending->patience = useless ? fmin(2.0 * lending->patience, most_patience) : least_patience;
        lending->steps = 0;
        lending->seconds = 0.0;
    }
}

void nl_lending_go_on(const nl_cell_work *work)
{
    nl_lending *lending = &work->run->lending;
    const int cores = nl_crew_size(lending->crew);

    if (lending->most > 1) {
        const double left =
            (double)(nl_cell_train_spec(work->cell).max_steps - nl_training_step(work->training));

        judge(lending, cores);
        nl_board_want(lending->board, left * lending->step_operations,
                      lending->steps_alone >= steps_before && nl_now() >= lending->not_before
                          ? lending->most
                          : 1);
        atomic_store_explicit(&work->run->clock.now_cores, cores, memory_order_relaxed);
        tell_cores(work, cores);
    }
}

void nl_lending_pause(nl_run *run)
{
    if (run->lending.board != NULL && run->lending.most > 1) {
        run->lending.step_began = 0.0;
        nl_board_give_back(run->lending.board, run->lending.crew);
        atomic_store(&run->clock.now_cores, 1);
    }
}

nl_status nl_lending_end(const nl_cell_work *work)
{
    const nl_lending *lending = &work->run->lending;
    const double borrowed =
        lending->board != NULL ? nl_board_borrowed(lending->board) - lending->borrowed : 0.0;
    char seconds[32];
    char reason[96];

    if (borrowed <= 0.0) {
        return NL_OK;
    }
    snprintf(reason, sizeof reason, "other cores worked for it, %s added up",
             nl_format_seconds(borrowed, seconds));
    return nl_send_event(work->run->schedule.service, work->index, work->run->in.team->rank,
                         "cores_returned", reason);
}

nl_status nl_lending_send_idle(const nl_run *run)
{
    const double waited = run->clock.idle_seconds;
    const double lent =
        run->lending.board != NULL ? fmin(nl_board_lent(run->lending.board), waited) : 0.0;
    nl_status status = nl_send_timing(run->schedule.service, nl_no_cell, run->in.team->rank, "idle",
                                      waited - lent);

    return status == NL_OK
               ? nl_send_timing(run->schedule.service, nl_no_cell, run->in.team->rank, "lent", lent)
               : status;
}
