/** @file messages.c  What ranks send to the collector. */
#include "messages.h"

#include <stdlib.h>

enum { batch_length = 1 << 18 }; /* bytes of rows that are sent together */

static nl_status append_rows(const nl_cell *cells, nl_message head, nl_row *rows, int count,
                             nl_text *message)
{
    nl_row_block *block = NULL;
    nl_status status = nl_row_block_create(cells, rows, count, &block);

    if (status == NL_OK) {
        head.kind = NL_MESSAGE_ROWS;
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

nl_status nl_send_rows(nl_service *service, const nl_cell *cells, int cell, nl_row *rows, int count)
{
    nl_text message = {0};
    nl_status status = append_rows(cells, (nl_message){.cell = cell}, rows, count, &message);

    if (status == NL_OK) {
        status = nl_service_send(service, message.data, message.length);
    }
    nl_text_free(&message);
    return status;
}

nl_status nl_send_loaded_rows(nl_service *service, const nl_cell *cells, int cell, nl_row *rows,
                              int count, nl_text *batch)
{
    nl_status status = NL_OK;

    if (count > 0) {
        status = append_rows(cells, (nl_message){.cell = cell, .loaded = true}, rows, count, batch);
    }
    if (status == NL_OK && batch->length > (count > 0 ? (size_t)batch_length : 0)) {
        status = nl_service_send(service, batch->data, batch->length);
        batch->length = 0;
    }
    return status;
}

nl_status nl_send_timing(nl_service *service, int cell, int rank, const char *phase, double seconds)
{
    nl_message head = {.kind = NL_MESSAGE_TIMING,
                       .cell = cell,
                       .rank = rank,
                       .seconds = seconds,
                       .bytes = (double)nl_peak_memory()};

    snprintf(head.phase, sizeof head.phase, "%s", phase);
    return nl_service_send(service, &head, sizeof head);
}

nl_status nl_send_event(nl_service *service, int cell, int rank, const char *event,
                        const char *reason)
{
    nl_message head = {.kind = NL_MESSAGE_EVENT, .cell = cell, .rank = rank};

    snprintf(head.phase, sizeof head.phase, "%s", event);
    snprintf(head.reason, sizeof head.reason, "%s", reason);
    return nl_service_send(service, &head, sizeof head);
}

nl_status nl_send_progress(nl_service *service, const nl_cell_progress *now)
{
    const nl_message head = {.kind = NL_MESSAGE_PROGRESS,
                             .cell = now->cell,
                             .rank = now->rank,
                             .fraction = now->fraction,
                             .step = now->step,
                             .cores = now->cores};

    return nl_service_send(service, &head, sizeof head);
}
