/** @file stop.c  When to stop early. */
#include "stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static const double file_interval = 0.5;  /* seconds between two looks for the stop file */
static const double slack = 4.0;          /* start of the launcher, end of MPI and launcher */
static const double slack_of_abort = 2.5; /* the same, where the job is ended in a library call */

/* How long a batch system waits between a signal and the end: Slurm's KillWait behind SIGTERM is 30
 * s by default; the job scripts ask for SIGUSR1 90 s ahead, which may come up to 60 s late; others
 * warn by SIGUSR2. */
static const double grace_after_term = 20.0;
static const double grace_after_warning = 25.0;

/* A signal handler can only reach what is global; read by the service thread. */
static atomic_int caught;

static void catch_signal(int number)
{
    if (number == SIGINT && caught == SIGINT) {
        _exit(128 + SIGINT);
    }
    caught = number;
}

void nl_stop_watch_signals(void)
{
    /* Warnings and ends of batch systems, of a terminal that hangs up, of a limit of CPU time, of a
     * power supply. */
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU,
#ifdef SIGPWR
                                  SIGPWR
#endif
    };
    struct sigaction action = {.sa_handler = catch_signal, .sa_flags = SA_RESTART};
    struct sigaction before;

    sigemptyset(&action.sa_mask);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        const bool nohup = numbers[k] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 &&
                           before.sa_handler == SIG_IGN;

        if (!nohup) {
            sigaction(numbers[k], &action, NULL);
        }
    }
}

nl_stop_policy nl_stop_policy_make(nl_clock_fn *clock, void *clock_context, double max_seconds,
                                   const char *stop_file)
{
    return (nl_stop_policy){.clock = clock,
                            .clock_context = clock_context,
                            .start = clock(clock_context),
                            .max_seconds = max_seconds,
                            .stop_file = stop_file,
                            .asked = -1.0};
}

int nl_stop_wanted(void *context, double reserve)
{
    nl_stop_policy *policy = context;
    const double now = policy->clock(policy->clock_context);
    const double most = policy->max_seconds / 3.0;
    double ahead = reserve + slack + policy->startup;

    if (caught != 0) {
        return caught;
    }
    ahead = ahead < most ? ahead : most;
    if (policy->max_seconds > 0.0 && now - policy->start + ahead >= policy->max_seconds) {
        return NL_STOP_TIME;
    }
    if (policy->stop_file != NULL && now >= policy->next_look) {
        policy->next_look = now + file_interval;
        return access(policy->stop_file, F_OK) == 0 ? NL_STOP_FILE : 0;
    }
    return 0;
}

/* All but signals that somebody sends who means to end the job. */
static bool is_warning(int reason)
{
    return reason == SIGUSR1 || reason == SIGUSR2 || reason >= NL_STOP_TIME;
}

double nl_stop_time_left(void *context, int reason)
{
    nl_stop_policy *policy = context;
    const double now = policy->clock(policy->clock_context);
    double left = 0.0;

    if (policy->asked < 0.0) {
        policy->asked = now;
    }
    left = policy->asked - now + (is_warning(reason) ? grace_after_warning : grace_after_term);
    if (policy->max_seconds > 0.0) {
        const double limit = policy->start + policy->max_seconds - now - slack_of_abort;

        left = limit < left ? limit : left;
    }
    return left;
}

double nl_parse_duration(const char *text)
{
    double part[3] = {0};
    char end = '\0';
    int parts = sscanf(text, "%lf:%lf:%lf%c", &part[0], &part[1], &part[2], &end);
    double seconds = -1.0;

    if (parts == 3 && part[1] < 60.0 && part[2] < 60.0) {
        seconds = 3600.0 * part[0] + 60.0 * part[1] + part[2];
    } else if (sscanf(text, "%lf:%lf%c", &part[0], &part[1], &end) == 2 && part[1] < 60.0) {
        seconds = 60.0 * part[0] + part[1];
    } else if (sscanf(text, "%lf%c", &part[0], &end) == 1) {
        seconds = part[0];
    }
    return seconds > 0.0 && seconds < 1e9 && part[0] >= 0.0 && part[1] >= 0.0 && part[2] >= 0.0
               ? seconds
               : -1.0;
}
