/** @file ledger.c  The root's book of the study. */
#include "ledger.h"
#include "table_writer.h"
#include "timings.h"

#include "ntklens/io.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { batch_length = 1 << 18 }; /* bytes of rows that are told together */

enum { told_rows = 1, told_timing, told_event, told_progress };

/** What is told of one cell or rank: a message is one of these or several, each followed by
 * `length` bytes, the cell's block of rows where it is about rows. */
typedef struct told {
    int kind, cell, rank, rows;
    bool loaded; /* rows: of an earlier run */
    size_t length;
    char phase[24];                /* timing: phase; event: what happened */
    char reason[nl_differs_width]; /* event */
    double seconds, bytes, fraction;
    int64_t step;
} told;

struct nl_ledger {
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
    double idle;        /* seconds, of all ranks */
    char detail[96];
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
static nl_status read_timings(nl_ledger *ledger, const char *path)
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
        if (is_timing(line)) {
            status = nl_table_writer_add_timing(ledger->writer, line);
        } else if (strncmp(line, nl_timings_header, strlen(line)) != 0) {
            dropped++;
        }
    }
    if (dropped > 0) {
        nl_log_event(ledger->log, "timings_dropped", "lines=%d reason=\"damaged\"", dropped);
    }
    free(bytes);
    return status;
}

nl_status nl_ledger_create(const char *folder, const nl_cell *cells, const double *cost, int count,
                           nl_log *log, bool quiet, nl_ledger **out)
{
    nl_ledger *ledger = calloc(1, sizeof *ledger);
    char *timings = nl_path_join(folder, "timings.csv");
    nl_status status = NL_OK;

    *out = NULL;
    if (ledger == NULL || timings == NULL) {
        free(ledger);
        free(timings);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the results");
    }
    ledger->cells = cells;
    ledger->cost = cost;
    ledger->count = count;
    ledger->log = log;
    atomic_init(&ledger->awaited, -1);
    ledger->fraction = nl_calloc((size_t)count, sizeof *ledger->fraction);
    status = ledger->fraction == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the results")
                                      : nl_table_writer_create(folder, count, &ledger->writer);
    if (status == NL_OK) {
        status = read_timings(ledger, timings);
    }
    if (status == NL_OK && !quiet) {
        status = nl_progress_create(&ledger->progress);
    }
    free(timings);
    if (status != NL_OK) {
        nl_ledger_destroy(&ledger);
        return status;
    }
    *out = ledger;
    return NL_OK;
}

void nl_ledger_destroy(nl_ledger **ledger)
{
    if (*ledger != NULL) {
        nl_progress_destroy(&(*ledger)->progress);
        nl_table_writer_destroy(&(*ledger)->writer);
        free((*ledger)->fraction);
        free(*ledger);
        *ledger = NULL;
    }
}

void nl_ledger_await(nl_ledger *ledger, int loaded)
{
    atomic_store(&ledger->awaited, loaded);
}

/* Tables of an earlier run are replaced once what they told is here. */
static void begin_when_complete(nl_ledger *ledger)
{
    const int awaited = atomic_load(&ledger->awaited);

    if (!ledger->begun && awaited >= 0 && ledger->finished >= awaited) {
        ledger->begun = true;
        nl_table_writer_begin(ledger->writer);
    }
}

/* A table that lacks rows is no success; the next run makes it whole from cells/. */
static void note(nl_ledger *ledger, nl_status status)
{
    ledger->status = ledger->status == NL_OK ? status : ledger->status;
}

static void take_rows(nl_ledger *ledger, int source, const told *head, const void *bytes)
{
    nl_row_block *block = malloc(head->length);
    const char *id = ledger->cells[head->cell].id;

    if (block == NULL) {
        note(ledger, NL_FAIL(NL_ERR_NOMEM, "out of memory for rows of %s", id));
    } else { /* in the message it is not aligned */
        memcpy(block, bytes, head->length);
        nl_table_writer_add(ledger->writer, head->cell, block);
        ledger->row_count += head->rows;
    }
    ledger->fraction[head->cell] = 1.0;
    ledger->finished++;
    if (!head->loaded) {
        nl_log_event(ledger->log, "cell_done", "cell=%s rank=%d rows=%d finished=%d of=%d", id,
                     source, head->rows, ledger->finished, ledger->count);
    }
}

