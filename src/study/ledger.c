/** @file ledger.c  The root's book of the study. */
#include "ledger.h"
#include "timings.h"

#include "ntklens/io.h"

#include <stdlib.h>
#include <string.h>

static const double write_interval = 10.0;

enum { told_rows = 1, told_timing, told_event, told_progress };

/** What every message starts with; rows follow where there are any. */
typedef struct told {
    int kind, cell, rank, count;
    char phase[24];                /* timing: phase; event: what happened */
    char reason[nl_differs_width]; /* event */
    double seconds, bytes, fraction;
    int64_t step;
} told;

struct nl_ledger {
    char *results, *timings; /* owned; paths */
    const nl_cell *cells;
    const double *cost;
    int count;
    nl_log *log;
    nl_progress *progress; /* owned; NULL: quiet */
    nl_row *rows;          /* owned */
    int row_count;
    nl_text timing_lines; /* those of earlier runs too */
    double *fraction;     /* owned; [count] of each cell's work */
    int finished;
    double idle; /* seconds, of all ranks */
    char detail[96];
    bool changed;
    double next_write;
    bool lost_rows;   /* no memory for rows that a rank told */
    nl_status status; /* first failure on the service thread */
};

/* A whole line of timings.csv, as "w8-d2-n64-s0-0123456789ab,train,0,1.500000,1048576"; the cell is
 * "-" where the line is about a rank. */
static bool is_timing(const char *line)
{
    char cell[128];
    char phase[24];
    char bytes[24];
    int rank = 0;
    int end = -1;
    double seconds = 0.0;

    return sscanf(line, "%127[-a-z0-9],%23[a-z_],%d,%lf,%23[0-9]%n", cell, phase, &rank, &seconds,
                  bytes, &end) == 5 &&
           line[end] == '\0';
}

/* Timings of earlier runs of this study are kept, they cannot be measured again.  Nothing depends
 * on them: a file that cannot be read, or lines that are damaged, are left out with a word. */
static void read_timings(nl_ledger *ledger)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    char *rest = NULL;
    int dropped = 0;

    nl_text_append(&ledger->timing_lines, "%s\n", nl_timings_header);
    if (!nl_path_exists(ledger->timings) ||
        nl_file_read(ledger->timings, NL_PLAIN, &bytes, &length) != NL_OK) {
        return;
    }
    for (size_t k = 0; k < length; k++) {
        bytes[k] = bytes[k] == '\0' ? '?' : bytes[k];
    }
    for (char *line = strtok_r((char *)bytes, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (is_timing(line)) {
            nl_text_append(&ledger->timing_lines, "%s\n", line);
        } else if (strncmp(line, nl_timings_header, strlen(line)) != 0) {
            dropped++;
        }
    }
    if (dropped > 0) {
        nl_log_event(ledger->log, "timings_dropped", "lines=%d reason=\"damaged\"", dropped);
    }
    free(bytes);
}

nl_status nl_ledger_create(const char *folder, const nl_cell *cells, const double *cost, int count,
                           nl_log *log, bool quiet, nl_ledger **out)
{
    nl_ledger *ledger = calloc(1, sizeof *ledger);
    nl_status status = NL_OK;

    *out = NULL;
    if (ledger == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the results");
    }
    ledger->cells = cells;
    ledger->cost = cost;
    ledger->count = count;
    ledger->log = log;
    ledger->results = nl_path_join(folder, "results.csv");
    ledger->timings = nl_path_join(folder, "timings.csv");
    ledger->fraction = nl_calloc((size_t)count, sizeof *ledger->fraction);
    if (!ledger->results || !ledger->timings || !ledger->fraction) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the results");
        goto done;
    }
    read_timings(ledger);
    if (!quiet) {
        status = nl_progress_create(&ledger->progress);
    }

done:
    if (status != NL_OK) {
        nl_ledger_destroy(&ledger);
        return status;
    }
    ledger->changed = true;
    *out = ledger;
    return NL_OK;
}

void nl_ledger_destroy(nl_ledger **ledger)
{
    if (*ledger != NULL) {
        nl_progress_destroy(&(*ledger)->progress);
        nl_text_free(&(*ledger)->timing_lines);
        free((*ledger)->results);
        free((*ledger)->timings);
        free((*ledger)->fraction);
        free((*ledger)->rows);
        free(*ledger);
        *ledger = NULL;
    }
}

nl_status nl_ledger_add(nl_ledger *ledger, int cell, const nl_row *rows, int count)
{
    nl_row *all =
        realloc(ledger->rows, ((size_t)ledger->row_count + (size_t)count + 1) * sizeof *all);

    if (all == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d rows", ledger->row_count + count);
    }
    ledger->rows = all;
    if (count > 0) {
        memcpy(all + ledger->row_count, rows, (size_t)count * sizeof *rows);
    }
    ledger->row_count += count;
    ledger->fraction[cell] = 1.0;
    ledger->finished++;
    ledger->changed = true;
    return NL_OK;
}

void nl_ledger_progress(nl_ledger *ledger, int cell, int rank, double fraction, long step)
{
    if (ledger->fraction[cell] >= 1.0) {
        return; /* its rows were quicker */
    }
    ledger->fraction[cell] = fraction;
    snprintf(ledger->detail, sizeof ledger->detail, "rank %d: %.60s step %ld", rank,
             ledger->cells[cell].id, step);
}

