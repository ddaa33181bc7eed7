/** @file progress.c  How far the work is, for people. */
#include "ntklens/par.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static bool is_launcher(pid_t process)
{
    static const char *const launchers[] = {"mpirun\n", "mpiexec\n", "orterun\n", "prterun\n"};
    char path[64];
    char name[32] = "";
    FILE *file = NULL;

    snprintf(path, sizeof path, "/proc/%ld/comm", (long)process);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) == NULL) {
            name[0] = '\0';
        }
        fclose(file);
    }
    for (size_t k = 0; k < NL_COUNT(launchers); k++) {
        if (strcmp(name, launchers[k]) == 0) {
            return true;
        }
    }
    return false;
}

/* Does what we write to stderr reach a terminal?  A launcher on this machine hands us a pipe and
 * writes what comes through it to its own stderr: then that one decides. */
static bool reaches_terminal(void)
{
    struct stat entry;
    char path[64];
    int file = -1;
    bool terminal = isatty(STDERR_FILENO) != 0;

    if (!terminal && fstat(STDERR_FILENO, &entry) == 0 && S_ISFIFO(entry.st_mode) &&
        is_launcher(getppid())) {
        snprintf(path, sizeof path, "/proc/%ld/fd/2", (long)getppid());
        file = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
        if (file >= 0) {
            terminal = isatty(file) != 0;
            close(file);
        }
    }
    return terminal;
}

nl_status nl_progress_create(nl_progress **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the progress line");
    }
    (*out)->live = reaches_terminal();
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
