/** @file offload.c  Kernels of a cell that ranks without work measure for the one that has it:
 * private ones alone, shared ones as a team of the same size.  Who measures changes no bit: it is
 * the same function of the same parameters. */
#include "offload.h"
#include "lending.h"
#include "team_state.h"

#include "ntklens/quadrature.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    tag_request = nl_peer_tag,
    tag_theta,
    tag_reply, /* and up to nl_most_offloads - 1 more: one a pending request */
};
static const double worth_seconds = 0.01; /* of a private kernel: a request takes milliseconds */
static const double quick_rate = 1e11;    /* operations a second that hardly a core is above */
static const double poll_seconds = 1e-3;

/** Head of a request; the parameters follow, then those of the previous step where that is
 *  above 0: the initial ones it draws itself. */
typedef struct offload_request {
    int cell, kernel, result_tag;
    long step, previous_step;
} offload_request;

/** Head of a reply; the eigenvalues follow, then the rank curve. */
typedef struct offload_reply {
    int status, done, fallback, refilled, values, points;
    nl_observables observed;
    int method;
    double entropy_error;
    char solver[16];
} offload_reply;

typedef struct nl_offload {
    MPI_Request arrived; /* MPI_REQUEST_NULL: this place is free */
    long step, previous_step;
    int kernel;
    bool kept_here, previous_kept_here; /* parameters are kept in those states for requests only */
    offload_reply *reply;               /* owned */
} nl_offload;

static size_t reply_size(const nl_cell_work *work, int kernel)
{
    return sizeof(offload_reply) +
           ((size_t)work->solve[kernel].n + 2 * (size_t)nl_quadrature_curve) * sizeof(double);
}

/*---------------------------------------------------------------------------------------------
 * The rank that has the cell
 *-------------------------------------------------------------------------------------------*/

static nl_offload *free_place(nl_cell_work *work)
{
    if (work->offload == NULL) {
        work->offload = nl_calloc(nl_most_offloads, sizeof *work->offload);
        for (int k = 0; work->offload != NULL && k < nl_most_offloads; k++) {
            work->offload[k].arrived = MPI_REQUEST_NULL;
        }
    }
    for (int k = 0; work->offload != NULL && k < nl_most_offloads; k++) {
        if (work->offload[k].arrived == MPI_REQUEST_NULL) {
            return &work->offload[k];
        }
    }
    return NULL;
}

/* Are the parameters of this state kept for requests only? */
static bool kept_for_offload(const nl_cell_work *work, long step)
{
    for (int k = 0; k < nl_most_offloads; k++) {
        const nl_offload *offload = &work->offload[k];

        if (offload->arrived != MPI_REQUEST_NULL &&
            ((offload->step == step && offload->kept_here) ||
             (offload->previous_step == step && offload->previous_kept_here))) {
            return true;
        }
    }
    return false;
}

static nl_status send_request(nl_cell_work *work, nl_offload *offload, int idle, const float *theta,
                              const float *previous)
{
    MPI_Comm peers = nl_service_peers(work->run->schedule.service);
    const int size = (int)work->net->size;
    const offload_request note = {.cell = work->index,
                                  .kernel = offload->kernel,
                                  .result_tag = tag_reply + (int)(offload - work->offload),
                                  .step = offload->step,
                                  .previous_step = offload->previous_step};

    /* The place of the reply is ready before it is asked for: who serves never waits to send it. */
    MPI_Irecv(offload->reply, (int)reply_size(work, offload->kernel), MPI_BYTE, idle,
              note.result_tag, peers, &offload->arrived);
    if (MPI_Send(&note, sizeof note, MPI_BYTE, idle, tag_request, peers) != MPI_SUCCESS ||
        MPI_Send(theta, size, MPI_FLOAT, idle, tag_theta, peers) != MPI_SUCCESS ||
        (offload->previous_step > 0 &&
         MPI_Send(previous, size, MPI_FLOAT, idle, tag_theta, peers) != MPI_SUCCESS)) {
        return NL_FAIL(NL_ERR_MPI, "MPI_Send of parameters to rank %d failed", idle);
    }
    return NL_OK;
}

