/** @file report.c  ntklens report: tables of one or several folders to fits and words. */
#include "csv_tables.h"
#include "markdown_tables.h"
#include "prefixes.h"
#include "quantities.h"
#include "verdict.h"

#include "ntklens/folder.h"
#include "ntklens/io.h"
#include "ntklens/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double abandoned = 3600.0; /* seconds: no report takes that long to write a file */

/** A results folder. */
typedef struct source {
    const char *folder; /* borrowed */
    char *table_file;   /* owned */
    nl_csv table;
    nl_study *study;  /* owned; NULL where there is no study.yaml */
    char name[256];   /* of the study, or the folder; both as they are shown */
    char shown[1024]; /* the folder */
    bool live;        /* a run is at work in the folder */
} source;

static nl_status read_study(source *s)
{
    nl_status status = nl_study_in(s->folder, 0, NULL, &s->study);

    nl_escaped(s->folder, s->shown, sizeof s->shown);
    nl_escaped(s->study != NULL ? s->study->spec.name : s->folder, s->name, sizeof s->name);
    if (status == NL_OK && s->study == NULL) {
        nl_warn("%s: no study.yaml; the report names only what the table holds", s->folder);
    }
    return status;
}

static nl_status read_source(source *s)
{
    nl_holder holder;
    nl_status status = NL_OK;

    s->live = nl_lock_inspect(s->folder, &holder, &s->live) && s->live;
    s->table_file = nl_path_join(s->folder, "results.csv");
    if (s->table_file == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for a path", s->folder);
    }
    if (!nl_path_exists(s->table_file)) {
        return NL_FAIL(
            NL_ERR_USAGE,
            s->live ? "report: %s holds no results.csv yet, a run is at "
                      "work there; wait for its first finished network"
                    : "report: %s holds no results.csv, expected a results folder of ntklens run",
            s->folder);
    }
    status = nl_csv_read(s->table_file, &s->table);
    if (status == NL_OK && s->table.rows == 0) {
        status = NL_FAIL(NL_ERR_DATA, "%s: no rows%s, expected one at least", s->table_file,
                         s->live ? " yet, while a run is at work there" : "");
    }
    return status == NL_OK ? read_study(s) : status;
}

static void free_source(source *s)
{
    nl_csv_free(&s->table);
    nl_study_destroy(&s->study);
    free(s->table_file);
}

/*---------------------------------------------------------------------------------------------
 * Are the studies alike in what the tables do not show?
 *-------------------------------------------------------------------------------------------*/

/* Lists the keys that differ from the first study's. */
static void list_differences(int count, const source *sources, nl_text *out)
{
    for (int s = 1; s < count; s++) {
        if (sources[0].study != NULL && sources[s].study != NULL) {
            nl_study_append_hidden_differences(sources[0].study, sources[s].study, out);
        }
    }
    for (int s = 1; s < count; s++) {
        const nl_study *a = sources[0].study;
        const nl_study *b = sources[s].study;

        if (a != NULL && b != NULL && !nl_images_may_be_same(a->fingerprint, b->fingerprint)) {
            nl_text_append(out, "%sdata fingerprint (%s and %s)", out->length > 0 ? ", " : "",
                           a->fingerprint, b->fingerprint);
        }
    }
}