void nl_ledger_deliver(nl_ledger *ledger, int source, const void *bytes, size_t length)
{
    told head;
    const char *id = NULL;

    memcpy(&head, bytes, sizeof head);
    id = head.cell == nl_no_cell ? "-" : ledger->cells[head.cell].id;
    switch (head.kind) {
    case told_rows: {
        /* Behind the header the rows are not aligned: copy them out. */
        nl_row *rows = nl_calloc((size_t)head.count, sizeof *rows);
        nl_status status =
            rows == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for rows of %s", id) : NL_OK;

        if (status == NL_OK) {
            memcpy(rows, (const char *)bytes + sizeof head, length - sizeof head);
            status = nl_ledger_add(ledger, head.cell, rows, head.count);
        }
        free(rows);
        ledger->status = ledger->status == NL_OK ? status : ledger->status;
        ledger->lost_rows = ledger->lost_rows || status != NL_OK;
        nl_log_event(ledger->log, "cell_done", "cell=%s rank=%d rows=%d finished=%d of=%d", id,
                     source, head.count, ledger->finished, ledger->count);
        break;
    }
    case told_timing:
        nl_text_append(&ledger->timing_lines, "%s,%s,%d,%.6f,%.0f\n", id, head.phase, head.rank,
                       head.seconds, head.bytes);
        ledger->idle += head.cell == nl_no_cell ? head.seconds : 0.0;
        ledger->changed = true;
        break;
    case told_event:
        nl_log_event(ledger->log, head.phase, "cell=%s rank=%d reason=\"%s\"", id, head.rank,
                     head.reason);
        break;
    case told_progress:
    default:
        nl_ledger_progress(ledger, head.cell, head.rank, head.fraction, (long)head.step);
        break;
    }
}

static double fraction_done(const nl_ledger *ledger)
{
    double done = 0.0;
    double all = 0.0;

    for (int k = 0; k < ledger->count; k++) {
        done += ledger->fraction[k] * ledger->cost[k];
        all += ledger->cost[k];
    }
    return all > 0.0 ? done / all : 1.0;
}

nl_status nl_ledger_flush(nl_ledger *ledger)
{
    nl_text table = {0};
    nl_status status = NL_OK;

    nl_rows_write(ledger->cells, ledger->rows, ledger->row_count, &table);
    if (table.failed || ledger->timing_lines.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the table", ledger->results);
    } else {
        status = nl_file_write_atomic(ledger->results, table.data, table.length, NL_PLAIN);
    }
    if (status == NL_OK) {
        status = nl_file_write_atomic(ledger->timings, ledger->timing_lines.data,
                                      ledger->timing_lines.length, NL_PLAIN);
    }
    nl_text_free(&table);
    ledger->changed = false;
    ledger->next_write = nl_now() + write_interval;
    /* A table that lacks rows is no success; the next run makes it whole from cells/. */
    return ledger->lost_rows && status == NL_OK ? NL_ERR_NOMEM : status;
}

nl_status nl_ledger_tick(nl_ledger *ledger)
{
    if (ledger->status == NL_OK && ledger->changed && nl_now() >= ledger->next_write) {
        ledger->status = nl_ledger_flush(ledger);
    }
    nl_progress_show(ledger->progress, ledger->finished, ledger->count, fraction_done(ledger),
                     ledger->detail);
    return ledger->status;
}

nl_status nl_ledger_status(const nl_ledger *ledger)
{
    return ledger->status;
}

int nl_ledger_finished(const nl_ledger *ledger)
{
    return ledger->finished;
}

int nl_ledger_rows(const nl_ledger *ledger)
{
    return ledger->row_count;
}

double nl_ledger_idle(const nl_ledger *ledger)
{
    return ledger->idle;
}

nl_status nl_tell_rows(nl_service *service, int cell, const nl_row *rows, int count)
{
    const told head = {.kind = told_rows, .cell = cell, .count = count};
    nl_text message = {0};
    nl_status status = NL_OK;

    nl_text_append_bytes(&message, &head, sizeof head);
    nl_text_append_bytes(&message, rows, (size_t)count * sizeof *rows);
    status = message.failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a message of %d rows", count)
                            : nl_service_tell(service, message.data, message.length);
    nl_text_free(&message);
    return status;
}

nl_status nl_tell_timing(nl_service *service, int cell, int rank, const char *phase, double seconds)
{
    told head = {.kind = told_timing,
                 .cell = cell,
                 .rank = rank,
                 .seconds = seconds,
                 .bytes = (double)nl_peak_memory()};

    snprintf(head.phase, sizeof head.phase, "%s", phase);
    return nl_service_tell(service, &head, sizeof head);
}

nl_status nl_tell_event(nl_service *service, int cell, int rank, const char *event,
                        const char *reason)
{
    told head = {.kind = told_event, .cell = cell, .rank = rank};

    snprintf(head.phase, sizeof head.phase, "%s", event);
    snprintf(head.reason, sizeof head.reason, "%s", reason);
    return nl_service_tell(service, &head, sizeof head);
}

nl_status nl_tell_progress(nl_service *service, int cell, int rank, double fraction, long step)
{
    const told head = {
        .kind = told_progress, .cell = cell, .rank = rank, .fraction = fraction, .step = step};

    return nl_service_tell(service, &head, sizeof head);
}
