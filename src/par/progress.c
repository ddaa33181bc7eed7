/** @file progress.c  How far the work is, for people. */
#include "ntklens/par.h"

#include <stdlib.h>
#include <unistd.h>

static const double live_interval = 0.5;
static const double line_interval = 30.0;

struct nl_progress {
    bool live;        /* a terminal: rewrite one line */
    double start;     /* of the work, nl_now() */
    double next;      /* when to show again */
    double fraction0; /* done before this run */
    bool begun;
    bool shown;
};

nl_status nl_progress_create(nl_progress **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the progress line");
    }
    (*out)->live = isatty(STDERR_FILENO) != 0;
    (*out)->start = nl_now();
    return NL_OK;
}

/* Time left at the pace of this run; work done before it does not count. */
static const char *time_left(const nl_progress *p, double fraction, char out[32])
{
    double gained = fraction - p->fraction0;

    if (!(gained > 0.005)) {
        return "unknown";
    }
    return nl_format_seconds((nl_now() - p->start) * (1.0 - fraction) / gained, out);
}

void nl_progress_show(nl_progress *progress, int done, int total, double fraction,
                      const char *detail)
{
    char left[32];
    char spent[32];
    double now = nl_now();

    if (progress == NULL) {
        return;
    }
    if (!progress->begun) {
        progress->begun = true;
        progress->fraction0 = fraction;
        progress->next = now + (progress->live ? 0.0 : line_interval);
    }
    if (now < progress->next) {
        return;
    }
    fprintf(stderr, "%scells %d/%d  %3.0f %%  elapsed %s  left %s  %s%s",
            progress->live ? "\r\033[K" : "", done, total, 100.0 * fraction,
            nl_format_seconds(now - progress->start, spent), time_left(progress, fraction, left),
            detail, progress->live ? "" : "\n");
    fflush(stderr);
    progress->shown = true;
    progress->next = now + (progress->live ? live_interval : line_interval);
}

void nl_progress_destroy(nl_progress **progress)
{
    if (*progress != NULL) {
        if ((*progress)->live && (*progress)->shown) {
            fputs("\r\033[K", stderr);
            fflush(stderr);
        }
        free(*progress);
        *progress = NULL;
    }
}
