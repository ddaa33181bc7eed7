/** @file job_help.c  Kernels of a cell that ranks without work measure for the one that has it:
 * private ones alone, shared ones as a team of the same size.  Who measures changes no bit: it is
 * the same function of the same parameters. */
#include "job.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    tag_errand = nl_peer_tag,
    tag_theta,
    tag_result, /* and up to nl_most_errands - 1 more: one a pending errand */
};
static const double worth_seconds = 0.01; /* of a private kernel: a request takes milliseconds */
static const double poll_seconds = 1e-3;

/** What is asked of a helper; the parameters follow, then those of the previous step where that is
 *  above 0: the initial ones it draws itself. */
typedef struct errand_note {
    int cell, kernel, result_tag;
    long step, previous_step;
} errand_note;

/** What it answers; the eigenvalues follow. */
typedef struct result_note {
    int status, done, resolved, refilled, values;
    nl_observables observed;
    char solver[16];
} result_note;

struct nl_errand {
    MPI_Request arrived; /* MPI_REQUEST_NULL: this place is free */
    long step, previous_step;
    int kernel;
    bool kept_here, previous_kept_here; /* parameters are kept in those states for errands only */
    result_note *reply;                 /* owned */
};

static size_t reply_size(const nl_run *run, int kernel)
{
    return sizeof(result_note) + (size_t)run->solve[kernel].n * sizeof(double);
}

/*---------------------------------------------------------------------------------------------
 * The rank that has the cell
 *-------------------------------------------------------------------------------------------*/

static nl_errand *free_place(nl_job *job)
{
    if (job->errand == NULL) {
        job->errand = nl_calloc(nl_most_errands, sizeof *job->errand);
        for (int k = 0; job->errand != NULL && k < nl_most_errands; k++) {
            job->errand[k].arrived = MPI_REQUEST_NULL;
        }
    }
    for (int k = 0; job->errand != NULL && k < nl_most_errands; k++) {
        if (job->errand[k].arrived == MPI_REQUEST_NULL) {
            return &job->errand[k];
        }
    }
    return NULL;
}

/* Are the parameters of this state kept for errands only? */
static bool lent(const nl_job *job, long step)
{
    for (int k = 0; k < nl_most_errands; k++) {
        const nl_errand *errand = &job->errand[k];

        if (errand->arrived != MPI_REQUEST_NULL &&
            ((errand->step == step && errand->kept_here) ||
             (errand->previous_step == step && errand->previous_kept_here))) {
            return true;
        }
    }
    return false;
}

static nl_status send_errand(nl_job *job, nl_errand *errand, int helper, const float *theta,
                             const float *previous)
{
    MPI_Comm peers = nl_service_peers(job->run->service);
    const int size = (int)job->net->size;
    const errand_note note = {.cell = job->index,
                              .kernel = errand->kernel,
                              .result_tag = tag_result + (int)(errand - job->errand),
                              .step = errand->step,
                              .previous_step = errand->previous_step};

    /* The place of the reply is ready before it is asked for: the helper never waits to send it. */
    MPI_Irecv(errand->reply, (int)reply_size(job->run, errand->kernel), MPI_BYTE, helper,
              note.result_tag, peers, &errand->arrived);
    if (MPI_Send(&note, sizeof note, MPI_BYTE, helper, tag_errand, peers) != MPI_SUCCESS ||
        MPI_Send(theta, size, MPI_FLOAT, helper, tag_theta, peers) != MPI_SUCCESS ||
        (errand->previous_step > 0 &&
         MPI_Send(previous, size, MPI_FLOAT, helper, tag_theta, peers) != MPI_SUCCESS)) {
        return NL_FAIL(NL_ERR_MPI, "MPI_Send of parameters to rank %d failed", helper);
    }
    return NL_OK;
}

/* A checkpoint in between has to have the parameters that the errand is about. */
static nl_status keep_for_errand(nl_job *job, nl_errand *errand, nl_result *result,
                                 const float *theta, nl_state *state, const float *previous)
{
    nl_state *from =
        errand->previous_step > 0 ? nl_result_find(result, errand->previous_step) : NULL;
    nl_status status = nl_job_keep_theta(job->net, theta, state);

    return status == NL_OK && from != NULL ? nl_job_keep_theta(job->net, previous, from) : status;
}

