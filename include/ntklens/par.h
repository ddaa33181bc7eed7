/** @file par.h  A team of ranks, what it agrees on, and the service thread that hands out its work.
 *
 * Where an MPI call fails, MPI ends the job, by its own handler: what such calls return is not
 * looked at.  One call has another handler, that of memory shared by a node (node_memory.c). */
#ifndef NTKLENS_PAR_H
#define NTKLENS_PAR_H

#include "ntklens/base.h"

#include <mpi.h>

/*---------------------------------------------------------------------------------------------
 * Agreement
 *-------------------------------------------------------------------------------------------*/

NL_MUST_CHECK nl_status nl_worst_status(MPI_Comm comm, nl_status status);

/** The worst status of all ranks, on every rank.  Collective: the last act of a collective
 * function.  Inline, so that analysers see that no rank's own failure is lost. */
NL_MUST_CHECK static inline nl_status nl_agree(MPI_Comm comm, nl_status status)
{
    nl_status worst = nl_worst_status(comm, status);

    return worst > status ? worst : status;
}

/*---------------------------------------------------------------------------------------------
 * Team
 *-------------------------------------------------------------------------------------------*/

/** A communicator and where this rank stands in it.  Created by nl_team_create(). */
typedef struct nl_team {
    MPI_Comm comm; /* owned duplicate */
    int rank, size;
    MPI_Comm node; /* owned: the ranks of this team that share this rank's memory */
    int node_rank, node_size;
} nl_team;

/** Collective over comm, which is duplicated. */
NL_MUST_CHECK nl_status nl_team_create(MPI_Comm comm, nl_team **out);

/**
 * Part of a team.  Collective over the parent.
 *
 * @param[in]  color (local)  ranks of one colour form a team; < 0: this rank joins none
 * @param[out] out   (local)  NULL where color < 0
 */
NL_MUST_CHECK nl_status nl_team_split(const nl_team *parent, int color, nl_team **out);

/**
 * Part of a team, made by these ranks alone: the others go on with their work.  Collective over the
 * ranks named.
 *
 * @param[in] ranks  (global) [count] ascending ranks of the parent, the caller's among them
 */
NL_MUST_CHECK nl_status nl_team_form(const nl_team *parent, int count, const int *ranks,
                                     nl_team **out);

/** Collective over the team; NULL-safe. */
void nl_team_destroy(nl_team **team);

/** Broadcast any number of bytes (also beyond 2^31) from root.  Collective. */
void nl_team_broadcast(const nl_team *team, void *bytes, size_t length, int root);

/** Barrier that sleeps between polls: a waiting rank leaves its core to the working ones.
 * Collective.
 */
void nl_team_wait(const nl_team *team);

/** Memory that the ranks of a node share.  Zero-initialised: none. */
typedef struct nl_node_memory {
    void *bytes;    /* [size]; owned where there is no window, else the window's */
    MPI_Win window; /* owned; there is none where this rank is alone on its node */
    bool is_window;
} nl_node_memory;

/**
 * Collective over the team's node; to be agreed upon, and freed also after a failure.
 *
 * @param[in] use  what it is for, as "the images"
 */
NL_MUST_CHECK nl_status nl_node_memory_create(const nl_team *team, size_t size, const char *use,
                                              nl_node_memory *out);

/** What one rank wrote before is what the others see behind it.  Collective over the node. */
void nl_node_memory_fence(const nl_node_memory *memory);

/** Collective over the node. */
void nl_node_memory_free(nl_node_memory *memory);

/*---------------------------------------------------------------------------------------------
 * Service: one light thread a rank, with a communicator of its own.  It hands out work, carries
 * messages to the root and spreads the request to stop, also while the rank's main thread is deep
 *in a library call.  Needs MPI_THREAD_MULTIPLE.
 *-------------------------------------------------------------------------------------------*/

/** Opaque.  Owns its thread and communicator. */
typedef struct nl_service nl_service;

/** What the owner of a service wants to be called for; called on the service thread.
 *  No hook may call HDF5 (it is not thread-safe) or a collective. */
