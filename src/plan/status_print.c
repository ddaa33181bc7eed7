/** @file status_print.c  Where a study stands, for people and for programs. */
#include "status.h"

#include "ntklens/json.h"
#include "ntklens/plan.h"

#include <math.h>
#include <string.h>

/* "running", "finished", "stopped", "killed", "failed", "not started". */
static const char *state_word(const nl_study_status *s)
{
    if (s->runner.alive) {
        return "running";
    }
    if (s->total[NL_STATE_DONE] == s->count) {
        return "finished";
    }
    if (s->runner.left_lock || (s->runs > 0 && s->last_end[0] == '\0')) {
        return "killed";
    }
    if (s->runs == 0) {
        return s->has_log ? "not started" : "stopped";
    }
    return strcmp(s->last_end, nl_status_text(NL_STOPPED)) == 0 ||
                   strcmp(s->last_end, nl_status_text(NL_OK)) == 0
               ? "stopped"
               : "failed";
}

/** Cells of one width and one training size. */
typedef struct group {
    int width, n_train;
    int total[NL_STATE_COUNT];
} group;

/* The first cell of the grid's order decides: a group is visited once, from that cell. */
static bool group_at(const nl_study_status *s, int first, group *g)
{
    *g = (group){.width = s->cells[first].width, .n_train = s->cells[first].n_train};
    for (int k = 0; k < s->count; k++) {
        if (s->cells[k].width == g->width && s->cells[k].n_train == g->n_train) {
            if (k < first) {
                return false;
            }
            g->total[s->state[k]]++;
        }
    }
    return true;
}

static void print_groups(const nl_study_status *s, FILE *stream)
{
    group g;

    fprintf(stream, "\n  %8s %8s %8s %8s %8s %8s\n", "width", "n_train", "done", "begun", "left",
            "damaged");
    for (int k = 0; k < s->count; k++) {
        if (group_at(s, k, &g)) {
            fprintf(stream, "  %8d %8d %8d %8d %8d %8d\n", g.width, g.n_train,
                    g.total[NL_STATE_DONE], g.total[NL_STATE_BEGUN], g.total[NL_STATE_LEFT],
                    g.total[NL_STATE_DAMAGED]);
        }
    }
}

/* What ranks of the last run waited, and what of that their cores worked for others. */
static const char *idle_text(const nl_study_status *s, char *text, size_t size)
{
    const int length = isnan(s->idle_percent)
                           ? snprintf(text, size, "%s", "")
                           : snprintf(text, size, "; idle %.1f %% of rank time", s->idle_percent);

    if (length > 0 && s->lent_percent > 0.0) {
        snprintf(text + length, size - (size_t)length, "; %.1f %% lent to other ranks",
                 s->lent_percent);
    }
    return text;
}

static void print_runner(const nl_study_status *s, FILE *stream)
{
    const nl_runner *r = &s->runner;

    char ranks[48];
    char idle[96];

    if (r->alive) {
        fprintf(stream, "  runs on       %s, process %ld, job %s, since %s, %s\n", r->who.host,
                r->who.pid, r->who.job, r->who.since, nl_format_count(s->ranks, "rank", ranks));
    } else if (r->left_lock) {
        fprintf(stream, "  last run      on %s, process %ld, job %s, since %s: ended unannounced\n",
                r->who.host, r->who.pid, r->who.job, r->who.since);
    } else if (s->last_end[0] != '\0') {
        fprintf(stream, "  last run      %s%s\n", s->last_end, idle_text(s, idle, sizeof idle));
    }
}

/* Networks that are trained by more than their rank. */
static void print_sharing(const nl_study_status *s, FILE *stream)
{
    enum { shown = 10 };
    char cores[48];

    for (int k = 0; k < s->sharings && k < shown; k++) {
        fprintf(stream, "  %s  %s trains on %s\n", k == 0 ? "shared cores" : "            ",
                s->sharing[k].cell, nl_format_count(s->sharing[k].cores, "core", cores));
    }
    if (s->sharings > shown) {
        fprintf(stream, "                and %d more\n", s->sharings - shown);
    }
    if (s->runner.alive && s->not_shared[0] != '\0') {
        fprintf(stream, "  shared cores  none: %s\n", s->not_shared);
    }
}

