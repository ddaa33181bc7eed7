/** @file lock.h  One run at a time in a results folder. */
#ifndef NTKLENS_STUDY_LOCK_H
#define NTKLENS_STUDY_LOCK_H

#include "ntklens/base.h"

/** Who holds a lock, as written in the file. */
typedef struct nl_holder {
    char host[256];
    long pid;
    unsigned long long start; /* of the process, clock ticks since boot (/proc) */
    char job[64];             /* SLURM_JOB_ID, "-" without */
    char since[32];
} nl_holder;

/** Opaque.  DIR/lock, held by the root of a run.  A thread of its own gives a sign of life every
 *  second, whatever its holder is at. */
typedef struct nl_lock nl_lock;

/**
 * Take the lock; waits up to 10 s for another run to end.  Local, on the root only.
 *
 * A run counts as alive while its fcntl lock stands; on this host while its process lives (same pid
 * and start time); under the same SLURM job id it is an earlier start of this job and dead;
 * elsewhere it lives if the file's time changes while we wait.
 *
 * @return NL_ERR_BUSY with host, process and job of the other run
 */
NL_MUST_CHECK nl_status nl_lock_take(const char *folder, nl_lock **out);

/**
 * Who holds the lock, by the same rules but without taking it or waiting: elsewhere a run counts as
 * alive where the file's time is that of a moment ago.  Local.
 *
 * @return false where it names nobody
 */
bool nl_lock_look(const char *folder, nl_holder *holder, bool *alive);

/** Who has taken it, for nl_lock_is_held(); borrowed. */
const nl_holder *nl_lock_holder(const nl_lock *lock);

/** Does DIR/lock still name this holder?  A look at the file, on any rank, before results are
 *  written: it may have been removed, or taken over by a run that saw no sign of life.  True where
 *  the file cannot be read for other reasons.  Local. */
bool nl_lock_is_held(const char *folder, const nl_holder *holder);

/** Has such a look, which comes with each sign of life, found that it is lost?  NULL-safe; never
 *  waits. */
bool nl_lock_is_lost(const nl_lock *lock);

/** Say that a lock is lost, and to whom. */
NL_MUST_CHECK nl_status nl_lock_tell_lost(const nl_lock *lock);

/** Release, unless it is lost, and set to NULL; NULL-safe. */
void nl_lock_release(nl_lock **lock);

#endif
