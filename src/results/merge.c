/** @file merge.c  Results of several folders as one run over the united grid would leave them. */
#include "ntklens/cell_files.h"
#include "ntklens/data.h"
#include "ntklens/folder.h"
#include "ntklens/io.h"
#include "ntklens/rows.h"

#include <stdlib.h>
#include <string.h>

/** A folder that takes part. */
typedef struct part {
    const char *folder;
    nl_study *study; /* owned */
    int cells;       /* finished ones that are taken from here */
} part;

/** A cell of the united grid. */
typedef struct entry {
    int from;     /* part that it is taken from; -1: finished nowhere */
    nl_row *rows; /* owned */
    int count;
} entry;

typedef struct merge {
    const char *out;
    nl_lock *lock; /* of out; owned */
    part *part;    /* owned; the first is `out` itself where it holds results */
    int parts;
    bool continues; /* it is */
    nl_study *study;
    char fingerprint[nl_fingerprint_width]; /* of the images of all; "": no part tells */
    const char *remarks;                    /* on them; of a part's study */
    nl_measure_plan *plan;
    nl_cell *cells;
    entry *entry; /* owned; [count] */
    int count;
    int finished;
} merge;

/*---------------------------------------------------------------------------------------------
 * One study
 *-------------------------------------------------------------------------------------------*/

/* Axes may differ, and what affects no number. */
static nl_status compare_studies(const part *a, const part *b)
{
    nl_text names = {0};
    nl_status status = NL_OK;

    nl_study_append_conflicts(a->study, b->study, &names);
    if (names.length > 0) {
        status = NL_FAIL(NL_ERR_STUDY,
                         "%s: is no part of the study in %s, from which it differs in more than "
                         "axes of the grid: %s",
                         b->folder, a->folder, names.data);
    }
    nl_text_free(&names);
    return status;
}

/* All parts that tell were run on the same images. */
static nl_status compare_images(merge *m)
{
    nl_status status = NL_OK;

    for (int p = 0; status == NL_OK && p < m->parts; p++) {
        const nl_study *study = m->part[p].study;

        if (study->fingerprint == NULL) {
            nl_warn("%s: carries no data fingerprint, for an older version made it: whether it was "
                    "made from the same images cannot be checked",
                    m->part[p].folder);
            continue;
        }
        status = nl_images_agree(m->part[p].folder, study->fingerprint, m->fingerprint, "");
        if (m->fingerprint[0] == '\0') {
            snprintf(m->fingerprint, sizeof m->fingerprint, "%s", study->fingerprint);
            m->remarks = study->remarks;
        }
    }
    return status;
}

/* Cells are compared with what the parts, or the first cell that tells, were made from. */
static void expect_images(merge *m, const char *fingerprint)
{
    snprintf(m->fingerprint, sizeof m->fingerprint, "%s", fingerprint);
    for (int k = 0; k < m->count; k++) {
        m->cells[k].fingerprint = m->fingerprint;
    }
}

