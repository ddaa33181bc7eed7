/** @file collector.c  What the root keeps of all ranks' work. */
#include "collector.h"
#include "messages.h"

#include "ntklens/folder.h"
#include "ntklens/io.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct nl_collector {
    nl_table_writer *writer; /* owned */
    const nl_cell *cells;
    const double *cost;
    int count;
    nl_log *log;
    nl_progress *progress; /* owned; NULL: quiet */
    int row_count;
    double *fraction; /* owned; [count] of each cell's work */
    int finished;
    atomic_int awaited; /* finished cells of earlier runs; -1: the main thread does not know yet */
    bool begun;         /* they are all here: tables may be written */
    double idle, lent;  /* seconds, of all ranks */
    int checks, off;    /* quadratures held against exact entropies; those that were off */
    char detail[128];
    nl_status status; /* first failure on the service thread */
};

/* Timings of earlier runs of this study are kept, they cannot be measured again.  Nothing depends
 * on them: a file that cannot be read, or lines that are damaged, are left out with a word. */
static nl_status read_timings(nl_collector *collector, const char *path)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    char *rest = NULL;
    int dropped = 0;
    nl_status status = NL_OK;

    if (!nl_path_exists(path) || nl_file_read(path, NL_PLAIN, &bytes, &length) != NL_OK) {
        return NL_OK;
    }
    for (size_t k = 0; k < length; k++) {
        bytes[k] = bytes[k] == '\0' ? '?' : bytes[k];
    }
    for (char *line = strtok_r((char *)bytes, "\n", &rest); status == NL_OK && line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (nl_timing_is_line(line)) {
            status = nl_table_writer_add_timing(collector->writer, line);
        } else if (strncmp(line, nl_timings_header, strlen(line)) != 0) {
            dropped++;
        }
    }
    if (dropped > 0) {
        nl_log_event(collector->log, "timings_dropped", "lines=%d reason=\"damaged\"", dropped);
    }
    free(bytes);
    return status;
}

nl_status nl_collector_create(const char *folder, const nl_cell *cells, const double *cost,
                              int count, nl_log *log, nl_collector **out)
{
    nl_collector *collector = calloc(1, sizeof *collector);
    char *timings = nl_path_join(folder, "timings.csv");
    nl_status status = NL_OK;

    *out = NULL;
    if (collector == NULL || timings == NULL) {
        free(collector);
        free(timings);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the results");
    }
    collector->cells = cells;
    collector->cost = cost;
    collector->count = count;
    collector->log = log;
    atomic_init(&collector->awaited, -1);
    collector->fraction = nl_calloc((size_t)count, sizeof *collector->fraction);
    status = collector->fraction == NULL
                 ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the results")
                 : nl_table_writer_create(folder, count, &collector->writer);
    if (status == NL_OK) {
        status = read_timings(collector, timings);
    }
    free(timings);
    if (status != NL_OK) {
        nl_collector_destroy(&collector);
        return status;
    }
    *out = collector;
    return NL_OK;
}

nl_status nl_collector_show_progress(nl_collector *collector)
{
    return nl_progress_create(&collector->progress);
}

void nl_collector_destroy(nl_collector **collector)
{
    if (*collector != NULL) {
        nl_progress_destroy(&(*collector)->progress);
        nl_table_writer_destroy(&(*collector)->writer);
        free((*collector)->fraction);
        free(*collector);
        *collector = NULL;
    }
}

void nl_collector_await(nl_collector *collector, int loaded)
{
    atomic_store(&collector->awaited, loaded);
}

/* Tables of an earlier run are replaced once their rows are here. */
static void begin_when_complete(nl_collector *collector)
{
    const int awaited = atomic_load(&collector->awaited);

    if (!collector->begun && awaited >= 0 && collector->finished >= awaited) {
        collector->begun = true;
        nl_table_writer_begin(collector->writer);
    }
}

/* A table that lacks rows is no success; the next run makes it whole from cells/. */
static void note(nl_collector *collector, nl_status status)
{
    collector->status = collector->status == NL_OK ? status : collector->status;
}

static void take_rows(nl_collector *collector, int source, const nl_message *head,
                      const void *bytes)
{
    nl_row_block *block = malloc(head->length);
    const char *id = collector->cells[head->cell].id;

    if (block == NULL) {
        note(collector, NL_FAIL(NL_ERR_NOMEM, "out of memory for rows of %s", id));
    } else { /* in the message it is not aligned */
        memcpy(block, bytes, head->length);
        nl_table_writer_add(collector->writer, head->cell, block);
        collector->row_count += head->rows;
    }
    collector->fraction[head->cell] = 1.0;
    collector->finished++;
    if (!head->loaded) {
        nl_log_event(collector->log, "cell_done", "cell=%s rank=%d rows=%d finished=%d of=%d", id,
                     source, head->rows, collector->finished, collector->count);
    }
}