nl_status nl_job_give_away(nl_job *job, nl_result *result, int kernel, const float *theta,
                           nl_state *state, bool *given)
{
    nl_run *run = job->run;
    const int team = run->solve[kernel].team;
    nl_errand *errand = NULL;
    const nl_state *from = NULL;
    const float *previous = NULL;
    long previous_step = -1;
    int helper = -1;
    nl_status status = NL_OK;

    *given = false;
    if (!run->helping || (team == 1 && run->solve_seconds[kernel] < worth_seconds) ||
        job->net->size > INT_MAX) { /* more parameters than a message may have */
        return NL_OK;
    }
    errand = free_place(job);
    if (errand == NULL) {
        return NL_OK;
    }
    errand->reply = malloc(reply_size(run, kernel));
    if (errand->reply == NULL) {
        return NL_OK; /* then this rank does it */
    }
    status = nl_job_previous(job, result, state, &previous_step, &previous);
    if (status == NL_OK) {
        status = nl_service_find_helpers(run->service, team > 1 ? run->team_size : 1, &helper);
    }
    if (status != NL_OK || helper < 0) {
        free(errand->reply);
        errand->reply = NULL;
        return status;
    }
    *given = true;
    from = previous_step > 0 ? nl_result_find(result, previous_step) : NULL;
    errand->step = state->step;
    errand->previous_step = previous_step;
    errand->kernel = kernel;
    errand->kept_here = state->theta == NULL || lent(job, state->step);
    errand->previous_kept_here = from != NULL && (from->theta == NULL || lent(job, previous_step));
    status = send_errand(job, errand, helper, theta, previous);
    return status == NL_OK ? keep_for_errand(job, errand, result, theta, state, previous) : status;
}

/* Into the state it belongs to. */
static nl_status take_result(nl_job *job, const nl_errand *errand, nl_state *state)
{
    const result_note *note = errand->reply;
    nl_measurement *out = &state->kernels[errand->kernel];

    nl_measurement_clear(out, job->run->solve[errand->kernel].n);
    if (note->status == NL_ERR_NUMERIC) {
        job->unverified = true;
        return NL_OK;
    }
    if (note->status != NL_OK || !note->done) {
        return note->status == NL_OK ? NL_STOPPED : (nl_status)note->status;
    }
    out->observed = note->observed;
    out->resolved = note->resolved != 0;
    out->refilled = note->refilled != 0;
    memcpy(out->solver, note->solver, sizeof out->solver);
    if (note->values > 0) {
        out->lambda = nl_calloc((size_t)note->values, sizeof *out->lambda);
        if (out->lambda == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a spectrum of %d", note->values);
        }
        memcpy(out->lambda, note + 1, (size_t)note->values * sizeof *out->lambda);
    }
    out->done = true;
    return NL_OK;
}

/* Does a pending errand need the parameters of this step? */
static bool needed(const nl_job *job, long step)
{
    for (int k = 0; k < nl_most_errands; k++) {
        const nl_errand *errand = &job->errand[k];

        if (errand->arrived != MPI_REQUEST_NULL &&
            (errand->step == step || errand->previous_step == step)) {
            return true;
        }
    }
    return false;
}

static void give_up_theta(const nl_job *job, nl_state *state)
{
    if (state != NULL && !needed(job, state->step)) {
        free(state->theta);
        state->theta = NULL;
    }
}

/* One reply that has arrived. */
static nl_status settle(nl_job *job, nl_result *result, nl_errand *errand)
{
    nl_state *state = result != NULL ? nl_result_find(result, errand->step) : NULL;
    nl_status status = NL_OK;

    if (state != NULL) {
        status = take_result(job, errand, state);
        if (errand->kept_here && state->kernels[errand->kernel].done) {
            give_up_theta(job, state);
        }
        if (errand->previous_kept_here && state->kernels[errand->kernel].done) {
            give_up_theta(job, nl_result_find(result, errand->previous_step));
        }
    }
    free(errand->reply);
    errand->reply = NULL;
    return status;
}

/* Take in what has arrived; *pending: what has not. */
static nl_status collect_arrived(nl_job *job, nl_result *result, int *arrived, int *pending)
{
    nl_status worst = NL_OK;

    *pending = 0;
    for (int k = 0; job->errand != NULL && k < nl_most_errands; k++) {
        int done = 0;

        if (job->errand[k].arrived == MPI_REQUEST_NULL) {
            continue;
        }
        MPI_Test(&job->errand[k].arrived, &done, MPI_STATUS_IGNORE);
        if (done) {
            nl_status status = settle(job, result, &job->errand[k]);

            worst = status > worst ? status : worst;
            ++*arrived;
        } else {
            ++*pending;
        }
    }
    return worst;
}

