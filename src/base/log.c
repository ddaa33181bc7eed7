/** @file log.c  The event log of a study. */
#include "ntklens/base.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct nl_log {
    int file; /* owned */
    bool mute;
    bool torn;            /* the last line may break off: its write failed */
    pthread_mutex_t lock; /* worker and service thread both write */
};

/* What a killed run wrote may break off within a line: do not go on there. */
static void end_last_line(int file)
{
    const off_t end = lseek(file, 0, SEEK_END);
    char last = '\n';

    if (end > 0 && NL_REPEAT(pread(file, &last, 1, end - 1)) == 1 && last != '\n') {
        (void)!nl_write_all(file, "\n", 1);
    }
}

nl_status nl_log_open(const char *path, nl_log **out)
{
    char reason[192];
    nl_log *log = NULL;

    *out = NULL;
    log = calloc(1, sizeof *log);
    if (log == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the log", path);
    }
    log->file = nl_open_plain(path, O_RDWR | O_APPEND | O_CREAT);
    if (log->file < 0) {
        const int error = errno;

        free(log);
        return NL_FAIL(nl_write_status(error), "%s: cannot be opened for appending: %s", path,
                       nl_write_reason(error, reason));
    }
    end_last_line(log->file);
    pthread_mutex_init(&log->lock, NULL);
    *out = log;
    return NL_OK;
}

void nl_log_event(nl_log *log, const char *event, const char *format, ...)
{
    nl_text line = {0};
    char stamp[32];
    char *pairs = NULL;
    char *escaped = NULL; /* names and folders in it may hold anything: a line stays one line */
    int length = 0;
    time_t now = time(NULL);
    struct tm utc;
    va_list args;

    if (log == NULL) {
        return;
    }
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    va_start(args, format);
    length = vasprintf(&pairs, format, args);
    if (length >= 0) {
        const size_t size = 4 * (size_t)length + 1; /* a byte becomes \xNN at most */

        escaped = malloc(size);
        if (escaped != NULL) {
            nl_text_append(&line, "%s time=%s %s\n", event, stamp,
                           nl_escaped(pairs, escaped, size));
        }
        free(escaped);
        free(pairs);
    }
    va_end(args);
    pthread_mutex_lock(&log->lock);
    if (line.length > 0 && !log->mute) {
        if (log->torn) {
            end_last_line(log->file);
        }
        /* A full disk stops the study where results are written. */
        log->torn = !nl_write_all(log->file, line.data, line.length);
    }
    pthread_mutex_unlock(&log->lock);
    nl_text_free(&line);
}

void nl_log_mute(nl_log *log)
{
    if (log != NULL) {
        pthread_mutex_lock(&log->lock);
        log->mute = true;
        pthread_mutex_unlock(&log->lock);
    }
}

void nl_log_close(nl_log **log)
{
    if (*log != NULL) {
        close((*log)->file);
        pthread_mutex_destroy(&(*log)->lock);
        free(*log);
        *log = NULL;
    }
}