static void print_incidents(const nl_study_status *s, FILE *stream)
{
    const int kept = s->incidents < nl_most_incidents ? s->incidents : nl_most_incidents;
    char files[48];

    if (s->incidents > 0) {
        fprintf(stream, "\n  what went wrong (%d in log.txt)\n", s->incidents);
    }
    for (int k = kept > 10 ? kept - 10 : 0; k < kept; k++) {
        const nl_incident *i = &s->incident[k];

        fprintf(stream, "  %s %s %s%s%s\n", i->time, i->event, i->cell,
                i->cell[0] != '\0' ? ": " : "", i->reason);
    }
    if (s->outdated > 0) {
        fprintf(stream,
                "\n  %s in cells/ of another format: ntklens run computes such cells anew\n",
                nl_format_count(s->outdated, "file", files));
    }
    for (int k = 0; k < s->count; k++) {
        if (s->state[k] == NL_STATE_DAMAGED) {
            fprintf(stream, "  cells/%s.h5 is damaged: ntklens run will redo it\n", s->cells[k].id);
        }
    }
}

static void print_checks(const nl_study_status *s, FILE *stream)
{
    for (int k = 0; k < s->checks && k < nl_most_checks; k++) {
        const nl_incident *i = &s->check[k];

        fprintf(stream, "  quadrature    %s: %s\n",
                strcmp(i->event, "quadrature_off") == 0 ? "off" : "checked", i->reason);
    }
}

static void print_text(const nl_study_status *s, FILE *stream)
{
    char text[32];
    char count[48];
    char name[256];

    fprintf(stream, "%s: %s, %d of %s done\n", nl_escaped(s->study->spec.name, name, sizeof name),
            state_word(s), s->total[NL_STATE_DONE], nl_format_count(s->count, "cell", count));
    print_groups(s, stream);
    fprintf(stream, "\n");
    print_runner(s, stream);
    print_sharing(s, stream);
    if (!isnan(s->checkpoint_age)) {
        fprintf(stream, "  checkpoint    %s ago\n", nl_format_seconds(s->checkpoint_age, text));
    }
    if (isnan(s->rest_seconds)) {
        fprintf(stream,
                "  rest          unknown: no times of finished cells yet; see ntklens plan\n");
    } else if (s->rest_seconds > 0.0) {
        fprintf(stream, "  rest          about %s on %s\n",
                nl_format_seconds(s->rest_seconds, text), nl_format_count(s->ranks, "rank", count));
    }
    if (s->rows >= 0) {
        fprintf(stream, "  results.csv   %s\n", nl_format_count(s->rows, "row", count));
    } else {
        fprintf(stream, "  results.csv   is not there yet\n");
    }
    if (!s->has_log) {
        fprintf(stream, "  log.txt       is missing\n");
    }
    print_checks(s, stream);
    print_incidents(s, stream);
}

/*---------------------------------------------------------------------------------------------
 * JSON
 *-------------------------------------------------------------------------------------------*/

static void put_number(nl_text *text, const char *name, double value)
{
    if (isnan(value)) {
        nl_text_append(text, ",\n  \"%s\": null", name);
    } else {
        nl_text_append(text, ",\n  \"%s\": %.6g", name, value);
    }
}

static void put_groups(nl_text *text, const nl_study_status *s)
{
    const char *comma = "";
    group g;

    nl_text_append(text, ",\n  \"groups\": [");
    for (int k = 0; k < s->count; k++) {
        if (group_at(s, k, &g)) {
            nl_text_append(text, "%s\n    {\"width\": %d, \"n_train\": %d", comma, g.width,
                           g.n_train);
            for (int c = 0; c < NL_STATE_COUNT; c++) {
                nl_text_append(text, ", \"%s\": %d", nl_cell_state_name((nl_cell_state)c),
                               g.total[c]);
            }
            nl_text_append(text, "}");
            comma = ",";
        }
    }
    nl_text_append(text, "\n  ]");
}

