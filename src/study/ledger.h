/** @file ledger.h  What the root keeps of all ranks' work: rows, timings, progress; and how ranks
 * tell it. */
#ifndef NTKLENS_STUDY_LEDGER_H
#define NTKLENS_STUDY_LEDGER_H

#include "result.h"

#include "ntklens/par.h"

/** Opaque.  On the root only.  Used by its service thread while that runs, else by its main thread.
 */
typedef struct nl_ledger nl_ledger;

/** @param[in] cells, cost  borrowed; expected work of each cell
 *  @param[in] log          borrowed */
NL_MUST_CHECK nl_status nl_ledger_create(const char *folder, const nl_cell *cells,
                                         const double *cost, int count, nl_log *log, bool quiet,
                                         nl_ledger **out);
void nl_ledger_destroy(nl_ledger **ledger);

/** Take in the rows of a finished cell. */
NL_MUST_CHECK nl_status nl_ledger_add(nl_ledger *ledger, int cell, const nl_row *rows, int count);

/** Take in a message told by one of the functions below. */
void nl_ledger_deliver(nl_ledger *ledger, int source, const void *bytes, size_t length);

/** Part of a cell's work that is done, 0 to 1, and the step it is at: for the progress line. */
void nl_ledger_progress(nl_ledger *ledger, int cell, int rank, double fraction, long step);

/** Write what changed (at most every 10 s) and show progress. */
NL_MUST_CHECK nl_status nl_ledger_tick(nl_ledger *ledger);

/** Write everything now. */
NL_MUST_CHECK nl_status nl_ledger_flush(nl_ledger *ledger);

/** The first failure that the service thread met while it kept the book. */
nl_status nl_ledger_status(const nl_ledger *ledger);

/** Cells finished so far, and rows held. */
int nl_ledger_finished(const nl_ledger *ledger);
int nl_ledger_rows(const nl_ledger *ledger);

/** Seconds that ranks told to have waited in this run, all added up. */
double nl_ledger_idle(const nl_ledger *ledger);

/*---------------------------------------------------------------------------------------------
 * Any rank: tell the root
 *-------------------------------------------------------------------------------------------*/

NL_MUST_CHECK nl_status nl_tell_rows(nl_service *service, int cell, const nl_row *rows, int count);

/** Instead of a cell, where a timing is the rank's. */
enum { nl_no_cell = -1 };

/** Seconds and peak memory (of the process so far, bytes) of one phase of one cell; of phase "idle"
 *  of a rank. */
NL_MUST_CHECK nl_status nl_tell_timing(nl_service *service, int cell, int rank, const char *phase,
                                       double seconds);

/** A line in the log about a cell: what happened, and why. */
NL_MUST_CHECK nl_status nl_tell_event(nl_service *service, int cell, int rank, const char *event,
                                      const char *reason);

/** nl_ledger_progress() from another rank. */
NL_MUST_CHECK nl_status nl_tell_progress(nl_service *service, int cell, int rank, double fraction,
                                         long step);

#endif
