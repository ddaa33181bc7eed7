/** @file status.c  Where the study in a results folder stands: read from its files, changing none.
 */
#include "status.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"
#include "ntklens/plan.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/*---------------------------------------------------------------------------------------------
 * Files
 *-------------------------------------------------------------------------------------------*/

/* Seconds since a file was changed, NaN where there is none. */
static double age_of(const char *path)
{
    struct stat entry;
    struct timespec now;

    if (stat(path, &entry) != 0) {
        return NAN;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return fmax(0.0, (double)(now.tv_sec - entry.st_mtim.tv_sec) +
                         1e-9 * (double)(now.tv_nsec - entry.st_mtim.tv_nsec));
}

static nl_status path_of(const nl_study_status *s, const char *name, char **path)
{
    *path = nl_path_join(s->folder, name);
    return *path != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
}

/* Newest file of a folder; NaN: none. */
static double youngest(const char *folder)
{
    DIR *listing = opendir(folder);
    double age = NAN;

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL; entry != NULL;
         entry = readdir(listing)) {
        const char *end = strrchr(entry->d_name, '.');

        if (end != NULL && strcmp(end, ".h5") == 0) {
            char *path = nl_path_join(folder, entry->d_name);

            age = fmin(age, path != NULL ? age_of(path) : NAN); /* fmin passes over NaN */
            free(path);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    return age;
}

static nl_status count_rows(nl_study_status *s)
{
    char *path = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_status status = path_of(s, "results.csv", &path);

    s->rows = -1;
    if (status == NL_OK && nl_path_exists(path)) {
        status = nl_file_read(path, NL_PLAIN, &bytes, &length);
        for (size_t k = 0; status == NL_OK && k < length; k++) {
            s->rows += bytes[k] == '\n';
        }
    }
    free(bytes);
    free(path);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Log
 *-------------------------------------------------------------------------------------------*/

/* Value of `key=` in a line, with or without quotes. */
static void value_in(const char *line, const char *key, char *out, size_t size)
{
    const size_t length = strlen(key);
    const char *at = strstr(line, key);

    out[0] = '\0';
    while (at != NULL && !(at > line && at[-1] == ' ' && at[length] == '=')) {
        at = strstr(at + 1, key);
    }
    if (at != NULL) {
        const bool quoted = at[length + 1] == '"';
        const char *value = at + length + (quoted ? 2 : 1);

        snprintf(out, size, "%.*s", (int)strcspn(value, quoted ? "\"\n" : " \n"), value);
        nl_mask_controls(out);
    }
}

/* To a list of so many at most, which had *count in all: the last ones tell more. */
static void add_to(nl_incident *list, int most, int *count, const char *event, const char *line)
{
    nl_incident *at = &list[*count < most ? *count : most - 1];

    if (*count >= most) {
        memmove(list, list + 1, (size_t)(most - 1) * sizeof *list);
    }
    ++*count;
    *at = (nl_incident){0};
    snprintf(at->event, sizeof at->event, "%s", event);
    value_in(line, "time", at->time, sizeof at->time);
    value_in(line, "cell", at->cell, sizeof at->cell);
    value_in(line, strcmp(event, "end") == 0 ? "status" : "reason", at->reason, sizeof at->reason);
}

static void forget_cores(nl_study_status *s, const char *cell)
{
    for (int k = 0; k < s->sharings; k++) {
        if (strcmp(s->sharing[k].cell, cell) == 0) {
            s->sharing[k] = s->sharing[--s->sharings];
            return;
        }
    }
}

/* A network that trains on more or fewer cores from now on. */
static nl_status take_cores(nl_study_status *s, const char *line)
{
    nl_sharing now = {0};
    nl_sharing *grown = NULL;
    char reason[32];

    value_in(line, "cell", now.cell, sizeof now.cell);
    value_in(line, "reason", reason, sizeof reason);
    now.cores = atoi(reason);
    forget_cores(s, now.cell);
    if (now.cores <= 1) {
        return NL_OK;
    }
    grown = realloc(s->sharing, ((size_t)s->sharings + 1) * sizeof *grown);
    if (grown == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a log");
    }
    s->sharing = grown;
    s->sharing[s->sharings++] = now;
    return NL_OK;
}

static double percent_in(const char *line, const char *key)
{
    char text[32];
    double percent = NAN;

    value_in(line, key, text, sizeof text);
    return sscanf(text, "%lf", &percent) == 1 ? percent : NAN;
}

/* Which networks train on cores of others. */
static nl_status take_sharing(nl_study_status *s, const char *event, const char *line)
{
    char cell[64];

    if (strcmp(event, "cores") == 0) {
        return take_cores(s, line);
    }
    if (strcmp(event, "start") == 0) {
        s->sharings = 0;
        s->not_shared[0] = '\0';
        s->idle_percent = NAN;
        s->lent_percent = NAN;
    } else if (strcmp(event, "cores_not_shared") == 0) {
        value_in(line, "reason", s->not_shared, sizeof s->not_shared);
    } else if (strcmp(event, "cores_returned") == 0 || strcmp(event, "cell_done") == 0) {
        value_in(line, "cell", cell, sizeof cell);
        forget_cores(s, cell);
    } else if (strcmp(event, "end") == 0) {
        s->sharings = 0;
        s->idle_percent = percent_in(line, "idle_percent");
        s->lent_percent = percent_in(line, "lent_percent");
    }
    return NL_OK;
}

static void add_incident(nl_study_status *s, const char *event, const char *line)
{
    add_to(s->incident, nl_most_incidents, &s->incidents, event, line);
}

static nl_status take_line(nl_study_status *s, const char *line)
{
    static const char *const bad[] = {"cell_redone", "checkpoint_dropped", "cell_retrained",
                                      "blas_mix", "quadrature_off"};
    char event[24] = "";
    char number[32];

    if (sscanf(line, "%23s", event) != 1) {
        return NL_OK;
    }
    nl_mask_controls(event);
    for (size_t k = 0; k < NL_COUNT(bad); k++) {
        if (strcmp(event, bad[k]) == 0) {
            add_incident(s, event, line);
        }
    }
    if (strcmp(event, "quadrature_checked") == 0 || strcmp(event, "quadrature_off") == 0) {
        add_to(s->check, nl_most_checks, &s->checks, event, line);
    }
    if (strcmp(event, "start") == 0) {
        s->runs++;
        s->last_end[0] = '\0';
        value_in(line, "ranks", number, sizeof number);
        s->ranks = atoi(number) > 0 ? atoi(number) : 1;
    } else if (strcmp(event, "end") == 0) {
        value_in(line, "status", s->last_end, sizeof s->last_end);
        if (strcmp(s->last_end, nl_status_text(NL_OK)) != 0 &&
            strcmp(s->last_end, nl_status_text(NL_STOPPED)) != 0) {
            add_incident(s, event, line);
        }
    }
    return take_sharing(s, event, line);
}

static nl_status read_log(nl_study_status *s)
{
    char *path = NULL;
    char *rest = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_status status = path_of(s, "log.txt", &path);

    s->ranks = 1;
    s->has_log = status == NL_OK && nl_path_exists(path);
    if (s->has_log) {
        status = nl_file_read(path, NL_PLAIN, &bytes, &length);
    }
    if (status == NL_OK && bytes != NULL) {
        for (char *line = strtok_r((char *)bytes, "\n", &rest); status == NL_OK && line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            status = take_line(s, line);
        }
    }
    if (!s->runner.alive) { /* what it shared when it died */
        s->sharings = 0;
    }
    free(bytes);
    free(path);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Cells
 *-------------------------------------------------------------------------------------------*/

/* Is this a whole file with everything that the present study measures? */
static nl_status inspect_finished(nl_study_status *s, const nl_measure_plan *plan, int k,
                                  const char *path)
{
    const char *why = NULL;
    nl_record *record = NULL;
    nl_status status =
        nl_cell_file_read_finished(path, s->study, &s->cells[k], plan, &record, &why);
    const bool whole = status == NL_ERR_NUMERIC || status == NL_ERR_STUDY; /* kernels are left */

    s->outdated += status == NL_ERR_OUTDATED; /* whole, but of no use: as if it was not there */
    s->state[k] = status == NL_OK             ? NL_STATE_DONE
                  : whole                     ? NL_STATE_BEGUN
                  : status == NL_ERR_OUTDATED ? NL_STATE_LEFT
                                              : NL_STATE_DAMAGED;
    s->fraction[k] = status == NL_OK || whole ? 1.0 : 0.0;
    nl_record_destroy(&record, plan->kernels);
    return status == NL_ERR_NOMEM ? status : NL_OK;
}

/* How far a checkpoint is; nothing where it cannot be read. */
static double steps_of_checkpoint(const nl_measure_plan *plan, const nl_cell *cell,
                                  const char *path)
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_h5_reader file;
    int64_t step = 0;

    if (nl_file_read_limited(path, NL_SEALED, nl_cell_file_limit(cell, plan), &image, &length) !=
            NL_OK ||
        nl_h5_open_image(image, length, path, &file) != NL_OK ||
        nl_h5_get_int(&file, "/training", "step", &step) != NL_OK) {
        step = 0;
    }
    free(image);
    return fmin(fmax((double)step / (double)nl_cell_train_spec(cell).max_steps, 0.0), 1.0);
}

static nl_status inspect_cell(nl_study_status *s, const nl_measure_plan *plan, int k)
{
    static const char *const places[] = {"cells", "checkpoints", "checkpoints/previous"};
    nl_status status = NL_OK;

    for (size_t c = 0; status == NL_OK && s->state[k] == NL_STATE_LEFT && c < NL_COUNT(places);
         c++) {
        char *path = nl_cell_path(s->folder, places[c], &s->cells[k]);

        if (path == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
        } else if (nl_path_exists(path) && c == 0) {
            status = inspect_finished(s, plan, k, path);
        } else if (nl_path_exists(path)) {
            s->state[k] = NL_STATE_BEGUN;
            s->fraction[k] = steps_of_checkpoint(plan, &s->cells[k], path);
        }
        free(path);
    }
    s->total[s->state[k]]++;
    return status;
}

static nl_status work_of(const nl_study_status *s, const nl_cell *cell, const nl_measure_plan *plan,
                         double *work)
{
    nl_net *net = NULL;
    nl_status status = nl_cell_net_create(cell, &plan->images, &net);

    if (status == NL_OK) {
        const nl_cost cost = nl_cell_cost(s->study, cell, net, plan, NULL);

        *work = nl_cost_total(&cost);
    }
    nl_net_destroy(&net);
    return status;
}

/* From the time that finished work took; where the queue ends uneven it takes a little longer. */
static nl_status expect_rest(nl_study_status *s, const nl_measure_plan *plan)
{
    nl_timing *timings = NULL;
    int count = 0;
    int open = 0;
    double done = 0.0;
    double left = 0.0;
    double longest = 0.0;
    double seconds = 0.0;
    char *path = NULL;
    nl_status status = path_of(s, "timings.csv", &path);

    s->rest_seconds = NAN;
    s->spent_seconds = NAN;
    if (status == NL_OK && nl_path_exists(path)) {
        status = nl_timings_read(path, &timings, &count);
        status = status == NL_ERR_NOMEM ? status : NL_OK; /* the complaint is told */
    }
    free(path);
    for (int k = 0; status == NL_OK && k < s->count; k++) {
        double work = 0.0;
        const nl_timing *t = nl_timing_find(timings, count, s->cells[k].id);

        status = work_of(s, &s->cells[k], plan, &work);
        done += t != NULL ? work * s->fraction[k] : 0.0;
        for (int e = 0; t != NULL && e < NL_EFFORT_KINDS; e++) {
            seconds += t->seconds[e];
        }
        seconds += t != NULL ? t->other : 0.0;
        if (s->state[k] != NL_STATE_DONE) {
            const double rest = work * (1.0 - fmin(s->fraction[k], 0.99));

            open++;
            left += rest;
            longest = fmax(longest, rest);
        }
    }
    free(timings);
    if (open == 0) {
        s->rest_seconds = 0.0;
    } else if (done > 0.0 && seconds > 0.0) {
        s->rest_seconds = seconds / done * fmax(left / s->ranks, longest);
    }
    s->spent_seconds = count > 0 ? seconds : NAN;
    return status;
}

static nl_status inspect_cells(nl_study_status *s)
{
    nl_dataset_info images;
    nl_measure_plan *plan = NULL;
    nl_status status = nl_dataset_shape(s->study->spec.split.source, s->study->fingerprint,
                                        s->study->file, &images);

    if (status == NL_OK) {
        status = nl_measure_plan_create(s->study, &images, &plan);
    }
    if (status == NL_OK) {
        status = nl_study_cells(s->study, &s->cells, &s->count);
    }
    if (status == NL_OK) {
        s->state = nl_calloc((size_t)s->count, sizeof *s->state);
        s->fraction = nl_calloc((size_t)s->count, sizeof *s->fraction);
        if (s->state == NULL || s->fraction == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d cells", s->count);
        }
    }
    for (int k = 0; status == NL_OK && k < s->count; k++) {
        status = inspect_cell(s, plan, k);
    }
    if (status == NL_OK) {
        status = expect_rest(s, plan);
    }
    nl_measure_plan_destroy(&plan);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

nl_status nl_study_status_read(const char *folder, nl_study_status *out)
{
    char *path = NULL;
    nl_status status = NL_OK;

    *out = (nl_study_status){
        .folder = folder, .checkpoint_age = NAN, .idle_percent = NAN, .lent_percent = NAN};
    if (!nl_path_is_folder(folder)) {
        return NL_FAIL(NL_ERR_USAGE, "%s: is no folder; expected the DIR of ntklens run -o DIR",
                       folder);
    }
    status = nl_study_in(folder, 0, NULL, &out->study);
    if (status == NL_OK && out->study == NULL) {
        status = NL_FAIL(NL_ERR_USAGE,
                         "%s: is no results folder: it has no study.yaml, which ntklens run writes "
                         "first",
                         folder);
    }
    if (status == NL_OK) {
        out->runner.left_lock =
            nl_lock_inspect(folder, &out->runner.who, &out->runner.alive) && !out->runner.alive;
        status = path_of(out, "checkpoints", &path);
    }
    if (status == NL_OK) {
        out->checkpoint_age = youngest(path);
        status = read_log(out);
    }
    if (status == NL_OK) {
        status = count_rows(out);
    }
    if (status == NL_OK) {
        status = inspect_cells(out);
    }
    free(path);
    if (status != NL_OK) {
        nl_study_status_free(out);
    }
    return status;
}

void nl_study_status_free(nl_study_status *found)
{
    nl_study_destroy(&found->study);
    free(found->cells);
    free(found->sharing);
    free(found->state);
    free(found->fraction);
    *found = (nl_study_status){0};
}

const char *nl_cell_state_name(nl_cell_state state)
{
    static const char *const names[NL_STATE_COUNT] = {"left", "begun", "damaged", "done"};

    return names[state];
}
