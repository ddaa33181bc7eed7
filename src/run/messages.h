/** @file messages.h  What ranks send to the collector. */
#ifndef NTKLENS_RUN_MESSAGES_H
#define NTKLENS_RUN_MESSAGES_H

#include "ntklens/rows.h"

enum { NL_MESSAGE_ROWS = 1, NL_MESSAGE_TIMING, NL_MESSAGE_EVENT, NL_MESSAGE_PROGRESS };

/** Head of what is sent of one cell or rank: a message is one of these or several, each followed by
 * `length` bytes, the cell's block of rows where it is about rows. */
typedef struct nl_message {
    int kind, cell, rank, rows;
    int cores;   /* progress */
    bool loaded; /* rows: of an earlier run */
    size_t length;
    char phase[24];                /* timing: phase; event: what happened */
    char reason[nl_differs_width]; /* event */
    double seconds, bytes, fraction;
    int64_t step;
} nl_message;

/** Rows of a cell that is finished now; sorted in place. */
NL_MUST_CHECK nl_status nl_send_rows(nl_service *service, const nl_cell *cells, int cell,
                                     nl_row *rows, int count);

/** Rows of a cell that an earlier run finished: collected in `batch` (zero-initialised, freed by
 * the caller) and sent when there are many, or where count is 0. */
NL_MUST_CHECK nl_status nl_send_loaded_rows(nl_service *service, const nl_cell *cells, int cell,
                                            nl_row *rows, int count, nl_text *batch);

/** Instead of a cell, where a timing is the rank's. */
enum { nl_no_cell = -1 };

/** Seconds and peak memory (of the process so far, bytes) of one phase of one cell; of phases
 * "idle" and "lent" of a rank. */
NL_MUST_CHECK nl_status nl_send_timing(nl_service *service, int cell, int rank, const char *phase,
                                       double seconds);

/** A line in the log about a cell: what happened, and why. */
NL_MUST_CHECK nl_status nl_send_event(nl_service *service, int cell, int rank, const char *event,
                                      const char *reason);

/** Where a rank is with a cell. */
typedef struct nl_cell_progress {
    int cell, rank;
    double fraction; /* of the cell's work, 0 to 1 */
    long step;
    int cores; /* that share its steps */
} nl_cell_progress;

/** nl_collector_progress() from another rank. */
NL_MUST_CHECK nl_status nl_send_progress(nl_service *service, const nl_cell_progress *now);

#endif
