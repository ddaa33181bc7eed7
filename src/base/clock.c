/** @file clock.c  Monotonic time and short sleeps. */
#include "ntklens/base.h"

#include <time.h>

double nl_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void nl_sleep(double seconds)
{
    struct timespec span = {.tv_sec = (time_t)seconds};

    span.tv_nsec = (long)(1e9 * (seconds - (double)span.tv_sec));
    nanosleep(&span, NULL); /* a signal may cut it short: callers poll */
}