nl_status nl_job_collect(nl_job *job, nl_result *result)
{
    int arrived = 0;
    int pending = 0;

    return collect_arrived(job, result, &arrived, &pending);
}

nl_status nl_job_await(nl_job *job, nl_result *result, bool to_the_end, int *arrived)
{
    const double start = nl_now();
    int pending = 0;
    nl_status worst = NL_OK;

    *arrived = 0;
    do {
        nl_status status = collect_arrived(job, result, arrived, &pending);

        worst = status > worst ? status : worst;
        if (pending > 0 && !to_the_end && nl_run_stopping(job->run)) {
            worst = worst != NL_OK ? worst : NL_STOPPED;
            break;
        }
        if (pending > 0) {
            nl_sleep(poll_seconds);
        }
    } while (pending > 0);
    job->run->idle_seconds += nl_now() - start;
    return worst;
}

nl_status nl_job_leave(nl_job *job, nl_result *result, const nl_continuation *continuation)
{
    int arrived = 0;
    nl_status status = nl_job_write(job, result, continuation, true);
    nl_status late = NL_OK;

    if (status != NL_OK) {
        return status;
    }
    late = nl_job_await(job, result, true, &arrived);
    status = late == NL_STOPPED ? NL_OK : late;
    return arrived > 0 && status == NL_OK ? nl_job_write(job, result, continuation, true) : status;
}

void nl_job_forget_errands(nl_job *job)
{
    int arrived = 0;
    nl_status status = nl_job_await(job, NULL, true, &arrived);

    (void)status; /* nothing is taken in, nothing fails */
    free(job->errand);
    job->errand = NULL;
}

/*---------------------------------------------------------------------------------------------
 * The rank that helps
 *-------------------------------------------------------------------------------------------*/

/* A message of unknown length from a main thread, awaited asleep.  Its items: free(). */
static void *receive(const nl_run *run, int from, int tag, MPI_Datatype type, size_t size)
{
    MPI_Comm peers = nl_service_peers(run->service);
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    int found = 0;
    int count = 0;
    void *items = NULL;

    for (MPI_Improbe(from, tag, peers, &found, &message, &status); !found;
         MPI_Improbe(from, tag, peers, &found, &message, &status)) {
        nl_sleep(poll_seconds / 5.0);
    }
    MPI_Get_count(&status, type, &count);
    items = nl_calloc((size_t)count + 1, size);
    if (items == NULL) {
        (void)NL_FAIL(NL_ERR_NOMEM, "rank %d: out of memory for %d parameters", run->team->rank,
                      count);
        MPI_Abort(peers, nl_status_exit_code(NL_ERR_NOMEM)); /* the sender would wait for ever */
        abort();
    }
    MPI_Mrecv(items, count, type, &message, MPI_STATUS_IGNORE);
    return items;
}

/** What a helper is sent. */
typedef struct errand_parcel {
    errand_note *note;
    float *theta;
    float *previous; /* NULL where that step is the initial one, or there is none */
} errand_parcel;     /* all owned */

static errand_parcel receive_parcel(const nl_run *run, int from)
{
    errand_parcel parcel = {.note = receive(run, from, tag_errand, MPI_BYTE, 1)};

    parcel.theta = receive(run, from, tag_theta, MPI_FLOAT, sizeof(float));
    if (parcel.note->previous_step > 0) {
        parcel.previous = receive(run, from, tag_theta, MPI_FLOAT, sizeof(float));
    }
    return parcel;
}

static void free_parcel(errand_parcel *parcel)
{
    free(parcel->note);
    free(parcel->theta);
    free(parcel->previous);
}

