/** @file ticker.c  A thread that does one thing again and again. */
#include "ntklens/base.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct nl_ticker {
    double seconds;
    nl_tick_fn *tick;
    void *context; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock; /* of `ending` */
    pthread_cond_t woken;
    bool ending;
};

static struct timespec after(double seconds)
{
    struct timespec at;
    const long long nanoseconds = (long long)(1e9 * seconds);

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)((at.tv_nsec + nanoseconds) / 1000000000);
    at.tv_nsec = (long)((at.tv_nsec + nanoseconds) % 1000000000);
    return at;
}

/* Wait for the next turn; false: there is none. */
static bool wait_for_turn(nl_ticker *ticker)
{
    const struct timespec turn = after(ticker->seconds);
    bool ending = false;

    pthread_mutex_lock(&ticker->lock);
    while (!ticker->ending && pthread_cond_timedwait(&ticker->woken, &ticker->lock, &turn) == 0) {
    }
    ending = ticker->ending;
    pthread_mutex_unlock(&ticker->lock);
    return !ending;
}

static void *work(void *argument)
{
    nl_ticker *ticker = argument;

    do {
        ticker->tick(ticker->context);
    } while (wait_for_turn(ticker));
    return NULL;
}

nl_status nl_ticker_create(double seconds, nl_tick_fn *tick, void *context, nl_ticker **out)
{
    nl_ticker *ticker = calloc(1, sizeof *ticker);
    pthread_condattr_t clock;
    sigset_t all;
    sigset_t before;
    int error = 0;

    *out = NULL;
    if (ticker == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a thread");
    }
    ticker->seconds = seconds;
    ticker->tick = tick;
    ticker->context = context;
    pthread_mutex_init(&ticker->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC); /* setting the time changes nothing */
    pthread_cond_init(&ticker->woken, &clock);
    pthread_condattr_destroy(&clock);
    /* Signals go to other threads: what this one is at is not interrupted. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&ticker->thread, NULL, work, ticker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_cond_destroy(&ticker->woken);
        pthread_mutex_destroy(&ticker->lock);
        free(ticker);
        return NL_FAIL(NL_ERR_INTERNAL, "a thread cannot be started: error %d", error);
    }
    *out = ticker;
    return NL_OK;
}

void nl_ticker_end(nl_ticker **ticker_)
{
    nl_ticker *ticker = *ticker_;

    if (ticker == NULL) {
        return;
    }
    pthread_mutex_lock(&ticker->lock);
    ticker->ending = true;
    pthread_cond_signal(&ticker->woken);
    pthread_mutex_unlock(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    pthread_cond_destroy(&ticker->woken);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
    *ticker_ = NULL;
}
