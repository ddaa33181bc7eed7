/** @file stop.c  Signals as wishes to stop early. */
#include "stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

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
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action = {.sa_handler = catch_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        sigaction(numbers[k], &action, NULL);
    }
}

int nl_stop_wanted(void *context, double reserve)
{
    (void)context;
    (void)reserve;
    return caught;
}
