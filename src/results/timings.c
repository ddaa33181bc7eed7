/** @file timings.c  timings.csv: seconds by cell and phase. */
#include "ntklens/folder.h"
#include "ntklens/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const effort_names[NL_EFFORT_KINDS] = {"train", "evaluate", "gram", "solve"};

const char *nl_effort_name(nl_effort_kind kind)
{
    return effort_names[kind];
}

const char nl_timings_header[] = "cell,phase,rank,seconds,peak_bytes";

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const nl_timing *)a)->id, ((const nl_timing *)b)->id);
}

const nl_timing *nl_timing_find(const nl_timing *timings, int count, const char *id)
{
    nl_timing wanted = {0};

    snprintf(wanted.id, sizeof wanted.id, "%s", id);
    return count > 0 ? bsearch(&wanted, timings, (size_t)count, sizeof *timings, compare_ids)
                     : NULL;
}

/** A table in the making. */
typedef struct timing_list {
    nl_timing *item;
    int count, capacity;
} timing_list;

/* Lines of a cell mostly stand together; what does not is put together at the end. */
static nl_timing *entry_of(timing_list *list, const char *id)
{
    if (list->count > 0 && strcmp(list->item[list->count - 1].id, id) == 0) {
        return &list->item[list->count - 1];
    }
    if (list->count == list->capacity) {
        const int capacity = list->capacity > 0 ? 2 * list->capacity : 64;
        nl_timing *more = realloc(list->item, (size_t)capacity * sizeof *more);

        if (more == NULL) {
            return NULL;
        }
        list->item = more;
        list->capacity = capacity;
    }
    list->item[list->count] = (nl_timing){0};
    snprintf(list->item[list->count].id, sizeof list->item[0].id, "%s", id);
    return &list->item[list->count++];
}

/* NL_EFFORT_KINDS: another phase.  Observables count as fills, which they grow with. */
static int kind_of(const char *phase)
{
    int kind = 0;

    if (strcmp(phase, "observe") == 0) {
        return NL_EFFORT_GRAM;
    }
    while (kind < NL_EFFORT_KINDS && strcmp(phase, nl_effort_name((nl_effort_kind)kind)) != 0) {
        kind++;
    }
    return kind;
}

static bool add_line(timing_list *list, const char *line)
{
    char id[64];
    char phase[24];
    double seconds = 0.0;
    nl_timing *entry = NULL;
    int kind = 0;

    if (sscanf(line, "%63[^,],%23[^,],%*d,%lf", id, phase, &seconds) != 3 ||
        !(seconds >= 0.0 && isfinite(seconds)) || strcmp(id, "-") == 0) { /* a rank's: idle */
        return true;
    }
    entry = entry_of(list, id);
    if (entry == NULL) {
        return false;
    }
    kind = kind_of(phase);
    if (kind < NL_EFFORT_KINDS) {
        entry->seconds[kind] += seconds;
    } else {
        entry->other += seconds;
    }
    return true;
}

/* Sorted, each cell once. */
static void put_together(timing_list *list)
{
    int kept = 0;

    if (list->count > 0) {
        qsort(list->item, (size_t)list->count, sizeof *list->item, compare_ids);
    }
    for (int k = 0; k < list->count; k++) {
        const nl_timing *from = &list->item[k];
        nl_timing *last = kept > 0 ? &list->item[kept - 1] : NULL;

        if (last == NULL || strcmp(last->id, from->id) != 0) {
            list->item[kept++] = *from;
            continue;
        }
        for (int e = 0; e < NL_EFFORT_KINDS; e++) {
            last->seconds[e] += from->seconds[e];
        }
        last->other += from->other;
    }
    list->count = kept;
}

nl_status nl_timings_read(const char *path, nl_timing **timings, int *count)
{
    timing_list list = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    char *rest = NULL;
    bool fine = true;
    nl_status status = nl_file_read(path, NL_PLAIN, &bytes, &length);

    *timings = NULL;
    *count = 0;
    if (status != NL_OK) {
        return status;
    }
    if (strncmp((const char *)bytes, nl_timings_header, strlen(nl_timings_header)) != 0) {
        free(bytes);
        return NL_FAIL(NL_ERR_DATA, "%s: is no timings.csv of ntklens: its first line should be %s",
                       path, nl_timings_header);
    }
    strtok_r((char *)bytes, "\n", &rest);
    for (char *line = strtok_r(NULL, "\n", &rest); fine && line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        fine = add_line(&list, line);
    }
    free(bytes);
    if (!fine) {
        free(list.item);
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for timings", path);
    }
    put_together(&list);
    *timings = list.item;
    *count = list.count;
    return NL_OK;
}

bool nl_timing_is_line(const char *line)
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
