/** @file collector.h  What the root keeps of all ranks' work: rows, timings, progress. */
#ifndef NTKLENS_RUN_COLLECTOR_H
#define NTKLENS_RUN_COLLECTOR_H

#include "messages.h"

#include "ntklens/par.h"
#include "ntklens/study.h"

/** Opaque.  On the root only.  Used by its service thread while that runs, else by its main thread;
 *  a third thread, of its own, writes the tables (rows.h), the main thread their last state. */
typedef struct nl_collector nl_collector;

/** @param[in] cells, cost  borrowed; expected work of each cell
 *  @param[in] log          borrowed */
NL_MUST_CHECK nl_status nl_collector_create(const char *folder, const nl_cell *cells,
                                            const double *cost, int count, nl_log *log,
                                            nl_collector **out);

/** From now on nl_collector_tick() shows progress. */
NL_MUST_CHECK nl_status nl_collector_show_progress(nl_collector *collector);

void nl_collector_destroy(nl_collector **collector);

/** So many cells were finished by earlier runs, and arrive by nl_send_loaded_rows(): until all are
 * here the tables of those runs stay as they are.  The main thread's. */
void nl_collector_await(nl_collector *collector, int loaded);

/** Take in a message of messages.h. */
void nl_collector_deliver(nl_collector *collector, int source, const void *bytes, size_t length);

/** For the progress line. */
void nl_collector_progress(nl_collector *collector, const nl_cell_progress *now);

/** Show progress.  The first failure to keep the book or to write it; never waits. */
NL_MUST_CHECK nl_status nl_collector_tick(nl_collector *collector);

/** Write nothing more. */
void nl_collector_mute(nl_collector *collector);

/** Write everything now; the first failure there was.  Nothing is sent afterwards. */
NL_MUST_CHECK nl_status nl_collector_finish(nl_collector *collector);

/** Cells finished so far, and rows held. */
int nl_collector_finished(const nl_collector *collector);
int nl_collector_rows(const nl_collector *collector);

/** Quadratures that were held against exact entropies in this run; those that were further off
 *  than they state. */
int nl_collector_checks(const nl_collector *collector);
int nl_collector_off(const nl_collector *collector);

/** Seconds that ranks waited in this run, all added up, and their cores did nothing; that their
 *  cores worked for other ranks' training meanwhile. */
double nl_collector_idle(const nl_collector *collector);
double nl_collector_lent(const nl_collector *collector);

#endif
