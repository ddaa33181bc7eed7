/**
 * @file service.c  The service thread: hands out work, carries messages, spreads the request to
 * stop.
 *
 * Two communicators: on `calls` every message is for a service thread, on `replies` every message
 * is for a main thread, so that neither ever probes what the other waits for.  The thread polls and
 * sleeps: a blocking receive in MPI spins and would take a core from training.
 */
#include "scheduler.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static const double poll_seconds = 2e-3;
static const double tick_seconds = 50e-3;
static const double reply_poll_seconds = 0.2e-3;

enum { root = 0 };

/** Kinds of message, as MPI tags on `calls`. */
enum {
    tag_take = 1,     /* rank -> root: give me work; answered on `replies`, sooner or later */
    tag_ask,          /* rank -> root: which ranks are idle? (an int: how many ranks together);
                         answered on `replies` at once */
    tag_ready,        /* rank -> root: this item wants a team (an int: item) */
    tag_spare,        /* root -> rank: the queue is exhausted, it makes sense to ask */
    tag_tell,         /* rank -> root: bytes for the deliver hook */
    tag_stop_request, /* rank -> root: stop all (an int: reason) */
    tag_stop,         /* root -> rank: all stop (an int: reason) */
    tag_end,          /* rank -> root: I told all I had; root -> rank: so did everyone, end */
};

struct nl_service {
    MPI_Comm calls, replies; /* owned */
    int rank, size;
    nl_service_hooks hooks;
    pthread_t thread;
    int *answer;            /* owned; [answer_length] what the root last gave this rank to do */
    pthread_mutex_t lock;   /* of the scheduler; used on the root only */
    nl_scheduler scheduler; /* used on the root only */
    int *message, *free;    /* owned; [answer_length], [size] of the root's thread alone */
    atomic_bool spare;      /* the queue is exhausted */
    atomic_int request;     /* of this rank */
    atomic_int stopping;    /* of all ranks */
    atomic_bool leaving;    /* the main thread has told all it had; not used on the root */
    /* of the thread alone */
    bool request_sent;
    int ended; /* root: ranks that said tag_end */
    bool over;
};

static void send_int(int value, int to, int tag, MPI_Comm comm)
{
    MPI_Send(&value, 1, MPI_INT, to, tag, comm);
}

static int receive_int(const nl_service *service, const MPI_Status *message)
{
    int value = 0;

    MPI_Recv(&value, 1, MPI_INT, message->MPI_SOURCE, message->MPI_TAG, service->calls,
             MPI_STATUS_IGNORE);
    return value;
}

/* An answer to tag_take: kind, item, number of ranks that share it, these ranks. */
enum { at_kind, at_item, at_count, at_ranks };

static int answer_length(const nl_service *service)
{
    return at_ranks + service->size;
}

/* Root: one task for some ranks. */
static void assign(nl_service *service, const nl_task *task, int count, const int *ranks)
{
    const bool together = task->kind == NL_TASK_TEAM || task->kind == NL_TASK_OFFLOAD;
    const int members = together && count > 1 ? count : 0;

    service->message[at_kind] = (int)task->kind;
    service->message[at_item] = task->item;
    service->message[at_count] = members;
    for (int k = 0; k < members; k++) {
        service->message[at_ranks + k] = ranks[k];
    }
    for (int k = 0; k < count; k++) {
        MPI_Send(service->message, at_ranks + members, MPI_INT, ranks[k], tag_take,
                 service->replies);
    }
}

/* Root: give out what can be given. */
static void hand_out(nl_service *service)
{
    const bool stopping = atomic_load(&service->stopping) != 0;
    nl_task task;
    int count = 0;

    pthread_mutex_lock(&service->lock);
    while ((count = nl_scheduler_assign(&service->scheduler, stopping, &task, service->free)) > 0) {
        assign(service, &task, count, service->free);
    }
    if (service->scheduler.waiting_count > 0 && !atomic_exchange(&service->spare, true)) {
        for (int rank = 0; rank < service->size; rank++) {
            if (rank != root) {
                send_int(0, rank, tag_spare, service->calls);
            }
        }
    }
    pthread_mutex_unlock(&service->lock);
}