/* Tell the seconds of a kernel, and what became of its spectrum. */
static nl_status close_errand(nl_job *job, nl_measurer *measurer, nl_status status)
{
    if (status == NL_OK && measurer != NULL) {
        status = nl_job_tell_measuring(job, measurer);
    }
    if (status == NL_OK && job->unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_job_close(job);
    return status;
}

static nl_status measure_alone(nl_run *run, const errand_parcel *parcel, nl_measurement *out)
{
    const errand_note *note = parcel->note;
    nl_job job;
    nl_status status = nl_job_open(run, note->cell, &job);

    if (status == NL_OK && nl_job_initial(&job) == NULL) {
        status = NL_ERR_NOMEM;
    }
    if (status == NL_OK && !nl_run_stopping(run)) {
        status = nl_job_begin(&job, run->alone, parcel->theta, note->step,
                              note->previous_step == 0 ? job.initial : parcel->previous,
                              note->previous_step, NULL);
        if (status == NL_OK) {
            status = nl_job_measure(&job, run->alone, note->kernel, out);
        }
        nl_measure_end(run->alone);
    }
    return close_errand(&job, run->alone, status);
}

/* The first rank of the team has the parcel; it knows whether there still is something to do. */
static void unpack(const nl_run *run, const nl_job *job, const errand_parcel *parcel,
                   nl_shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;

    shared->step = nl_run_stopping(run) ? -1 : parcel->note->step;
    shared->previous_step = parcel->note->previous_step;
    shared->kernel = parcel->note->kernel;
    memcpy(shared->theta, parcel->theta, size);
    if (parcel->previous != NULL) {
        memcpy(shared->previous, parcel->previous, size);
    }
}

/* Collective over the team.  parcel: NULL but on its first rank. */
static nl_status measure_together(nl_run *run, const nl_team *part, nl_measurer *measurer, int cell,
                                  const errand_parcel *parcel, nl_measurement *out)
{
    nl_shared_state shared = {0};
    nl_job job;
    nl_status status = nl_agree(part->comm, nl_job_open(run, cell, &job));

    if (status == NL_OK) {
        status = nl_shared_state_create(&job, part, &shared);
        if (status == NL_OK && parcel != NULL) {
            unpack(run, &job, parcel, &shared);
        }
        if (status == NL_OK) {
            nl_shared_state_tell(&job, part, &shared);
        }
        if (status == NL_OK && shared.step >= 0) {
            status = nl_job_measure_shared(&job, part, measurer, &shared, out);
        }
        nl_shared_state_free(&shared);
    }
    return nl_agree(part->comm, close_errand(&job, parcel != NULL ? measurer : NULL, status));
}

/* Always: the rank that has the cell waits for it. */
static void answer(const nl_run *run, int to, int tag, nl_status status, const nl_measurement *m)
{
    MPI_Comm peers = nl_service_peers(run->service);
    const int values = m->done && m->lambda != NULL ? m->n : 0;
    result_note note = {.status = (int)status,
                        .done = m->done,
                        .resolved = m->resolved,
                        .refilled = m->refilled,
                        .values = values,
                        .observed = m->observed};
    nl_text message = {0};

    memcpy(note.solver, m->solver, sizeof note.solver);
    nl_text_append_bytes(&message, &note, sizeof note);
    nl_text_append_bytes(&message, m->lambda, (size_t)values * sizeof *m->lambda);
    if (message.failed) {
        note.status = (int)NL_FAIL(NL_ERR_NOMEM, "out of memory for a spectrum of %d", values);
        MPI_Send(&note, sizeof note, MPI_BYTE, to, tag, peers);
    } else {
        MPI_Send(message.data, (int)message.length, MPI_BYTE, to, tag, peers);
    }
    nl_text_free(&message);
}

static nl_status help_alone(nl_run *run, int rank)
{
    nl_measurement measured = {0};
    errand_parcel parcel = receive_parcel(run, rank);
    nl_status status = measure_alone(run, &parcel, &measured);

    answer(run, rank, parcel.note->result_tag, status, &measured);
    nl_measurement_clear(&measured, 0);
    free_parcel(&parcel);
    return status;
}

static nl_status help_together(nl_run *run, const nl_task *task)
{
    const bool first = task->ranks[0] == run->team->rank;
    nl_measurement measured = {0};
    nl_team *part = NULL;
    nl_measurer *measurer = NULL;
    errand_parcel parcel = first ? receive_parcel(run, task->item) : (errand_parcel){0};
    int cell = first ? parcel.note->cell : -1;
    nl_status status = nl_team_form(run->team, task->count, task->ranks, &part);

    if (status == NL_OK) {
        nl_team_broadcast(part, &cell, sizeof cell, 0);
        status = nl_measurer_create(part->comm, run->study, run->plan, &measurer);
    }
    if (status == NL_OK) {
        status = measure_together(run, part, measurer, cell, first ? &parcel : NULL, &measured);
    }
    if (first) {
        answer(run, task->item, parcel.note->result_tag, status, &measured);
    }
    nl_measurement_clear(&measured, 0);
    nl_measurer_destroy(&measurer);
    nl_team_destroy(&part);
    free_parcel(&parcel);
    return status;
}

nl_status nl_cell_help(nl_run *run, const nl_task *task)
{
    nl_status status = task->count > 1 ? help_together(run, task) : help_alone(run, task->item);

    return status == NL_ERR_NUMERIC ? NL_OK : status; /* the rank that has the cell carries it on */
}
