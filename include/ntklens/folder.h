/** @file folder.h  A results folder: whose it is, its lock, its study.yaml, its images, its
 * timings. */
#ifndef NTKLENS_FOLDER_H
#define NTKLENS_FOLDER_H

#include "ntklens/base.h"
#include "ntklens/data.h"
#include "ntklens/study.h"

/**
 * May a study be written into this folder?  Not where study.yaml, a table, a log or a lock is there
 * that ntklens did not write, which would be replaced: what a person wrote is told from what
 * ntklens wrote by its content, under whatever links.  Changes nothing; fine where there is no such
 * folder. Local.
 *
 * @return NL_ERR_USAGE with the file named
 */
NL_MUST_CHECK nl_status nl_folder_check_results(const char *folder);

/** The same for the tables and the summary of a report. */
NL_MUST_CHECK nl_status nl_folder_check_report(const char *folder);

/** Remove what a writer that was killed left in `folder` under a temporary name: regular files of
 * this user, of such a name, not written for `age` seconds.  Local. */
void nl_folder_remove_temporaries(const char *folder, double age);

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
bool nl_lock_inspect(const char *folder, nl_holder *holder, bool *alive);

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
NL_MUST_CHECK nl_status nl_lock_complain_lost(const nl_lock *lock);

/** Release, unless it is lost, and set to NULL; NULL-safe. */
void nl_lock_release(nl_lock **lock);

/** The images a study is run on. */
typedef struct nl_data_facts {
    const char *folder;      /* absolute; NULL: data.path as it stands in the study */
    const char *fingerprint; /* NULL: not known */
    const char *remarks;     /* NULL: there are none */
} nl_data_facts;

/** Write DIR/study.yaml; folder: DIR. */
NL_MUST_CHECK nl_status nl_provenance_write(const nl_study *study, const char *folder,
                                            const nl_data_facts *data);

/** The resolved study of a results folder, with these overrides; NULL where it holds no study.yaml.
 */
NL_MUST_CHECK nl_status nl_study_in(const char *folder, int set_count, const char *const sets[],
                                    nl_study **study);

/** Is nothing known of one of them, or are they the same?  NULL or "": not known.  Pure. */
bool nl_images_may_be_same(const char *there, const char *here);

/**
 * NL_ERR_OTHER_DATA, told, unless nl_images_may_be_same().
 *
 * @param[in] what    begins the line: what was made from the images `there`
 * @param[in] advice  ends it; ""
 */
NL_MUST_CHECK nl_status nl_images_agree(const char *what, const char *there, const char *here,
                                        const char *advice);

/** A resolved study says on which images it was run: warn where these are others. */
void nl_images_compare_resolved(const nl_study *study, const char *fingerprint);

/** nl_dataset_remarks() as warnings and, joined by "; ", appended to `remarks`. */
void nl_images_warn(const nl_dataset *dataset, const char *folder, nl_text *remarks);

/** What a cell's time goes into; the names of timings.csv. */
typedef enum nl_effort_kind {
    NL_EFFORT_TRAIN,
    NL_EFFORT_EVALUATE,
    NL_EFFORT_GRAM,
    NL_EFFORT_SOLVE,
    NL_EFFORT_KINDS
} nl_effort_kind;

/** "train", "evaluate", "gram", "solve". */
const char *nl_effort_name(nl_effort_kind kind);

/** First line of the table. */
extern const char nl_timings_header[];

/** All lines of a cell, summed. */
typedef struct nl_timing {
    char id[64];
    double seconds[NL_EFFORT_KINDS];
    double other; /* write, and phases that are not known here */
} nl_timing;

/**
 * Read timings.csv.  Lines that make no sense (a table cut short) are passed over.
 *
 * @param[out] timings  sorted by id, each once, free()
 * @return NL_ERR_IO where it cannot be read, NL_ERR_DATA where it is no such table
 */
NL_MUST_CHECK nl_status nl_timings_read(const char *path, nl_timing **timings, int *count);

/** The timing of a cell in such a table, NULL: none. */
const nl_timing *nl_timing_find(const nl_timing *timings, int count, const char *id);

/** Is this a whole line of timings.csv, as "w8-d2-n64-s0-0123456789ab,train,0,1.500000,1048576"?
 * The cell is "-" where the line is about a rank. */
bool nl_timing_is_line(const char *line);

#endif