/* A checkpoint in between has to have the parameters that the request is about. */
static nl_status keep_for_offload(nl_cell_work *work, nl_offload *offload, nl_record *record,
                                  const float *theta, nl_state *state, const float *previous)
{
    nl_state *from =
        offload->previous_step > 0 ? nl_record_find(record, offload->previous_step) : NULL;
    nl_status status = nl_state_keep_theta(work->net, theta, state);

    return status == NL_OK && from != NULL ? nl_state_keep_theta(work->net, previous, from)
                                           : status;
}

/* A kernel takes as long as this rank's last one, or as its operations take: of the first one, or
 * the first of a larger network, nothing else is known. */
static bool is_worth_a_request(const nl_cell_work *work, int kernel)
{
    const nl_solve_plan *solve = &work->solve[kernel];
    const double least = (solve->operations + solve->compared) / quick_rate;

    return solve->team > 1 || fmax(least, work->run->clock.kernel[kernel].seconds) >= worth_seconds;
}

nl_status nl_offload_start(nl_cell_work *work, nl_record *record, int kernel, const float *theta,
                           nl_state *state, bool *given)
{
    nl_run *run = work->run;
    const int team = work->solve[kernel].team;
    nl_offload *offload = NULL;
    const nl_state *from = NULL;
    const float *previous = NULL;
    long previous_step = -1;
    int idle = -1;
    nl_status status = NL_OK;

    *given = false;
    if (!run->schedule.offloading || !is_worth_a_request(work, kernel) ||
        work->net->size > INT_MAX) { /* more parameters than a message may have */
        return NL_OK;
    }
    offload = free_place(work);
    if (offload == NULL) {
        return NL_OK;
    }
    offload->reply = malloc(reply_size(work, kernel));
    if (offload->reply == NULL) {
        return NL_OK; /* then this rank does it */
    }
    status = nl_cell_work_previous(work, record, state, &previous_step, &previous);
    if (status == NL_OK) {
        status = nl_service_find_idle(run->schedule.service, team > 1 ? run->schedule.team_size : 1,
                                      &idle);
    }
    if (status != NL_OK || idle < 0) {
        free(offload->reply);
        offload->reply = NULL;
        return status;
    }
    *given = true;
    from = previous_step > 0 ? nl_record_find(record, previous_step) : NULL;
    offload->step = state->step;
    offload->previous_step = previous_step;
    offload->kernel = kernel;
    offload->kept_here = state->theta == NULL || kept_for_offload(work, state->step);
    offload->previous_kept_here =
        from != NULL && (from->theta == NULL || kept_for_offload(work, previous_step));
    status = send_request(work, offload, idle, theta, previous);
    return status == NL_OK ? keep_for_offload(work, offload, record, theta, state, previous)
                           : status;
}

/* Into the state it belongs to. */
static nl_status take_reply(nl_cell_work *work, const nl_offload *offload, nl_state *state)
{
    const offload_reply *note = offload->reply;
    nl_measurement *out = &state->kernels[offload->kernel];

    nl_measurement_clear(out, work->solve[offload->kernel].n);
    if (note->status == NL_ERR_NUMERIC) {
        work->unverified = true;
        return NL_OK;
    }
    if (note->status != NL_OK || !note->done) {
        return note->status == NL_OK ? NL_STOPPED : (nl_status)note->status;
    }
    out->observed = note->observed;
    out->fallback = note->fallback != 0;
    out->refilled = note->refilled != 0;
    out->method = (nl_method)note->method;
    out->entropy_error = note->entropy_error;
    memcpy(out->solver, note->solver, sizeof out->solver);
    if (note->values > 0) {
        out->lambda = nl_calloc((size_t)note->values, sizeof *out->lambda);
        if (out->lambda == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a spectrum of %d", note->values);
        }
        memcpy(out->lambda, note + 1, (size_t)note->values * sizeof *out->lambda);
        out->values = note->values;
    }
    if (note->points > 0) {
        out->rank_curve = nl_calloc(2 * (size_t)note->points, sizeof *out->rank_curve);
        if (out->rank_curve == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d points", note->points);
        }
        memcpy(out->rank_curve, (const double *)(note + 1) + note->values,
               2 * (size_t)note->points * sizeof *out->rank_curve);
        out->points = note->points;
    }
    out->done = true;
    return NL_OK;
}