static void take_in(nl_service *service, const MPI_Status *status)
{
    const int value = receive_int(service, status);

    pthread_mutex_lock(&service->lock);
    if (status->MPI_TAG == tag_take) {
        nl_scheduler_arrive(&service->scheduler, status->MPI_SOURCE);
    } else {
        nl_scheduler_ready(&service->scheduler, value);
    }
    pthread_mutex_unlock(&service->lock);
    hand_out(service);
}

/* Root: send free ranks to the one that asks; it is told the first of them. */
static void find_idle(nl_service *service, const MPI_Status *status)
{
    const nl_task task = {.kind = NL_TASK_OFFLOAD, .item = status->MPI_SOURCE};
    const int wanted = receive_int(service, status);
    int count = 0;

    pthread_mutex_lock(&service->lock);
    count = nl_scheduler_take_idle(&service->scheduler, wanted, service->free);
    pthread_mutex_unlock(&service->lock);
    assign(service, &task, count, service->free);
    send_int(count > 0 ? service->free[0] : -1, status->MPI_SOURCE, tag_ask, service->replies);
}

static void deliver(nl_service *service, MPI_Message *message, const MPI_Status *status)
{
    int length = 0;
    void *bytes = NULL;

    MPI_Get_count(status, MPI_BYTE, &length);
    bytes = malloc(length > 0 ? (size_t)length : 1);
    if (bytes == NULL) {
        (void)NL_FAIL(NL_ERR_NOMEM, "rank 0: out of memory for a message of %d bytes", length);
        MPI_Abort(service->calls, nl_status_exit_code(NL_ERR_NOMEM)); /* results would be lost */
        return;
    }
    MPI_Mrecv(bytes, length, MPI_BYTE, message, MPI_STATUS_IGNORE);
    if (service->hooks.deliver != NULL) {
        service->hooks.deliver(service->hooks.context, status->MPI_SOURCE, bytes, (size_t)length);
    }
    free(bytes);
}

static void spread_stop(nl_service *service, int reason)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&service->stopping, &none, reason)) {
        for (int rank = 0; rank < service->size; rank++) {
            if (rank != root) {
                send_int(reason, rank, tag_stop, service->calls);
            }
        }
        hand_out(service); /* those that wait have nothing to wait for */
    }
}

static void end_all(nl_service *service)
{
    if (++service->ended == service->size) {
        for (int rank = 0; rank < service->size; rank++) {
            if (rank != root) {
                send_int(0, rank, tag_end, service->calls);
            }
        }
        service->over = true;
    }
}

/* Handle one waiting message; false where there is none. */
static bool serve_one(nl_service *service)
{
    MPI_Status status;
    MPI_Message message = MPI_MESSAGE_NULL;
    int found = 0;
    int none = 0;

    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, service->calls, &found, &status);
    if (!found) {
        return false;
    }
    switch (status.MPI_TAG) {
    case tag_take:
    case tag_ready:
        take_in(service, &status);
        break;
    case tag_ask:
        find_idle(service, &status);
        break;
    case tag_spare:
        (void)receive_int(service, &status);
        atomic_store(&service->spare, true);
        break;
    case tag_tell:
        MPI_Mprobe(status.MPI_SOURCE, tag_tell, service->calls, &message, &status);
        deliver(service, &message, &status);
        break;
    case tag_stop_request:
        spread_stop(service, receive_int(service, &status));
        break;
    case tag_stop:
        atomic_compare_exchange_strong(&service->stopping, &none, receive_int(service, &status));
        break;
    case tag_end:
        (void)receive_int(service, &status);
        if (service->rank == root) {
            end_all(service);
        } else {
            service->over = true;
        }
        break;
    default:
        break;
    }
    return true;
}

