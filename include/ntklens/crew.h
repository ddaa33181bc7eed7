/** @file crew.h  Threads that share what one rank computes, piece by piece.  No MPI.
 *
 * The caller cuts its work in pieces that depend on shapes alone, and each piece writes what is its
 * own: then no bit depends on who computes it, nor on how many do. */
#ifndef NTKLENS_CREW_H
#define NTKLENS_CREW_H

#include "ntklens/base.h"

#include <sched.h>

/** Opaque.  Belongs to one thread, the caller of all functions below.  NULL is a valid crew: the
 *  caller alone. */
typedef struct nl_crew nl_crew;

/** Most threads of a crew, the caller among them.  OpenBLAS has buffers for 50 threads at least. */
enum { nl_most_of_crew = 32 };

/**
 * Compute one piece.
 *
 * @param[in] worker  who does it, 0 .. nl_most_of_crew - 1, the caller being 0: for scratch
 */
typedef void nl_crew_piece_fn(void *context, int piece, int worker);

/** Called by nl_crew_run() before it begins, now and then: the time to hire and to dismiss. */
typedef void nl_crew_look_fn(void *context, nl_crew *crew);

/** @param[in] every    seconds between two looks
 *  @param[in] look     NULL: nobody looks
 *  @param[in] context  borrowed */
NL_MUST_CHECK nl_status nl_crew_create(double every, nl_crew_look_fn *look, void *context,
                                       nl_crew **out);

/** Ends its threads; NULL-safe. */
void nl_crew_destroy(nl_crew **crew);

/**
 * Have one more thread work on these cores, in the background until it is dismissed; it meets no
 * signals.
 *
 * @param[in] cores  NULL: where the caller may run
 * @return its number, from 1; -1: it cannot be had
 */
int nl_crew_hire(nl_crew *crew, const cpu_set_t *cores);

/** Let this thread sleep, from now on. */
void nl_crew_dismiss(nl_crew *crew, int worker);

/** Have no more threads than so many, the caller among them, 1 .. nl_most_of_crew: workers are
 * numbered below that.  Nobody may be hired. */
void nl_crew_limit(nl_crew *crew, int most);

/** That limit; nl_most_of_crew where none was set, 1 of NULL. */
int nl_crew_most(const nl_crew *crew);

/** Threads that work, the caller among them. */
int nl_crew_size(const nl_crew *crew);

/** What nl_crew_run() does first: look, if it is time.  For work that would not be shared, as long
 *  as there is nobody to share it. */
void nl_crew_look(nl_crew *crew);

/**
 * Compute pieces 0 .. pieces - 1, each once, in any order; returns when all are done.  The threads
 * round as the caller does.  Pieces run no crew of their own.
 */
void nl_crew_run(nl_crew *crew, nl_crew_piece_fn *piece, void *context, int pieces);

#endif
