/** @file log.c  The event log of a study. */
#include "ntklens/base.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct nl_log {
    FILE *stream;         /* owned */
    pthread_mutex_t lock; /* worker and service thread both write */
};

/* What a killed run wrote may break off within a line: do not go on there. */
static void end_last_line(FILE *stream)
{
    if (fseek(stream, -1, SEEK_END) == 0) {
        const int last = fgetc(stream);

        fseek(stream, 0, SEEK_END);
        if (last != '\n' && last != EOF) {
            fputc('\n', stream);
        }
    }
}

nl_status nl_log_open(const char *path, nl_log **out)
{
    nl_log *log = NULL;

    *out = NULL;
    log = calloc(1, sizeof *log);
    if (log == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the log", path);
    }
    log->stream = fopen(path, "a+e");
    if (log->stream == NULL) {
        const int error = errno;
        const nl_status status = nl_write_status(error);

        free(log);
        return NL_FAIL(status, "%s: cannot be opened for appending: %s%s", path, strerror(error),
                       nl_write_advice(status));
    }
    end_last_line(log->stream);
    pthread_mutex_init(&log->lock, NULL);
    *out = log;
    return NL_OK;
}

void nl_log_event(nl_log *log, const char *event, const char *format, ...)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    va_list args;

    if (log == NULL) {
        return;
    }
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    pthread_mutex_lock(&log->lock);
    fprintf(log->stream, "%s time=%s ", event, stamp);
    va_start(args, format);
    vfprintf(log->stream, format, args);
    va_end(args);
    fputc('\n', log->stream);
    fflush(log->stream);
    pthread_mutex_unlock(&log->lock);
}

void nl_log_close(nl_log **log)
{
    if (*log != NULL) {
        fclose((*log)->stream);
        pthread_mutex_destroy(&(*log)->lock);
        free(*log);
        *log = NULL;
    }
}
