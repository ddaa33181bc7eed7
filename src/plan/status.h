/** @file status.h  Where the study in a results folder stands. */
#ifndef NTKLENS_PLAN_STATUS_H
#define NTKLENS_PLAN_STATUS_H

#include "ntklens/folder.h"
#include "ntklens/study.h"

typedef enum nl_cell_state {
    NL_STATE_LEFT,
    NL_STATE_BEGUN,   /* a checkpoint is there */
    NL_STATE_DAMAGED, /* its finished file cannot be used */
    NL_STATE_DONE,
    NL_STATE_COUNT
} nl_cell_state;

/** "left", "begun", "damaged", "done". */
const char *nl_cell_state_name(nl_cell_state state);

/** Something in the log that did not go as it should. */
typedef struct nl_incident {
    char event[24], time[32], cell[64], reason[256];
} nl_incident;

/** Who runs, or ran last, as its lock file tells; empty texts: unknown. */
typedef struct nl_runner {
    bool alive;
    bool left_lock; /* the file names somebody who is no longer there: killed */
    nl_holder who;
} nl_runner;

/** A network that trains on more cores than its rank's. */
typedef struct nl_sharing {
    char cell[64];
    int cores; /* at the log's last word of it, with its rank's */
} nl_sharing;

enum { nl_most_incidents = 64, nl_most_checks = 8 };

/** Everything `ntklens status` says.  Owns its arrays. */
typedef struct nl_study_status {
    const char *folder;
    nl_study *study;
    nl_cell *cells;
    int count;
    nl_cell_state *state; /* [count] */
    double *fraction;     /* [count] of the cell's steps that are done */
    int total[NL_STATE_COUNT];
    int outdated; /* finished, but their file is of another format: counted as left */
    nl_runner runner;
    bool has_log;
    int runs;           /* start events */
    int ranks;          /* of the last run */
    char last_end[128]; /* status of the last end event; "": none since the last start */
    double idle_percent, lent_percent; /* of all ranks' time, by that; NaN: unknown */
    nl_sharing *sharing;               /* [sharings] of a run that goes on */
    int sharings;
    char not_shared[128];                    /* why it shares no cores; "": it may */
    nl_incident incident[nl_most_incidents]; /* the last ones, in their order */
    int incidents;                           /* in all */
    nl_incident check[nl_most_checks]; /* of quadratures against exact entropies, good or bad */
    int checks;
    double checkpoint_age; /* seconds; NaN: there is none */
    double rest_seconds;   /* expected; NaN: nothing to judge by */
    double spent_seconds;  /* of all ranks; NaN: unknown */
    long rows;             /* of results.csv; -1: there is none */
} nl_study_status;

NL_MUST_CHECK nl_status nl_study_status_read(const char *folder, nl_study_status *out);
void nl_study_status_free(nl_study_status *found);

#endif
