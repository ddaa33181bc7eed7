/** @file stop.h  When to stop early: signals, wall clock, a stop file. */
#ifndef NTKLENS_APP_STOP_H
#define NTKLENS_APP_STOP_H

#include "ntklens/base.h"

#include <stdbool.h>

/** Why to stop; signals are told by their own number, which is smaller. */
enum { NL_STOP_TIME = 100, NL_STOP_FILE = 101 };

/** Time as the policy sees it: nl_now() in the program, a fake in tests. */
typedef double nl_clock_fn(void *context);

/** All that decides; zero-initialise with nl_stop_policy_make(). */
typedef struct nl_stop_policy {
    nl_clock_fn *clock;
    void *clock_context;   /* borrowed */
    double start;          /* of the program, on that clock */
    double startup;        /* seconds until MPI stood; it may take as long to end */
    double max_seconds;    /* --max-time; 0: no limit */
    const char *stop_file; /* borrowed; NULL: none is looked for */
    double next_look;      /* for the stop file */
    double asked;          /* when the job was asked to stop; < 0: not yet */
} nl_stop_policy;

nl_stop_policy nl_stop_policy_make(nl_clock_fn *clock, void *clock_context, double max_seconds,
                                   const char *stop_file);

/** From now on SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP (unless it was ignored: nohup), SIGXCPU
 * and SIGPWR ask to stop early; a second SIGINT ends at once. */
void nl_stop_watch_signals(void);

/**
 * Is it time to stop?  For nl_run_options.stop_wanted.
 *
 * @param[in] context  an nl_stop_policy
 * @param[in] reserve  seconds needed to leave in good order; at most a third of --max-time counts
 * @return 0: no; else the reason
 */
int nl_stop_wanted(void *context, double reserve);

/** Seconds before the job is ended from outside, or by --max-time; counted from the first call,
 * which is when the job was asked to stop.  For nl_run_options.time_left. */
double nl_stop_time_left(void *context, int reason);

/** "HH:MM:SS", "MM:SS" or seconds; negative where it is none of them, or zero. */
double nl_parse_duration(const char *text);

#endif
