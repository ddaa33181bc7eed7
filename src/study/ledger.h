/** @file ledger.h  What the root keeps of all ranks' work: rows, timings, progress; and how ranks
 * tell it. */
#ifndef NTKLENS_STUDY_LEDGER_H
#define NTKLENS_STUDY_LEDGER_H

#include "result.h"

#include "ntklens/par.h"

/** Opaque.  On the root only.  Used by its service thread while that runs, else by its main thread;
 *  a third thread, of the ledger's own, writes the tables (table_writer.h). */
typedef struct nl_ledger nl_ledger;

/** @param[in] cells, cost  borrowed; expected work of each cell
 *  @param[in] log          borrowed */
NL_MUST_CHECK nl_status nl_ledger_create(const char *folder, const nl_cell *cells,
                                         const double *cost, int count, nl_log *log, bool quiet,
                                         nl_ledger **out);
void nl_ledger_destroy(nl_ledger **ledger);

/** So many cells were finished by earlier runs, and are told by nl_tell_loaded(): until all are
 * here the tables of those runs stay as they are.  The main thread's. */
void nl_ledger_await(nl_ledger *ledger, int loaded);

/** Take in a message told by one of the functions below. */
void nl_ledger_deliver(nl_ledger *ledger, int source, const void *bytes, size_t length);

/** Part of a cell's work that is done, 0 to 1, and the step it is at: for the progress line. */
void nl_ledger_progress(nl_ledger *ledger, int cell, int rank, double fraction, long step);

/** Show progress.  The first failure to keep the book or to write it; never waits. */
NL_MUST_CHECK nl_status nl_ledger_tick(nl_ledger *ledger);

/** Write nothing more. */
void nl_ledger_mute(nl_ledger *ledger);

/** Write everything now; the first failure there was.  Nothing is told afterwards. */
NL_MUST_CHECK nl_status nl_ledger_finish(nl_ledger *ledger);

/** Cells finished so far, and rows held. */
int nl_ledger_finished(const nl_ledger *ledger);
int nl_ledger_rows(const nl_ledger *ledger);

/** Seconds that ranks told to have waited in this run, all added up. */
double nl_ledger_idle(const nl_ledger *ledger);

/*---------------------------------------------------------------------------------------------
 * Any rank: tell the root
 *-------------------------------------------------------------------------------------------*/

/** Rows of a cell that is finished now; sorted in place. */
NL_MUST_CHECK nl_status nl_tell_rows(nl_service *service, const nl_cell *cells, int cell,
                                     nl_row *rows, int count);

/** Rows of a cell that an earlier run finished: collected in `batch` (zero-initialised, freed by
 * the caller) and told when there are many, or where count is 0. */
NL_MUST_CHECK nl_status nl_tell_loaded(nl_service *service, const nl_cell *cells, int cell,
                                       nl_row *rows, int count, nl_text *batch);

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