/* Does a pending request need the parameters of this step? */
static bool needed(const nl_cell_work *work, long step)
{
    for (int k = 0; k < nl_most_offloads; k++) {
        const nl_offload *offload = &work->offload[k];

        if (offload->arrived != MPI_REQUEST_NULL &&
            (offload->step == step || offload->previous_step == step)) {
            return true;
        }
    }
    return false;
}

static void give_up_theta(const nl_cell_work *work, nl_state *state)
{
    if (state != NULL && !needed(work, state->step)) {
        free(state->theta);
        state->theta = NULL;
    }
}

/* One reply that has arrived. */
static nl_status settle(nl_cell_work *work, nl_record *record, nl_offload *offload)
{
    nl_state *state = record != NULL ? nl_record_find(record, offload->step) : NULL;
    nl_status status = NL_OK;

    if (state != NULL) {
        status = take_reply(work, offload, state);
        if (offload->kept_here && state->kernels[offload->kernel].done) {
            give_up_theta(work, state);
        }
        if (offload->previous_kept_here && state->kernels[offload->kernel].done) {
            give_up_theta(work, nl_record_find(record, offload->previous_step));
        }
    }
    free(offload->reply);
    offload->reply = NULL;
    return status;
}

/* Take in what has arrived; *pending: what has not. */
static nl_status collect_arrived(nl_cell_work *work, nl_record *record, int *arrived, int *pending)
{
    nl_status worst = NL_OK;

    *pending = 0;
    for (int k = 0; work->offload != NULL && k < nl_most_offloads; k++) {
        int done = 0;

        if (work->offload[k].arrived == MPI_REQUEST_NULL) {
            continue;
        }
        MPI_Test(&work->offload[k].arrived, &done, MPI_STATUS_IGNORE);
        if (done) {
            nl_status status = settle(work, record, &work->offload[k]);

            worst = status > worst ? status : worst;
            ++*arrived;
        } else {
            ++*pending;
        }
    }
    return worst;
}

nl_status nl_offload_collect(nl_cell_work *work, nl_record *record)
{
    int arrived = 0;
    int pending = 0;

    return collect_arrived(work, record, &arrived, &pending);
}

nl_status nl_offload_await(nl_cell_work *work, nl_record *record, bool to_the_end, int *arrived)
{
    const double start = nl_run_rest(work->run);
    int pending = 0;
    nl_status worst = NL_OK;

    *arrived = 0;
    do {
        nl_status status = collect_arrived(work, record, arrived, &pending);

        worst = status > worst ? status : worst;
        if (pending > 0 && !to_the_end && nl_run_stopping(work->run)) {
            worst = worst != NL_OK ? worst : NL_STOPPED;
            break;
        }
        if (pending > 0) {
            nl_sleep(poll_seconds);
        }
    } while (pending > 0);
    nl_run_wake(work->run, start);
    return worst;
}

nl_status nl_offload_leave(nl_cell_work *work, nl_record *record,
                           const nl_continuation *continuation)
{
    int arrived = 0;
    nl_status status = nl_cell_work_write(work, record, continuation, true);
    nl_status late = NL_OK;

    if (status != NL_OK) {
        return status;
    }
    late = nl_offload_await(work, record, true, &arrived);
    status = late == NL_STOPPED ? NL_OK : late;
    return arrived > 0 && status == NL_OK ? nl_cell_work_write(work, record, continuation, true)
                                          : status;
}