static void tick(nl_service *service)
{
    int request = service->hooks.tick != NULL ? service->hooks.tick(service->hooks.context) : 0;

    if (request != 0) {
        nl_service_stop(service, request);
    }
}

static void pass_stop_request(nl_service *service)
{
    const int request = atomic_load(&service->request);

    if (request != 0 && !service->request_sent) {
        service->request_sent = true;
        if (service->rank == root) {
            spread_stop(service, request);
        } else {
            send_int(request, root, tag_stop_request, service->calls);
        }
    }
}

static void *serve(void *argument)
{
    nl_service *service = argument;
    double next_tick = nl_now();
    bool left = false;

    while (!service->over) {
        while (!service->over && serve_one(service)) {
        }
        if (service->over) { /* the other threads are gone: a request would wait for them */
            break;
        }
        if (!left && nl_now() >= next_tick) {
            tick(service);
            next_tick = nl_now() + tick_seconds;
        }
        if (!left) {
            pass_stop_request(service);
        }
        if (!left && atomic_load(&service->leaving)) { /* the last message of this rank */
            left = true;
            send_int(0, root, tag_end, service->calls);
        }
        nl_sleep(poll_seconds);
    }
    return NULL;
}

static void release(nl_service *service)
{
    nl_scheduler_free(&service->scheduler);
    free(service->answer);
    free(service->message);
    free(service->free);
    free(service);
}

/* Everything but communicators and thread.  Local. */
static nl_status allocate(const nl_team *team, nl_service_hooks hooks, nl_service **out)
{
    nl_service *service = calloc(1, sizeof *service);
    nl_status status = NL_OK;

    *out = NULL;
    if (service == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the service thread");
    }
    service->rank = team->rank;
    service->size = team->size;
    service->hooks = hooks;
    service->answer = nl_calloc((size_t)answer_length(service), sizeof *service->answer);
    service->message = nl_calloc((size_t)answer_length(service), sizeof *service->message);
    service->free = nl_calloc((size_t)service->size, sizeof *service->free);
    if (service->answer == NULL || service->message == NULL || service->free == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the service thread");
    }
    if (status == NL_OK) {
        status = nl_scheduler_create(service->size, &service->scheduler);
    }
    if (status != NL_OK) {
        release(service);
        return status;
    }
    *out = service;
    return NL_OK;
}

nl_status nl_service_start(const nl_team *team, nl_service_hooks hooks, nl_service **out)
{
    nl_service *service = NULL;
    nl_status status = NL_OK;
    int level = MPI_THREAD_SINGLE;

    *out = NULL;
    MPI_Query_thread(&level);
    if (level < MPI_THREAD_MULTIPLE) {
        status = team->rank == root
                     ? NL_FAIL(NL_ERR_MPI, "this MPI library was built without "
                                           "MPI_THREAD_MULTIPLE, which ntklens needs")
                     : NL_ERR_MPI;
    }
    if (status == NL_OK) {
        status = allocate(team, hooks, &service);
    }
    status = nl_agree(team->comm, status);
    if (status != NL_OK) {
        if (service != NULL) {
            release(service);
        }
        return status;
    }
    MPI_Comm_dup(team->comm, &service->calls);
    MPI_Comm_dup(team->comm, &service->replies);
    pthread_mutex_init(&service->lock, NULL);
    *out = service; /* before the thread runs: its hooks may look for it */
    if (pthread_create(&service->thread, NULL, serve, service) != 0) {
        /* The others' threads already wait for this one: no agreed way back. */
        (void)NL_FAIL(NL_ERR_INTERNAL, "rank %d: the service thread cannot be started", team->rank);
        MPI_Abort(team->comm, nl_status_exit_code(NL_ERR_INTERNAL));
    }
    return NL_OK;
}