static void take_timing(nl_collector *collector, const nl_message *head, const char *id)
{
    char line[160];

    snprintf(line, sizeof line, "%s,%s,%d,%.6f,%.0f", id, head->phase, head->rank, head->seconds,
             head->bytes);
    note(collector, nl_table_writer_add_timing(collector->writer, line));
    if (head->cell == nl_no_cell) {
        *(strcmp(head->phase, "lent") == 0 ? &collector->lent : &collector->idle) += head->seconds;
    }
}

void nl_collector_progress(nl_collector *collector, const nl_cell_progress *now)
{
    char cores[24] = "";

    if (collector->fraction[now->cell] >= 1.0) {
        return; /* its rows were quicker */
    }
    collector->fraction[now->cell] = now->fraction;
    if (now->cores > 1) {
        snprintf(cores, sizeof cores, " on %d cores", now->cores);
    }
    snprintf(collector->detail, sizeof collector->detail, "rank %d: %.60s step %ld%s", now->rank,
             collector->cells[now->cell].id, now->step, cores);
}

static void take_event(nl_collector *collector, const nl_message *head, const char *id)
{
    const bool off = strcmp(head->phase, "quadrature_off") == 0;

    nl_log_event(collector->log, head->phase, "cell=%s rank=%d reason=\"%s\"", id, head->rank,
                 head->reason);
    collector->off += off;
    collector->checks += off || strcmp(head->phase, "quadrature_checked") == 0;
}

static void take_one(nl_collector *collector, int source, const nl_message *head, const void *bytes)
{
    const char *id = head->cell == nl_no_cell ? "-" : collector->cells[head->cell].id;

    switch (head->kind) {
    case NL_MESSAGE_ROWS:
        take_rows(collector, source, head, bytes);
        break;
    case NL_MESSAGE_TIMING:
        take_timing(collector, head, id);
        break;
    case NL_MESSAGE_EVENT:
        take_event(collector, head, id);
        break;
    case NL_MESSAGE_PROGRESS:
    default:
        nl_collector_progress(collector, &(nl_cell_progress){.cell = head->cell,
                                                             .rank = head->rank,
                                                             .fraction = head->fraction,
                                                             .step = (long)head->step,
                                                             .cores = head->cores});
        break;
    }
}

void nl_collector_deliver(nl_collector *collector, int source, const void *bytes, size_t length)
{
    const char *at = bytes;
    const char *end = at + length;
    nl_message head;

    while (at < end) {
        memcpy(&head, at, sizeof head);
        take_one(collector, source, &head, at + sizeof head);
        at += sizeof head + head.length;
    }
    begin_when_complete(collector);
}

static double fraction_done(const nl_collector *collector)
{
    double done = 0.0;
    double all = 0.0;

    for (int k = 0; k < collector->count; k++) {
        done += collector->fraction[k] * collector->cost[k];
        all += collector->cost[k];
    }
    return all > 0.0 ? done / all : 1.0;
}

nl_status nl_collector_tick(nl_collector *collector)
{
    begin_when_complete(collector);
    note(collector, nl_table_writer_status(collector->writer));
    if (collector->progress != NULL) {
        nl_progress_show(collector->progress, collector->finished, collector->count,
                         fraction_done(collector), collector->detail);
    }
    return collector->status;
}

void nl_collector_mute(nl_collector *collector)
{
    nl_table_writer_mute(collector->writer);
}

nl_status nl_collector_finish(nl_collector *collector)
{
    begin_when_complete(collector);
    note(collector, nl_table_writer_status(collector->writer));
    note(collector, nl_table_writer_finish(collector->writer));
    return collector->status;
}

int nl_collector_finished(const nl_collector *collector)
{
    return collector->finished;
}

int nl_collector_rows(const nl_collector *collector)
{
    return collector->row_count;
}

int nl_collector_checks(const nl_collector *collector)
{
    return collector->checks;
}

int nl_collector_off(const nl_collector *collector)
{
    return collector->off;
}

double nl_collector_idle(const nl_collector *collector)
{
    return collector->idle;
}

double nl_collector_lent(const nl_collector *collector)
{
    return collector->lent;
}