static nl_status unite_studies(merge *m)
{
    const nl_study **studies = nl_calloc((size_t)m->parts, sizeof(void *));
    nl_text set[nl_most_cell_values] = {0};
    const char *texts[nl_most_cell_values];
    int sets = 0;
    nl_dataset_info images;
    nl_status status = studies == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for studies") : NL_OK;

    for (int p = 1; status == NL_OK && p < m->parts; p++) {
        status = compare_studies(&m->part[0], &m->part[p]);
    }
    if (status == NL_OK) {
        status = compare_images(m);
    }
    for (int p = 0; status == NL_OK && p < m->parts; p++) {
        studies[p] = m->part[p].study;
    }
    if (status == NL_OK) {
        status = nl_study_unite_axes(m->parts, studies, set, &sets);
    }
    for (int k = 0; k < sets; k++) {
        texts[k] = set[k].data;
    }
    free(studies);
    if (status == NL_OK) {
        status = nl_study_in(m->part[0].folder, sets, texts, &m->study);
    }
    for (int k = 0; k < sets; k++) {
        nl_text_free(&set[k]);
    }
    if (status == NL_OK) {
        status =
            nl_dataset_shape(m->study->spec.split.source, m->fingerprint, m->study->file, &images);
    }
    if (status == NL_OK) {
        status = nl_measure_plan_create(m->study, &images, &m->plan);
    }
    if (status == NL_OK) {
        status = nl_study_cells(m->study, &m->cells, &m->count);
    }
    if (status == NL_OK) {
        m->entry = nl_calloc((size_t)m->count, sizeof *m->entry);
        status = m->entry == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %d cells", m->count)
                                  : NL_OK;
    }
    for (int k = 0; status == NL_OK && k < m->count; k++) {
        m->entry[k].from = -1;
        m->cells[k].fingerprint = m->fingerprint;
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Cells
 *-------------------------------------------------------------------------------------------*/

/* Rows of a cell's file; none where it cannot serve, which is told. */
static nl_status read_rows(merge *m, int index, const char *path, nl_row **rows, int *count)
{
    const char *why = NULL;
    nl_record *record = NULL;
    nl_status status =
        nl_cell_file_read_finished(path, m->study, &m->cells[index], m->plan, &record, &why);

    *rows = NULL;
    *count = 0;
    if (status == NL_OK) {
        if (m->fingerprint[0] == '\0') {
            expect_images(m, record->fingerprint);
        }
        status = nl_record_rows(record, m->plan, m->cells, index, rows, count);
    } else if (status != NL_ERR_NOMEM && status != NL_ERR_OTHER_DATA) {
        nl_warn("%s: is left out: %s", path, why);
        status = NL_OK;
    }
    nl_record_destroy(&record, m->plan->kernels);
    return status;
}

/* The same lines in a table? */
static bool same_rows(const merge *m, const entry *a, nl_row *rows, int count)
{
    nl_text one = {0};
    nl_text other = {0};
    bool same = false;

    nl_rows_write(m->cells, a->rows, a->count, &one);
    nl_rows_write(m->cells, rows, count, &other);
    same = !one.failed && !other.failed && strcmp(one.data, other.data) == 0;
    nl_text_free(&one);
    nl_text_free(&other);
    return same;
}

static nl_status take_cell(merge *m, int p, int index)
{
    entry *e = &m->entry[index];
    char *path = nl_cell_path(m->part[p].folder, "cells", &m->cells[index]);
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = path != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");

    if (status == NL_OK && nl_path_exists(path)) {
        status = read_rows(m, index, path, &rows, &count);
    }
    free(path);
    if (status == NL_OK && count > 0 && e->from < 0) {
        *e = (entry){.from = p, .rows = rows, .count = count};
        m->part[p].cells++;
        m->finished++;
        return NL_OK;
    }
    if (status == NL_OK && count > 0 && !same_rows(m, e, rows, count)) {
        status = NL_FAIL(NL_ERR_DATA,
                         "cell %s has other results in %s than in %s (other ranks, BLAS kernel or "
                         "libraries?); remove one of the two files",
                         m->cells[index].id, m->part[p].folder, m->part[e->from].folder);
    }
    free(rows);
    return status;
}

static nl_status take_cells(merge *m)
{
    nl_status worst = NL_OK; /* every cell that differs is told */

    for (int p = 0; p < m->parts; p++) {
        for (int k = 0; k < m->count && (worst == NL_OK || worst == NL_ERR_DATA); k++) {
            const nl_status status =
                nl_lock_is_lost(m->lock) ? nl_lock_complain_lost(m->lock) : take_cell(m, p, k);

            worst = status > worst ? status : worst;
        }
    }
    return worst;
}

static nl_status copy_cell(const merge *m, int index)
{
    const char *folder = m->part[m->entry[index].from].folder;
    char *from = nl_cell_path(folder, "cells", &m->cells[index]);
    char *to = nl_cell_path(m->out, "cells", &m->cells[index]);
    unsigned char *image = NULL;
    size_t length = 0;
    nl_status status =
        from != NULL && to != NULL
            ? nl_file_read_limited(from, NL_SEALED, nl_cell_file_limit(&m->cells[index], m->plan),
                                   &image, &length)
            : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");

    if (status == NL_OK) {
        status = nl_file_write_atomic(to, image, length, NL_SEALED);
    }
    free(image);
    free(from);
    free(to);
    return status;
}

static nl_status copy_cells(const merge *m)
{
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < m->count; k++) {
        if (nl_lock_is_lost(m->lock)) {
            status = nl_lock_complain_lost(m->lock);
        } else if (m->entry[k].from >= (m->continues ? 1 : 0)) {
            status = copy_cell(m, k);
        }
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Tables and log
 *-------------------------------------------------------------------------------------------*/

static nl_status write_results(const merge *m)
{
    nl_text table = {0};
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = NL_OK;

    for (int k = 0; k < m->count; k++) {
        count += m->entry[k].count;
    }
    rows = nl_calloc((size_t)count, sizeof *rows);
    if (rows == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d rows", count);
    }
    count = 0;
    for (int k = 0; k < m->count; k++) {
        if (m->entry[k].count > 0) {
            memcpy(rows + count, m->entry[k].rows, (size_t)m->entry[k].count * sizeof *rows);
            count += m->entry[k].count;
        }
    }
    nl_rows_write(m->cells, rows, count, &table);
    status = nl_file_write_text(m->out, "results.csv", &table);
    nl_text_free(&table);
    free(rows);
    return status;
}

/* Content of a part's file as text; nothing where there is none. */
static nl_status read_text(const part *p, const char *name, char **text)
{
    char *path = nl_path_join(p->folder, name);
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_status status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : NL_OK;

    if (status == NL_OK && nl_path_exists(path)) {
        status = nl_file_read(path, NL_PLAIN, &bytes, &length);
    }
    *text = (char *)bytes;
    free(path);
    return status;
}

/* The cell that a line is about. */
static const entry *entry_of(const merge *m, const char *line)
{
    const size_t length = strcspn(line, ",");

    for (int k = 0; k < m->count; k++) {
        if (strncmp(m->cells[k].id, line, length) == 0 && m->cells[k].id[length] == '\0') {
            return &m->entry[k];
        }
    }
    return NULL;
}

/* Lines of a cell come from where the cell comes from, so that merging again adds none. */
static nl_status write_timings(const merge *m)
{
    nl_text table = {0};
    nl_status status = NL_OK;

    nl_text_append(&table, "%s\n", nl_timings_header);
    for (int p = 0; status == NL_OK && p < m->parts; p++) {
        char *text = NULL;
        char *rest = NULL;

        status = read_text(&m->part[p], "timings.csv", &text);
        for (char *line = text != NULL ? strtok_r(text, "\r\n", &rest) : NULL; line != NULL;
             line = strtok_r(NULL, "\r\n", &rest)) {
            const entry *e = entry_of(m, line);

            if (e != NULL && e->from == p) {
                nl_text_append(&table, "%s\n", line);
            }
        }
        free(text);
    }
    if (status == NL_OK) {
        status = nl_file_write_text(m->out, "timings.csv", &table);
    }
    nl_text_free(&table);
    return status;
}

/* Logs of the parts that gave cells, one behind the other. */
static nl_status write_log(const merge *m)
{
    nl_text all = {0};
    nl_status status = NL_OK;

    for (int p = 0; status == NL_OK && p < m->parts; p++) {
        const bool own = m->continues && p == 0;
        char *text = NULL;

        if (own || m->part[p].cells > 0) {
            status = read_text(&m->part[p], "log.txt", &text);
        }
        if (!own && m->part[p].cells > 0) {
            nl_text_append(&all, "merge folder=\"%s\" cells=%d\n", m->part[p].folder,
                           m->part[p].cells);
        }
        if (text != NULL) {
            nl_text_append(&all, "%s", text);
        }
        free(text);
    }
    if (status == NL_OK) {
        nl_text_append(&all, "%s", "");
        status = nl_file_write_text(m->out, "log.txt", &all);
    }
    nl_text_free(&all);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

static nl_status add_part(merge *m, const char *folder, bool must)
{
    part *p = &m->part[m->parts];
    nl_status status = NL_OK;

    *p = (part){.folder = folder};
    if (must || nl_path_is_folder(folder)) {
        status = nl_study_in(folder, 0, NULL, &p->study);
    }
    if (status == NL_OK && p->study == NULL && must) {
        return NL_FAIL(NL_ERR_USAGE, "%s: is no results folder: it has no study.yaml", folder);
    }
    m->parts += p->study != NULL;
    return status;
}

static bool same_folder(const char *a, const char *b)
{
    char *one = realpath(a, NULL);
    char *other = realpath(b, NULL);
    const bool same = one != NULL && other != NULL && strcmp(one, other) == 0;

    free(one);
    free(other);
    return same;
}

static nl_status open_parts(merge *m, int count, const char *const folders[])
{
    nl_status status = NL_OK;

    m->part = nl_calloc((size_t)count + 1, sizeof *m->part);
    if (m->part == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d folders", count);
    }
    status = add_part(m, m->out, false);
    m->continues = m->parts > 0;
    for (int k = 0; status == NL_OK && k < count; k++) {
        bool known = false;

        for (int p = 0; p < m->parts; p++) {
            known = known || same_folder(folders[k], m->part[p].folder);
        }
        status = known ? NL_OK : add_part(m, folders[k], true);
    }
    return status;
}

static nl_status write_all(merge *m)
{
    nl_text cells = {0};
    nl_status status = NL_OK;

    nl_text_append(&cells, "%s/cells", m->out);
    status = cells.failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path")
                          : nl_folder_create(cells.data);
    nl_text_free(&cells);
    if (status == NL_OK && m->lock == NULL) {
        status = nl_lock_take(m->out, &m->lock);
    }
    if (status == NL_OK) {
        nl_folder_remove_temporaries(m->out, 0.0);
        status = copy_cells(m);
    }
    if (status == NL_OK) {
        status = write_timings(m);
    }
    if (status == NL_OK) {
        status = write_log(m);
    }
    if (status == NL_OK) {
        status = nl_provenance_write(
            m->study, m->out,
            &(nl_data_facts){.fingerprint = m->fingerprint[0] != '\0' ? m->fingerprint : NULL,
                             .remarks = m->remarks});
    }
    if (status == NL_OK) {
        status = write_results(m);
    }
    return status;
}

static void merge_free(merge *m)
{
    for (int k = 0; m->entry != NULL && k < m->count; k++) {
        free(m->entry[k].rows);
    }
    for (int p = 0; p < m->parts; p++) {
        nl_study_destroy(&m->part[p].study);
    }
    nl_lock_release(&m->lock);
    free(m->entry);
    free(m->cells);
    free(m->part);
    nl_measure_plan_destroy(&m->plan);
    nl_study_destroy(&m->study);
}

nl_status nl_study_merge(const char *out, int count, const char *const folders[])
{
    merge m = {.out = out};
    char cells[48];
    nl_status status = nl_folder_check_results(out);

    if (status == NL_OK) {
        status = open_parts(&m, count, folders);
    }
    if (status == NL_OK && m.continues) { /* what is read there must not change until written */
        status = nl_lock_take(out, &m.lock);
    }
    if (status == NL_OK) {
        status = unite_studies(&m);
    }
    if (status == NL_OK) {
        status = take_cells(&m);
    }
    if (status == NL_OK) {
        status = write_all(&m);
    }
    if (status == NL_OK) {
        char name[1024];

        printf("%s: %d of %s of the united grid %s finished%s\n",
               nl_escaped(out, name, sizeof name), m.finished,
               nl_format_count(m.count, "cell", cells), m.finished == 1 ? "is" : "are",
               m.finished < m.count ? "; ntklens run on its study.yaml does the rest" : "");
    }
    merge_free(&m);
    return status;
}
