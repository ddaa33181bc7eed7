/** @file table_writer.c  The tables of a run, written beside its work. */
#include "ntklens/folder.h"
#include "ntklens/io.h"
#include "ntklens/rows.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const double check_seconds = 0.1;    /* between two looks for something new */
static const double write_interval = 10.0;  /* between two writes, at least */
static const double longest_share = 10.0;   /* a write is followed by as many times its length */
static const size_t piece_length = 1 << 20; /* bytes of a table that are in memory as text */

/** Timings: lines are appended, never moved, so that they can be read meanwhile. */
typedef struct part {
    atomic_size_t length;
    _Atomic(struct part *) next; /* owned */
    char text[32768];
} part;

/* Who touches what: the caller's thread sets entries of `block` and appends to `last`, the writer's
 * thread reads them.  Both go by atomics, so nobody holds what another waits for.  The rest is
 * constant, or of the thread that is named. */
struct nl_table_writer {
    char *results, *timings; /* owned; paths */
    int cells;
    _Atomic(nl_row_block *) *block; /* owned, as are the blocks; [cells]; set once each */
    part *first;                    /* owned */
    part *last;                     /* of the caller's thread */
    atomic_bool begun, mute;
    atomic_bool changed; /* set behind a change, taken before a write */
    atomic_int status;   /* nl_status: the first failure */
    nl_ticker *ticker;   /* owned; NULL: ended */
    double next_write;   /* of the writer's thread */
};

/*---------------------------------------------------------------------------------------------
 * The caller's thread
 *-------------------------------------------------------------------------------------------*/

static void touch(nl_table_writer *writer)
{
    atomic_store(&writer->changed, true);
}

void nl_table_writer_begin(nl_table_writer *writer)
{
    atomic_store(&writer->begun, true);
}

void nl_table_writer_mute(nl_table_writer *writer)
{
    atomic_store(&writer->mute, true);
}

void nl_table_writer_add(nl_table_writer *writer, int cell, nl_row_block *block)
{
    nl_row_block *none = NULL;

    if (!atomic_compare_exchange_strong(&writer->block[cell], &none, block)) {
        free(block); /* the first one may be read just now */
    }
    touch(writer);
}

nl_status nl_table_writer_add_timing(nl_table_writer *writer, const char *line)
{
    part *last = writer->last;
    const size_t length = strlen(line);
    size_t at = atomic_load(&last->length);

    if (at + length + 1 > sizeof last->text) {
        last = calloc(1, sizeof *last);
        if (last == NULL || length + 1 > sizeof last->text) {
            free(last);
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for timings");
        }
        atomic_store(&writer->last->next, last);
        writer->last = last;
        at = 0;
    }
    memcpy(last->text + at, line, length);
    last->text[at + length] = '\n';
    atomic_store(&last->length, at + length + 1);
    touch(writer);
    return NL_OK;
}

nl_status nl_table_writer_status(const nl_table_writer *writer)
{
    return (nl_status)atomic_load(&writer->status);
}

/*---------------------------------------------------------------------------------------------
 * Writing
 *-------------------------------------------------------------------------------------------*/

/** How far results.csv is written. */
typedef struct results_position {
    const nl_table_writer *writer;
    int cell; /* next one; -1: the first line */
    nl_text text;
} results_position;

/* nl_piece_fn: lines of the next cells. */
static nl_status next_lines(void *context, const void **bytes, size_t *length)
{
    results_position *at = context;
    nl_status status = NL_OK;

    at->text.length = 0;
    if (at->cell < 0) {
        nl_rows_write_header(&at->text);
        at->cell = 0;
    }
    for (; status == NL_OK && at->cell < at->writer->cells && at->text.length < piece_length;
         at->cell++) {
        const nl_row_block *block = atomic_load(&at->writer->block[at->cell]);

        status = block != NULL ? nl_row_block_unpack(block, &at->text) : NL_OK;
    }
    if (at->text.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the table", at->writer->results);
    }
    *bytes = at->text.data;
    *length = at->text.length;
    return status;
}

/* nl_piece_fn: the context is the part that is next. */
static nl_status next_timings(void *context, const void **bytes, size_t *length)
{
    const part **at = context;

    *length = 0;
    if (*at != NULL) {
        *bytes = (*at)->text;
        *length = atomic_load(&(*at)->length);
        *at = atomic_load(&(*at)->next);
    }
    return NL_OK;
}

static nl_status write_tables(nl_table_writer *writer)
{
    results_position results = {.writer = writer, .cell = -1};
    const part *timings = writer->first;
    nl_status status = nl_file_write_pieces(writer->results, NL_PLAIN, next_lines, &results);

    nl_text_free(&results.text);
    return status == NL_OK ? nl_file_write_pieces(writer->timings, NL_PLAIN, next_timings, &timings)
                           : status;
}

static bool may_write(const nl_table_writer *writer)
{
    return atomic_load(&writer->begun) && !atomic_load(&writer->mute);
}

/* nl_tick_fn. */
static void write_what_is_new(void *context)
{
    nl_table_writer *writer = context;
    const double start = nl_now();
    nl_status status = NL_OK;

    if (!may_write(writer) || start < writer->next_write ||
        nl_table_writer_status(writer) != NL_OK || !atomic_exchange(&writer->changed, false)) {
        return;
    }
    status = write_tables(writer);
    writer->next_write = nl_now() + fmax(write_interval, longest_share * (nl_now() - start));
    atomic_store(&writer->status, (int)status);
}

nl_status nl_table_writer_finish(nl_table_writer *writer)
{
    nl_ticker_end(&writer->ticker);
    return may_write(writer) ? write_tables(writer) : NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Life
 *-------------------------------------------------------------------------------------------*/

nl_status nl_table_writer_create(const char *folder, int cells, nl_table_writer **out)
{
    nl_table_writer *writer = calloc(1, sizeof *writer);
    nl_status status = NL_OK;

    *out = NULL;
    if (writer == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the results");
    }
    writer->cells = cells;
    writer->results = nl_path_join(folder, "results.csv");
    writer->timings = nl_path_join(folder, "timings.csv");
    writer->block = calloc((size_t)cells + 1, sizeof *writer->block);
    writer->first = writer->last = calloc(1, sizeof *writer->first);
    if (!writer->results || !writer->timings || !writer->block || !writer->first) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the results of %d cells", cells);
        goto done;
    }
    status = nl_table_writer_add_timing(writer, nl_timings_header);
    if (status == NL_OK) {
        status = nl_ticker_create(check_seconds, write_what_is_new, writer, &writer->ticker);
    }

done:
    if (status != NL_OK) {
        nl_table_writer_destroy(&writer);
        return status;
    }
    *out = writer;
    return NL_OK;
}

void nl_table_writer_destroy(nl_table_writer **writer_)
{
    nl_table_writer *writer = *writer_;

    if (writer == NULL) {
        return;
    }
    nl_ticker_end(&writer->ticker);
    for (int k = 0; writer->block != NULL && k < writer->cells; k++) {
        free(writer->block[k]);
    }
    for (part *at = writer->first, *next = NULL; at != NULL; at = next) {
        next = at->next;
        free(at);
    }
    free(writer->block);
    free(writer->results);
    free(writer->timings);
    free(writer);
    *writer_ = NULL;
}
