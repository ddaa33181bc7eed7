/** @file stop.h  When to stop early: signals. */
#ifndef NTKLENS_APP_STOP_H
#define NTKLENS_APP_STOP_H

/** From now on SIGINT, SIGTERM and SIGUSR1 are wishes to stop early; a second SIGINT ends at once.
 */
void nl_stop_watch_signals(void);

/** The number of the signal that came, 0: none.  For nl_run_options.stop_wanted. */
int nl_stop_wanted(void *context, double reserve);

#endif