/* Studies that are told apart need names of their own: the folder where another has the same. */
static void name_apart(int count, source *sources, nl_report_source *out)
{
    for (int s = 0; s < count; s++) {
        out[s].name = sources[s].name;
        for (int k = 0; k < count; k++) {
            if (k != s && strcmp(sources[k].name, sources[s].name) == 0) {
                out[s].name = sources[s].shown;
            }
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Text
 *-------------------------------------------------------------------------------------------*/

static void put_title(int count, const source *sources, nl_text *out)
{
    nl_text_append(out, "# Report on ");
    for (int s = 0; s < count; s++) {
        nl_text_append(out, "%s%s (%s)", s > 0 ? " and " : "", sources[s].name, sources[s].shown);
    }
    nl_text_append(out, "\n\n");
}

/* What a run that is going on has not written yet is not in the report. */
static void put_live(int count, const source *sources, nl_text *out)
{
    for (int s = 0; s < count; s++) {
        if (sources[s].live) {
            nl_text_append(out,
                           "A run is at work in %s: this is on its rows so far (%d); report again "
                           "when it is done.\n\n",
                           sources[s].shown, sources[s].table.rows);
        }
    }
}

/* Columns that verdict and figures are made of, where no row has a value. */
static void put_absent(const nl_report_networks *data, nl_text *out)
{
    static const char *const columns[] = {"test_loss", "trace", "effective_rank"};

    for (size_t k = 0; k < NL_COUNT(columns); k++) {
        if (!data->has[nl_quantity_find(columns[k])]) {
            nl_text_append(out,
                           "No row has a value of %s (the column is missing or empty), so nothing "
                           "is said about it.\n\n",
                           columns[k]);
        }
    }
}

static void put_advice(const nl_report_networks *data, int censored, nl_text *out)
{
    if (censored == data->cells) {
        nl_text_append(out, "Every best state is censored, so nothing at best can be fitted: train "
                            "longer (training.max_steps) or faster (training.learning_rate), until "
                            "the test loss rises again.\n\n");
    }
}

/* Networks whose best state is not to be trusted, and what else a reader must know. */
static void put_left_out(const nl_report_networks *data, const char *differences, nl_text *out)
{
    const int best = nl_report_tag(data, "best");
    int count[4] = {0};
    char noun[48];

    for (int c = 0; c < data->cells; c++) {
        for (int k = 0; k < data->kernels; k++) {
            const int r = nl_report_find(data, c, best, k);

            if (r >= 0) {
                count[0] += data->row[r].censored ? 1 : 0;
                count[1] += data->row[r].diverged ? 1 : 0;
                count[2] += data->row[r].untrained ? 1 : 0;
                count[3] += data->row[r].collapsed ? 1 : 0;
                break;
            }
        }
    }
    nl_text_append(out,
                   "%s. Left out at best: %d censored (the lowest test loss is the last "
                   "evaluation: trained too short), %d diverged, %d untrained (best is the initial "
                   "network), %d collapsed.\n\n",
                   nl_format_count(data->cells, "network", noun), count[0], count[1], count[2],
                   count[3]);
    put_advice(data, count[0], out);
    put_absent(data, out);
    if (differences[0] != '\0') {
        nl_text_append(out,
                       "The studies differ in %s, so they are told apart and not compared.\n\n",
                       differences);
    }
    if (data->partial > 0) {
        nl_text_append(out,
                       "%s %s measured on fewer images than others; ranks of different numbers of "
                       "images are not compared, so nothing is said of them.\n\n",
                       nl_format_count(data->partial, "network", noun),
                       data->partial == 1 ? "was" : "were");
    }
    if (data->doubles > 0) {
        nl_text_append(out, "%s %s a state with other values; the first ones count.\n\n",
                       nl_format_count(data->doubles, "row", noun),
                       data->doubles == 1 ? "repeats" : "repeat");
    }
}

/* Learning rate over the largest stable one of a network's initial kernel; NaN: not known. */
static double rate_ratio(const nl_report_networks *data, int cell)
{
    const int init = nl_report_tag(data, "init");
    const int column = nl_quantity_find("rate_ratio");

    for (int k = 0; k < data->kernels; k++) {
        const int r = nl_report_find(data, cell, init, k);

        if (r >= 0) {
            return data->row[r].value[column];
        }
    }
    return NAN;
}

/* How many of a cell's width begin above; its first cell that does speaks for the width. */
static void put_width(const nl_report_networks *data, int cell, nl_text *out)
{
    const double width = data->cell[cell].width;
    int known = 0;
    int above = 0;

    for (int c = 0; c < data->cells; c++) {
        const double ratio = data->cell[c].width == width ? rate_ratio(data, c) : NAN;

        if (ratio > 1.0 && c < cell) {
            return;
        }
        known += isfinite(ratio) ? 1 : 0;
        above += ratio > 1.0 ? 1 : 0;
    }
    nl_text_append(out, "%swidth %g: %d of %d", out->length > 0 ? ", " : "", width, above, known);
}

/* Trainings that begin above their own stability: what they show is that rate's, too. */
static void put_rates(const nl_report_networks *data, nl_text *out)
{
    double most = 0.0;
    int known = 0;
    int above = 0;
    char networks[48];
    nl_text widths = {0};

    for (int c = 0; c < data->cells; c++) {
        const double ratio = rate_ratio(data, c);

        known += isfinite(ratio) ? 1 : 0;
        above += ratio > 1.0 ? 1 : 0;
        most = fmax(most, ratio);
        if (ratio > 1.0) {
            put_width(data, c, &widths);
        }
    }
    if (above > 0) {
        nl_text_append(
            out,
            "**%d of %s %s above the largest stable learning rate of their "
            "initial kernel** (rate_ratio up to %.3g; %s): their first steps overshoot and "
            "change the kernel at once, and what is said below of these widths may be "
            "an effect of that rate. A study with a smaller learning_rate tells. (With "
            "cross-entropy that rate is a local one: training above it may be "
            "harmless.)\n\n",
            above, nl_format_count(known, "network", networks), above == 1 ? "begins" : "begin",
            most, widths.data);
    }
    nl_text_free(&widths);
}

/* The words on networks and fits: all into `summary`, what fits a terminal to the stream too. */
static void put_words(const nl_report_networks *data, const nl_report_fits *fits, FILE *stream,
                      nl_text *summary)
{
    put_rates(data, summary);
    nl_report_verdict(data, fits, summary);
    nl_report_prefixes(data, fits, summary);
    nl_report_tables(data, fits, summary);
    if (!summary->failed) {
        fputs(summary->data, stream);
    }
    nl_report_ranks(data, fits, summary);
}

static nl_status write_report(const nl_report_options *options, const source *sources,
                              const nl_report_networks *data, const nl_report_fits *fits,
                              const char *differences, FILE *stream)
{
    static const char *const names[] = {
        "summary.md",          "fits.csv",     "robustness.csv",   "transition.csv",
        "local_exponents.csv", "prefixes.csv", "prefix_slopes.csv"};
    const size_t last =
        nl_report_has_prefixes(data) ? NL_COUNT(names) : NL_COUNT(names) - 2; /* of prefixes */
    nl_text text[NL_COUNT(names)] = {0};
    nl_status status = nl_folder_create(options->out);

    if (status == NL_OK) {
        nl_folder_remove_temporaries(options->out, abandoned);
    }
    put_title(options->count, sources, &text[0]);
    put_live(options->count, sources, &text[0]);
    put_left_out(data, differences, &text[0]);
    put_words(data, fits, stream, &text[0]);
    nl_report_fits_csv(data, fits, &text[1]);
    nl_report_robustness_csv(data, fits, &text[2]);
    nl_report_transition_csv(data, fits, &text[3]);
    nl_report_local_csv(data, fits, &text[4]);
    nl_report_prefixes_csv(data, fits, &text[5]);
    nl_report_prefix_slopes_csv(data, fits, &text[6]);
    for (size_t k = 0; k < NL_COUNT(names); k++) {
        if (status == NL_OK && k < last) {
            status = nl_file_write_text(options->out, names[k], &text[k]);
        }
        nl_text_free(&text[k]);
    }
    return status;
}

nl_status nl_study_report(const nl_report_options *options, FILE *stream)
{
    const int count = options->count;
    source *sources = nl_calloc((size_t)count, sizeof *sources);
    nl_report_source *tables = nl_calloc((size_t)count, sizeof *tables);
    nl_report_networks data = {0};
    nl_report_fits fits = {0};
    nl_text differences = {0};
    nl_status status = NL_OK;

    nl_text_append(&differences, "%s", "");
    status = nl_folder_check_report(options->out);
    if (sources == NULL || tables == NULL || differences.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "report: out of memory");
    }
    for (int s = 0; status == NL_OK && s < count; s++) {
        sources[s].folder = options->folders[s];
        status = read_source(&sources[s]);
        tables[s].table = sources[s].table;
        tables[s].probe = sources[s].study != NULL ? sources[s].study->spec.split.probe : 0.0;
    }
    if (status == NL_OK) {
        list_differences(count, sources, &differences);
        name_apart(count, sources, tables);
        status = nl_report_networks_create(count, tables, differences.length > 0, &data);
    }
    if (status == NL_OK) {
        status = nl_report_fits_create(&data, options->threshold, &fits);
    }
    if (status == NL_OK) {
        status = write_report(options, sources, &data, &fits, differences.data, stream);
    }
    nl_report_fits_free(&fits);
    nl_report_networks_free(&data);
    nl_text_free(&differences);
    for (int s = 0; sources != NULL && s < count; s++) {
        free_source(&sources[s]);
    }
    free(sources);
    free(tables);
    return status;
}
