/** @file lending.h  Cores that have nothing to do, for the steps of what still trains. */
#ifndef NTKLENS_RUN_LENDING_H
#define NTKLENS_RUN_LENDING_H

#include "cell_work.h"

/** Where the study lets cores be shared.  Collective over the run's team. */
NL_MUST_CHECK nl_status nl_lending_open(nl_run *run);

/** Collective over the node. */
void nl_lending_close(nl_run *run);

/** From now on this rank waits, asleep; returns since when, for nl_run_wake(), which counts it as
 *  idle. */
double nl_run_rest(nl_run *run);
void nl_run_wake(nl_run *run, double since);

/** A training begins, with no core but its own. */
NL_MUST_CHECK nl_status nl_lending_begin(const nl_cell_work *work);

/** It is about to take a step, and may borrow. */
void nl_lending_go_on(const nl_cell_work *work);

/** It takes no steps for now: what is borrowed goes back. */
void nl_lending_pause(nl_run *run);

/** It is over: tell what it had. */
NL_MUST_CHECK nl_status nl_lending_end(const nl_cell_work *work);

/** Tell what this rank waited, and how much of that its core worked for another one. */
NL_MUST_CHECK nl_status nl_lending_send_idle(const nl_run *run);

#endif