static void take_timing(nl_ledger *ledger, const told *head, const char *id)
{
    char line[160];

    snprintf(line, sizeof line, "%s,%s,%d,%.6f,%.0f", id, head->phase, head->rank, head->seconds,
             head->bytes);
    note(ledger, nl_table_writer_add_timing(ledger->writer, line));
    ledger->idle += head->cell == nl_no_cell ? head->seconds : 0.0;
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

static void take_one(nl_ledger *ledger, int source, const told *head, const void *bytes)
{
    const char *id = head->cell == nl_no_cell ? "-" : ledger->cells[head->cell].id;

    switch (head->kind) {
    case told_rows:
        take_rows(ledger, source, head, bytes);
        break;
    case told_timing:
        take_timing(ledger, head, id);
        break;
    case told_event:
        nl_log_event(ledger->log, head->phase, "cell=%s rank=%d reason=\"%s\"", id, head->rank,
                     head->reason);
        break;
    case told_progress:
    default:
        nl_ledger_progress(ledger, head->cell, head->rank, head->fraction, (long)head->step);
        break;
    }
}

void nl_ledger_deliver(nl_ledger *ledger, int source, const void *bytes, size_t length)
{
    const char *at = bytes;
    const char *end = at + length;
    told head;

    while (at < end) {
        memcpy(&head, at, sizeof head);
        take_one(ledger, source, &head, at + sizeof head);
        at += sizeof head + head.length;
    }
    begin_when_complete(ledger);
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

nl_status nl_ledger_tick(nl_ledger *ledger)
{
    begin_when_complete(ledger);
    note(ledger, nl_table_writer_status(ledger->writer));
    if (ledger->progress != NULL) {
        nl_progress_show(ledger->progress, ledger->finished, ledger->count, fraction_done(ledger),
                         ledger->detail);
    }
    return ledger->status;
}

void nl_ledger_mute(nl_ledger *ledger)
{
    nl_table_writer_mute(ledger->writer);
}

nl_status nl_ledger_finish(nl_ledger *ledger)
{
    begin_when_complete(ledger);
    note(ledger, nl_table_writer_status(ledger->writer));
    note(ledger, nl_table_writer_finish(ledger->writer));
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

static nl_status append_rows(const nl_cell *cells, told head, nl_row *rows, int count,
                             nl_text *message)
{
    nl_row_block *block = NULL;
    nl_status status = nl_row_block_create(cells, rows, count, &block);

    if (status == NL_OK) {
        head.kind = told_rows;
        head.rows = count;
        head.length = nl_row_block_size(block);
        nl_text_append_bytes(message, &head, sizeof head);
        nl_text_append_bytes(message, block, head.length);
        status = message->failed
                     ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a message of %d rows", count)
                     : NL_OK;
    }
    free(block);
    return status;
}

nl_status nl_tell_rows(nl_service *service, const nl_cell *cells, int cell, nl_row *rows, int count)
{
    nl_text message = {0};
    nl_status status = append_rows(cells, (told){.cell = cell}, rows, count, &message);

    if (status == NL_OK) {
        status = nl_service_tell(service, message.data, message.length);
    }
    nl_text_free(&message);
    return status;
}

nl_status nl_tell_loaded(nl_service *service, const nl_cell *cells, int cell, nl_row *rows,
                         int count, nl_text *batch)
{
    nl_status status = NL_OK;

    if (count > 0) {
        status = append_rows(cells, (told){.cell = cell, .loaded = true}, rows, count, batch);
    }
    if (status == NL_OK && batch->length > (count > 0 ? (size_t)batch_length : 0)) {
        status = nl_service_tell(service, batch->data, batch->length);
        batch->length = 0;
    }
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
