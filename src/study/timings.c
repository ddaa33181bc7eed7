/** @file timings.c  timings.csv of an earlier run, and the rates it tells. */
#include "timings.h"
#include "cell_spec.h"
#include "rate.h"

#include "ntklens/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/*---------------------------------------------------------------------------------------------
 * Rates
 *-------------------------------------------------------------------------------------------*/

/** An earlier study, as far as its costs need it. */
typedef struct earlier {
    nl_study *study;
    nl_measure_plan *plan;
    nl_dataset_info info;
    nl_cell *cells;
    int count;
} earlier;

static nl_status earlier_open(const char *timings, earlier *e)
{
    const char *slash = strrchr(timings, '/');
    char *folder = slash != NULL ? strndup(timings, (size_t)(slash - timings)) : strdup(".");
    char *data = NULL;
    nl_status status = NL_OK;

    *e = (earlier){0};
    if (folder == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    status = nl_study_in(folder, 0, NULL, &e->study);
    if (status == NL_OK && e->study == NULL) {
        status = NL_FAIL(NL_ERR_DATA,
                         "%s: the study.yaml of that run is expected beside it: it tells what the "
                         "times were for",
                         timings);
    }
    free(folder);
    if (status == NL_OK) {
        status = nl_study_data_folder(e->study, &data);
    }
    if (status == NL_OK) {
        status =
            nl_dataset_probe((nl_source)nl_study_number(e->study, NL_KEY_SOURCE), data, &e->info);
    }
    free(data);
    if (status == NL_OK) {
        status = nl_measure_plan_create(e->study, e->info.classes, &e->plan);
    }
    if (status == NL_OK) {
        status = nl_study_cells(e->study, &e->cells, &e->count);
    }
    return status;
}

static void earlier_close(earlier *e)
{
    nl_measure_plan_destroy(&e->plan);
    free(e->cells);
    nl_study_destroy(&e->study);
}

/* Seconds of all kernels of a state are told together: the largest has its share of operations. */
static void add_largest_kernel(const earlier *e, const nl_net *net, const nl_cost *cost,
                               const nl_timing *timing, nl_rates *rates)
{
    double gram = 0.0;
    double solve = 0.0;

    for (int k = 0; k < e->plan->kernels; k++) {
        const nl_kernel_spec spec = e->plan->kernel[k];

        gram = fmax(gram, nl_kernel_flops(net, spec, e->plan->samples));
        solve =
            fmax(solve, nl_solve_flops(nl_kernel_order(spec, e->plan->samples, e->info.classes)));
    }
    nl_rate_add(&rates->effort[NL_EFFORT_GRAM], gram,
                timing->seconds[NL_EFFORT_GRAM] / cost->states * gram /
                    cost->effort[NL_EFFORT_GRAM].unit);
    if (cost->effort[NL_EFFORT_SOLVE].unit > 0.0) {
        nl_rate_add(&rates->effort[NL_EFFORT_SOLVE], solve,
                    timing->seconds[NL_EFFORT_SOLVE] / cost->states * solve /
                        cost->effort[NL_EFFORT_SOLVE].unit);
    }
}

static nl_status add_cell(const earlier *e, const nl_cell *cell, const nl_timing *timing,
                          nl_rates *rates)
{
    nl_net *net = NULL;
    nl_status status = nl_cell_net_create(cell, &e->info, &net);

    if (status == NL_OK) {
        const nl_cost cost = nl_cell_cost(e->study, cell, net, e->plan);

        for (int k = 0; k < NL_EFFORT_GRAM; k++) {
            nl_rate_add(&rates->effort[k], cost.effort[k].unit,
                        timing->seconds[k] / cost.effort[k].units);
        }
        add_largest_kernel(e, net, &cost, timing, rates);
    }
    nl_net_destroy(&net);
    return status;
}

nl_status nl_rates_read(const char *path, nl_rates *out)
{
    earlier e;
    nl_timing *timings = NULL;
    int count = 0;
    nl_status status = nl_timings_read(path, &timings, &count);

    *out = (nl_rates){0};
    snprintf(out->source, sizeof out->source, "%s", path);
    if (status == NL_OK) {
        status = earlier_open(path, &e);
        for (int c = 0; status == NL_OK && c < e.count; c++) {
            const nl_timing *t = nl_timing_find(timings, count, e.cells[c].id);

            status = t != NULL ? add_cell(&e, &e.cells[c], t, out) : NL_OK;
        }
        earlier_close(&e);
    }
    free(timings);
    if (status == NL_OK && out->effort[NL_EFFORT_TRAIN].count == 0) {
        status = NL_FAIL(NL_ERR_DATA, "%s: has no times of finished cells of its study", path);
    }
    return status;
}