typedef struct nl_service_hooks {
    void *context; /* borrowed */
    /** About every 50 ms on each rank.  Non-zero: this rank asks all to stop, for this reason. */
    int (*tick)(void *context);
    /** On the root: a message of nl_service_send(), in the order in which its sender sent it. */
    void (*deliver)(void *context, int source, const void *bytes, size_t length);
} nl_service_hooks;

/** Start the thread.  Collective.  NL_ERR_MPI where the MPI library lacks MPI_THREAD_MULTIPLE. */
NL_MUST_CHECK nl_status nl_service_start(const nl_team *team, nl_service_hooks hooks,
                                         nl_service **out);

/** What a rank is to do next. */
typedef enum nl_task_kind {
    NL_TASK_NONE,    /* nothing is left, or all are asked to stop */
    NL_TASK_ITEM,    /* an item of the queue, alone */
    NL_TASK_OFFLOAD, /* take over a part of what another rank is at, which sends it at once to the
                     first of the ranks that get this task */
    NL_TASK_TEAM,    /* an item that a team shares: all its ranks get this task at the same time */
} nl_task_kind;

typedef struct nl_task {
    nl_task_kind kind;
    int item;         /* ITEM, TEAM: of the queue; HELP: the rank to be helped */
    int count;        /* ranks that get this task together; 0: this one alone */
    const int *ranks; /* [count] ascending; borrowed, valid until the next take */
} nl_task;

/**
 * Open a queue of work items 0 .. items - 1, handed out in this order, each once.  Collective.
 * A queue that was opened before must be exhausted or stopped.
 *
 * @param[in] team_size  (global) ranks that share an item which nl_service_ready() tells of
 */
NL_MUST_CHECK nl_status nl_service_open_queue(nl_service *service, int items, int team_size);

/**
 * What to do next.  Waits, asleep, while other ranks may still have a kernel to offload or
 * something to share.  Local; when one rank gets NL_TASK_NONE every rank does.
 */
NL_MUST_CHECK nl_status nl_service_take(nl_service *service, nl_task *task);

/** The rest of this item wants a team; one is formed as soon as enough ranks are free.  Local. */
NL_MUST_CHECK nl_status nl_service_ready(nl_service *service, int item);

/** Ranks without work, `wanted` together.  rank: the first of them, which now waits for what the
 * caller sends it over nl_service_peers(); -1: not so many are free.  Cheap while the queue lasts.
 * Local. */
NL_MUST_CHECK nl_status nl_service_find_idle(nl_service *service, int wanted, int *rank);

/** For messages between main threads, with tags from nl_peer_tag on; borrowed. */
MPI_Comm nl_service_peers(const nl_service *service);
enum { nl_peer_tag = 100 };

/** Bring bytes to the root's `deliver`; returns as soon as the bytes may be reused.  Local; not
 *  for hooks of the root, which would wait for themselves. */
NL_MUST_CHECK nl_status nl_service_send(nl_service *service, const void *bytes, size_t length);

/** The reason (non-zero) once any rank wished to stop, else 0.  A load of one atomic: call it in
 *  inner loops.  Local. */
int nl_service_stopping(const nl_service *service);

/** Ask that all ranks stop; reason > 0.  Local. */
void nl_service_stop(nl_service *service, int reason);

/** End the thread after every message told so far was delivered.  Collective; NULL-safe. */
void nl_service_end(nl_service **service);

/*---------------------------------------------------------------------------------------------
 * Progress: one live line on a terminal, otherwise a line every 30 s
 *-------------------------------------------------------------------------------------------*/

/** Opaque.  Writes to stderr. */
typedef struct nl_progress nl_progress;

/** Local; call it on the root.  NULL is a valid progress that shows nothing (--quiet). */
NL_MUST_CHECK nl_status nl_progress_create(nl_progress **out);

/** Show the state of the work, as often as is fit; call it as often as you like.
 *  fraction: of the expected work, 0 to 1; detail: what goes on right now. */
void nl_progress_show(nl_progress *progress, int done, int total, double fraction,
                      const char *detail);

/** End the live line, so that what is printed next starts on a line of its own; NULL-safe. */
void nl_progress_destroy(nl_progress **progress);

#endif
