/** @file kept.c  What is kept on disk of a measurement in work: files that say of which one, sealed
 * and read as a stranger's. */
#include "kept.h"

#include "ntklens/machine.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const double write_share = 50.0; /* of the time, at most one part in so many */
static const double disk_bytes = 500e6; /* a second, until the first file was written */

/** Begins a file.  As it lies in memory: who goes on computes with the same libraries anyway. */
typedef struct kept_head {
    char magic[8];
    uint32_t identity[2];
    int64_t done, count;
} kept_head;

static const char magic[8] = {'N', 'T', 'K', 'K', 'E', 'P', 'T', '1'};

static int rank_of(const nl_grid *grid)
{
    return grid->row * grid->cols + grid->col;
}

nl_status nl_kept_open(const nl_measurer *m, int kernel, nl_method method, nl_kept *out)
{
    const nl_keeping *keeping = &m->keeping;
    nl_text stem = {0};

    *out = (nl_kept){.m = m, .kernel = kernel, .method = method, .last = nl_now()};
    if (keeping->folder == NULL || m->state.id == NULL) {
        return NL_OK;
    }
    nl_text_append(&stem, "%s/" NL_KEPT_FOLDER "/%s-%ld-%d.%d", keeping->folder, m->state.id,
                   m->state.step, kernel, rank_of(m->grid));
    if (stem.failed) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    out->stem = stem.data;
    return NL_OK;
}

void nl_kept_close(nl_kept *kept)
{
    free(kept->stem);
    kept->stem = NULL;
}

static char *path_of(const nl_kept *kept, int index)
{
    nl_text path = {0};

    nl_text_append(&path, "%s.%d", kept->stem, index);
    return path.failed ? NULL : path.data;
}

void nl_kept_remove(nl_kept *kept)
{
    for (int index = 0; kept->stem != NULL; index++) {
        char *path = path_of(kept, index);
        const bool removed = path != NULL && unlink(path) == 0;

        free(path);
        if (!removed) {
            return;
        }
    }
}

bool nl_kept_due(const nl_kept *kept)
{
    const double interval = kept->m->keeping.every > write_share * kept->last_write
                                ? kept->m->keeping.every
                                : write_share * kept->last_write;

    return kept->stem != NULL && nl_now() - kept->last >= interval;
}

bool nl_kept_worth(const nl_kept *kept, double bytes)
{
    const double takes = kept->last_write > 0.0 ? kept->last_write : bytes / disk_bytes;

    return kept->stem != NULL && nl_now() - kept->last >= takes;
}

/* What a file has to be of, to serve: same bits would come out. */
static nl_status identify(nl_kept *kept)
{
    const nl_measurer *m = kept->m;
    const nl_libraries libraries = nl_libraries_here();
    const nl_net *net = m->state.net;
    const size_t pixels = (size_t)m->input.samples * (size_t)net->spec.inputs;
    char name[nl_measure_name_size];
    nl_text text = {0};

    if (kept->identified) {
        return NL_OK;
    }
    nl_text_append(&text, "%s, %s, step %ld, %s of %d images, %d x %d ranks, %d, %d, %u",
                   NTKLENS_VERSION, m->state.id, m->state.step,
                   nl_measure_name(m->plan, kept->kernel, name), m->input.samples, m->grid->rows,
                   m->grid->cols, (int)kept->method, (int)m->plan->precision,
                   (unsigned)m->plan->seed);
    for (int k = 0; k < nl_library_facts; k++) {
        nl_text_append(&text, ", %s", libraries.fact[k]);
    }
    if (text.failed) {
        nl_text_free(&text);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for what a measurement is");
    }
    kept->identity[0] = (uint32_t)crc32_z(0, (const unsigned char *)text.data, text.length);
    kept->identity[1] = (uint32_t)crc32_z(
        crc32_z(0, (const unsigned char *)m->state.theta, net->size * sizeof *m->state.theta),
        (const unsigned char *)m->input.probe, pixels * sizeof *m->input.probe);
    kept->identified = true;
    nl_text_free(&text);
    return NL_OK;
}