void nl_offload_forget(nl_cell_work *work)
{
    int arrived = 0;
    nl_status status = nl_offload_await(work, NULL, true, &arrived);

    (void)status; /* nothing is taken in, nothing fails */
    free(work->offload);
    work->offload = NULL;
}

/*---------------------------------------------------------------------------------------------
 * The rank that serves
 *-------------------------------------------------------------------------------------------*/

/* A message of unknown length from a main thread, awaited asleep.  Its items: free(). */
static void *receive(const nl_run *run, int from, int tag, MPI_Datatype type, size_t size)
{
    MPI_Comm peers = nl_service_peers(run->schedule.service);
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
        (void)NL_FAIL(NL_ERR_NOMEM, "rank %d: out of memory for %d parameters", run->in.team->rank,
                      count);
        MPI_Abort(peers, nl_status_exit_code(NL_ERR_NOMEM)); /* the sender would wait for ever */
        abort();
    }
    MPI_Mrecv(items, count, type, &message, MPI_STATUS_IGNORE);
    return items;
}

/** A request as it was received. */
typedef struct received_request {
    offload_request *head;
    float *theta;
    float *previous; /* NULL where that step is the initial one, or there is none */
} received_request;  /* all owned */

static received_request receive_request(const nl_run *run, int from)
{
    received_request request = {.head = receive(run, from, tag_request, MPI_BYTE, 1)};

    request.theta = receive(run, from, tag_theta, MPI_FLOAT, sizeof(float));
    if (request.head->previous_step > 0) {
        request.previous = receive(run, from, tag_theta, MPI_FLOAT, sizeof(float));
    }
    return request;
}

static void free_request(received_request *request)
{
    free(request->head);
    free(request->theta);
    free(request->previous);
}