nl_status nl_service_open_queue(nl_service *service, int items, int team_size)
{
    nl_status status = NL_OK;

    pthread_mutex_lock(&service->lock);
    status = nl_scheduler_open(&service->scheduler, items, team_size);
    pthread_mutex_unlock(&service->lock);
    atomic_store(&service->spare, false);
    /* No rank may ask before the root's queue stands. */
    return nl_agree(service->replies, status);
}

/* Wait, asleep between polls, for the root's answer.  A blocking receive would spin. */
static nl_status await_answer(nl_service *service, int tag, int question, int *answer, int length)
{
    MPI_Request reply = MPI_REQUEST_NULL;
    int done = 0;

    if (MPI_Irecv(answer, length, MPI_INT, root, tag, service->replies, &reply) != MPI_SUCCESS) {
        return NL_FAIL(NL_ERR_MPI, "MPI_Irecv failed while asking for work");
    }
    send_int(question, root, tag, service->calls);
    for (MPI_Test(&reply, &done, MPI_STATUS_IGNORE); !done;
         MPI_Test(&reply, &done, MPI_STATUS_IGNORE)) {
        nl_sleep(reply_poll_seconds);
    }
    return NL_OK;
}

nl_status nl_service_take(nl_service *service, nl_task *task)
{
    nl_status status = await_answer(service, tag_take, 0, service->answer, answer_length(service));

    *task = (nl_task){.kind = NL_TASK_NONE, .item = -1};
    if (status == NL_OK) {
        *task = (nl_task){.kind = (nl_task_kind)service->answer[at_kind],
                          .item = service->answer[at_item],
                          .count = service->answer[at_count],
                          .ranks = service->answer + at_ranks};
    }
    return status;
}

nl_status nl_service_ready(nl_service *service, int item)
{
    if (MPI_Send(&item, 1, MPI_INT, root, tag_ready, service->calls) != MPI_SUCCESS) {
        return NL_FAIL(NL_ERR_MPI, "MPI_Send of an item that wants a team failed");
    }
    return NL_OK;
}

nl_status nl_service_find_idle(nl_service *service, int wanted, int *rank)
{
    *rank = -1;
    if (wanted >= service->size || !atomic_load_explicit(&service->spare, memory_order_relaxed)) {
        return NL_OK;
    }
    return await_answer(service, tag_ask, wanted, rank, 1);
}

MPI_Comm nl_service_peers(const nl_service *service)
{
    return service->replies;
}

nl_status nl_service_send(nl_service *service, const void *bytes, size_t length)
{
    if (length > INT_MAX) {
        return NL_FAIL(NL_ERR_ARG, "message of %zu bytes to rank 0: at most %d", length, INT_MAX);
    }
    if (MPI_Send(bytes, (int)length, MPI_BYTE, root, tag_tell, service->calls) != MPI_SUCCESS) {
        return NL_FAIL(NL_ERR_MPI, "MPI_Send of %zu bytes to rank 0 failed", length);
    }
    return NL_OK;
}

int nl_service_stopping(const nl_service *service)
{
    return atomic_load_explicit(&service->stopping, memory_order_relaxed);
}

void nl_service_stop(nl_service *service, int reason)
{
    int none = 0;

    atomic_compare_exchange_strong(&service->request, &none, reason);
}

void nl_service_end(nl_service **service_)
{
    nl_service *service = *service_;

    if (service == NULL) {
        return;
    }
    /* Elsewhere than on the root the thread itself says so, lest a request of its own comes behind.
     */
    if (service->rank == root) {
        send_int(0, root, tag_end, service->calls);
    } else {
        atomic_store(&service->leaving, true);
    }
    pthread_join(service->thread, NULL);
    MPI_Comm_free(&service->calls);
    MPI_Comm_free(&service->replies);
    pthread_mutex_destroy(&service->lock);
    release(service);
    *service_ = NULL;
}