nl_status nl_kept_tell(const nl_kept *kept, const char *event, const char *format, ...)
{
    const nl_keeping *keeping = &kept->m->keeping;
    char name[nl_measure_name_size];
    nl_text reason = {0};
    va_list arguments;
    nl_status status = NL_OK;
    char text[256];

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    nl_text_append(&reason, "kernel %s of step %ld: %s",
                   nl_measure_name(kept->m->plan, kept->kernel, name), kept->m->state.step, text);
    if (reason.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for an event");
    } else if (keeping->tell != NULL) {
        status = keeping->tell(keeping->context, kept->m->state.cell, event, reason.data);
    }
    nl_text_free(&reason);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Files
 *-------------------------------------------------------------------------------------------*/

/** A file in the making. */
typedef struct kept_pieces {
    const void *bytes[3];
    size_t length[3];
    int next;
} kept_pieces;

static nl_status next_piece(void *context, const void **bytes, size_t *length)
{
    kept_pieces *p = context;

    while (p->next < 3 && p->length[p->next] == 0) {
        p->next++;
    }
    *bytes = p->next < 3 ? p->bytes[p->next] : NULL;
    *length = p->next < 3 ? p->length[p->next] : 0;
    p->next++;
    return NL_OK;
}

static nl_status create_folder(const char *results)
{
    char *folder = nl_path_join(results, NL_KEPT_FOLDER);
    nl_status status = folder != NULL ? nl_folder_create(folder)
                                      : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");

    free(folder);
    return status;
}

nl_status nl_kept_write(nl_kept *kept, int index, const nl_kept_content *content)
{
    const double start = nl_now();
    const nl_keeping *keeping = &kept->m->keeping;
    kept_head head = {.done = content->done, .count = content->count};
    kept_pieces pieces = {{&head, content->bytes[0], content->bytes[1]},
                          {sizeof head, content->length[0], content->length[1]},
                          0};
    char *path = path_of(kept, index);
    nl_status status = identify(kept);

    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.identity, kept->identity, sizeof head.identity);
    if (status == NL_OK && path == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    if (status == NL_OK && keeping->may_write != NULL && !keeping->may_write(keeping->context)) {
        status = NL_ERR_BUSY; /* the root tells */
    }
    if (status == NL_OK) {
        status = create_folder(keeping->folder);
    }
    if (status == NL_OK) {
        status = nl_file_write_pieces(path, NL_SEALED, next_piece, &pieces);
    }
    free(path);
    kept->last = nl_now();
    kept->last_write = kept->last - start;
    return status;
}

/* Behind the check of its seal: is it of this measurement? */
static nl_status read_head(nl_kept *kept, nl_sealed *sealed, uint64_t length, kept_head *head)
{
    nl_status status = identify(kept);

    if (status == NL_OK && length < sizeof *head) {
        status = NL_ERR_OUTDATED;
    }
    if (status == NL_OK) {
        status = nl_sealed_read(sealed, head, sizeof *head);
    }
    if (status == NL_OK && (memcmp(head->magic, magic, sizeof magic) != 0 ||
                            memcmp(head->identity, kept->identity, sizeof head->identity) != 0 ||
                            head->done < 0 || head->count < 0)) {
        status = NL_ERR_OUTDATED;
    }
    return status;
}

nl_status nl_kept_read(nl_kept *kept, int index, nl_sealed **sealed, nl_kept_content *content)
{
    char *path = kept->stem != NULL ? path_of(kept, index) : NULL;
    kept_head head = {0};
    uint64_t length = 0;
    nl_status status = NL_OK;

    *sealed = NULL;
    *content = (nl_kept_content){0};
    if (path != NULL && nl_path_exists(path)) {
        status = nl_sealed_open(path, sealed, &length);
        if (status == NL_OK) {
            status = read_head(kept, *sealed, length, &head);
        }
        if (status != NL_OK) {
            nl_sealed_close(sealed);
        }
        if (status != NL_OK && status != NL_ERR_NOMEM) {
            status = nl_kept_tell(kept, "kernel_dropped", "%s",
                                  status == NL_ERR_OUTDATED
                                      ? "what was kept of it is of other ranks, libraries or images"
                                      : "what was kept of it is damaged");
        }
    }
    if (*sealed != NULL) {
        *content = (nl_kept_content){.done = head.done, .count = head.count};
        content->length[0] = length - sizeof head;
    }
    free(path);
    return status;
}