static void put_cells(nl_text *text, const nl_study_status *s)
{
    nl_text_append(text, ",\n  \"cells\": [");
    for (int k = 0; k < s->count; k++) {
        nl_text_append(text, "%s\n    {\"cell\": \"%s\", \"state\": \"%s\", \"fraction\": %.4g}",
                       k > 0 ? "," : "", s->cells[k].id, nl_cell_state_name(s->state[k]),
                       s->fraction[k]);
    }
    nl_text_append(text, "\n  ]");
}

static void put_events(nl_text *text, const char *name, const nl_incident *list, int count)
{
    nl_text_append(text, ",\n  \"%s\": [", name);
    for (int k = 0; k < count; k++) {
        const nl_incident *i = &list[k];

        nl_text_append(text, "%s\n    {\"event\": ", k > 0 ? "," : "");
        nl_json_string(text, i->event);
        nl_text_append(text, ", \"time\": ");
        nl_json_string(text, i->time);
        nl_text_append(text, ", \"cell\": ");
        nl_json_string(text, i->cell);
        nl_text_append(text, ", \"reason\": ");
        nl_json_string(text, i->reason);
        nl_text_append(text, "}");
    }
    nl_text_append(text, "\n  ]");
}

static void put_sharing(nl_text *text, const nl_study_status *s)
{
    nl_text_append(text, ",\n  \"sharing\": [");
    for (int k = 0; k < s->sharings; k++) {
        nl_text_append(text, "%s\n    {\"cell\": ", k > 0 ? "," : "");
        nl_json_string(text, s->sharing[k].cell);
        nl_text_append(text, ", \"cores\": %d}", s->sharing[k].cores);
    }
    nl_text_append(text, "\n  ],\n  \"not_shared\": ");
    nl_json_string(text, s->not_shared);
}

static void put_runner(nl_text *text, const nl_runner *r)
{
    nl_text_append(text, ",\n  \"run\": {\"alive\": %s, \"host\": ", r->alive ? "true" : "false");
    nl_json_string(text, r->who.host);
    nl_text_append(text, ", \"pid\": %ld, \"job\": ", r->who.pid);
    nl_json_string(text, r->who.job);
    nl_text_append(text, ", \"since\": ");
    nl_json_string(text, r->who.since);
    nl_text_append(text, "}");
}

static void print_json(const nl_study_status *s, FILE *stream)
{
    nl_text text = {0};

    nl_text_append(&text, "{\n  \"study\": ");
    nl_json_string(&text, s->study->spec.name);
    nl_text_append(&text, ",\n  \"state\": \"%s\",\n  \"total\": %d", state_word(s), s->count);
    for (int c = 0; c < NL_STATE_COUNT; c++) {
        nl_text_append(&text, ",\n  \"%s\": %d", nl_cell_state_name((nl_cell_state)c), s->total[c]);
    }
    nl_text_append(&text, ",\n  \"outdated\": %d", s->outdated);
    put_runner(&text, &s->runner);
    nl_text_append(&text, ",\n  \"runs\": %d,\n  \"ranks\": %d,\n  \"last_end\": ", s->runs,
                   s->ranks);
    nl_json_string(&text, s->last_end);
    put_number(&text, "idle_percent", s->idle_percent);
    put_number(&text, "lent_percent", s->lent_percent);
    put_sharing(&text, s);
    put_number(&text, "checkpoint_age_seconds", s->checkpoint_age);
    put_number(&text, "spent_seconds", s->spent_seconds);
    put_number(&text, "rest_seconds", s->rest_seconds);
    put_number(&text, "rows", s->rows >= 0 ? (double)s->rows : (double)NAN);
    put_groups(&text, s);
    put_cells(&text, s);
    put_events(&text, "quadrature_checks", s->check, nl_smaller(s->checks, nl_most_checks));
    put_events(&text, "incidents", s->incident, nl_smaller(s->incidents, nl_most_incidents));
    nl_text_append(&text, "\n}\n");
    fputs(text.failed ? "{}\n" : text.data, stream);
    nl_text_free(&text);
}

nl_status nl_study_status_show(const char *folder, bool json, FILE *stream)
{
    nl_study_status found;
    nl_status status = nl_study_status_read(folder, &found);

    if (status == NL_OK) {
        if (json) {
            print_json(&found, stream);
        } else {
            print_text(&found, stream);
        }
        nl_study_status_free(&found);
    }
    return status;
}