/* Tell the seconds of a kernel, and what became of its spectrum. */
static nl_status close_offload(nl_cell_work *work, nl_measurer *measurer, nl_status status)
{
    if (status == NL_OK && measurer != NULL) {
        status = nl_cell_work_send_measuring(work, measurer);
    }
    if (status == NL_OK && work->unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_cell_work_close(work);
    return status;
}

static nl_status measure_alone(nl_run *run, const received_request *request, nl_measurement *out)
{
    const offload_request *note = request->head;
    nl_cell_work work;
    nl_status status = nl_cell_work_open(run, note->cell, &work);

    if (status == NL_OK && nl_cell_work_initial(&work) == NULL) {
        status = NL_ERR_NOMEM;
    }
    if (status == NL_OK && !nl_run_stopping(run)) {
        status = nl_cell_work_begin(
            &work, run->alone,
            &(nl_moment){request->theta, note->step,
                         note->previous_step == 0 ? work.initial : request->previous,
                         note->previous_step},
            NULL);
        if (status == NL_OK) {
            status = nl_cell_work_measure(&work, run->alone, note->kernel, out);
        }
        nl_measure_end(run->alone);
    }
    return close_offload(&work, run->alone, status);
}

/* The first rank of the team has the request; it knows whether there still is something to do. */
static void unpack(const nl_run *run, const nl_cell_work *work, const received_request *request,
                   nl_team_state *shared)
{
    const size_t size = work->net->size * sizeof *shared->theta;

    shared->step = nl_run_stopping(run) ? -1 : request->head->step;
    shared->previous_step = request->head->previous_step;
    shared->kernel = request->head->kernel;
    memcpy(shared->theta, request->theta, size);
    if (request->previous != NULL) {
        memcpy(shared->previous, request->previous, size);
    }
}

/* Collective over the team.  request: NULL but on its first rank. */
static nl_status measure_together(nl_run *run, const nl_team *part, nl_measurer *measurer, int cell,
                                  const received_request *request, nl_measurement *out)
{
    nl_team_state shared = {0};
    nl_cell_work work;
    nl_status status = nl_agree(part->comm, nl_cell_work_open(run, cell, &work));

    if (status == NL_OK) {
        status = nl_team_state_create(&work, part, &shared);
        if (status == NL_OK && request != NULL) {
            unpack(run, &work, request, &shared);
        }
        if (status == NL_OK) {
            nl_team_state_broadcast(&work, part, &shared);
        }
        if (status == NL_OK && shared.step >= 0) {
            status = nl_team_state_measure(&work, part, measurer, &shared, out);
        }
        nl_team_state_free(&shared);
    }
    return nl_agree(part->comm, close_offload(&work, request != NULL ? measurer : NULL, status));
}

/* Always: the rank that has the cell waits for it. */
static void answer(const nl_run *run, int to, int tag, nl_status status, const nl_measurement *m)
{
    MPI_Comm peers = nl_service_peers(run->schedule.service);
    const int values = m->done ? m->values : 0;
    const int points = m->done ? m->points : 0;
    offload_reply note = {.status = (int)status,
                          .done = m->done,
                          .fallback = m->fallback,
                          .refilled = m->refilled,
                          .values = values,
                          .points = points,
                          .observed = m->observed,
                          .method = (int)m->method,
                          .entropy_error = m->entropy_error};
    nl_text message = {0};

    memcpy(note.solver, m->solver, sizeof note.solver);
    nl_text_append_bytes(&message, &note, sizeof note);
    nl_text_append_bytes(&message, m->lambda, (size_t)values * sizeof *m->lambda);
    nl_text_append_bytes(&message, m->rank_curve, 2 * (size_t)points * sizeof *m->rank_curve);
    if (message.failed) {
        note.status = (int)NL_FAIL(NL_ERR_NOMEM, "out of memory for a spectrum of %d", values);
        MPI_Send(&note, sizeof note, MPI_BYTE, to, tag, peers);
    } else {
        MPI_Send(message.data, (int)message.length, MPI_BYTE, to, tag, peers);
    }
    nl_text_free(&message);
}

static nl_status serve_alone(nl_run *run, int rank)
{
    nl_measurement measured = {0};
    received_request request = receive_request(run, rank);
    nl_status status = measure_alone(run, &request, &measured);

    answer(run, rank, request.head->result_tag, status, &measured);
    nl_measurement_clear(&measured, 0);
    free_request(&request);
    return status;
}

static nl_status serve_together(nl_run *run, const nl_task *task)
{
    const bool first = task->ranks[0] == run->in.team->rank;
    nl_measurement measured = {0};
    nl_team *part = NULL;
    nl_measurer *measurer = NULL;
    received_request request = first ? receive_request(run, task->item) : (received_request){0};
    int cell = first ? request.head->cell : -1;
    nl_status status = nl_team_form(run->in.team, task->count, task->ranks, &part);

    if (status == NL_OK) {
        nl_team_broadcast(part, &cell, sizeof cell, 0);
        status = nl_cell_work_measurer(run, part->comm, &measurer);
    }
    if (status == NL_OK) {
        status = measure_together(run, part, measurer, cell, first ? &request : NULL, &measured);
    }
    if (first) {
        answer(run, task->item, request.head->result_tag, status, &measured);
    }
    nl_measurement_clear(&measured, 0);
    nl_measurer_destroy(&measurer);
    nl_team_destroy(&part);
    free_request(&request);
    return status;
}

nl_status nl_offload_serve(nl_run *run, const nl_task *task)
{
    nl_status status = task->count > 1 ? serve_together(run, task) : serve_alone(run, task->item);

    return status == NL_ERR_NUMERIC ? NL_OK : status; /* the rank that has the cell carries it on */
}
