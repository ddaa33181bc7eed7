/** @file cmd_report.c  ntklens report: power laws, verdict, figures. */
#include "arguments.h"
#include "command.h"
#include "figures.h"
#include "launch.h"

#include "ntklens/io.h"
#include "ntklens/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { opt_output, opt_threshold, opt_no_figures };

static const nl_option options[] = {
    [opt_output] = {"output", 'o', "OUT", "folder of the report; default: report in the first DIR"},
    [opt_threshold] =
        {"threshold", 0, "C",
         "kernel distance, 0 to 2, below which a network counts as lazy; default 0.1"},
    [opt_no_figures] = {"no-figures", 0, NULL, "numbers and words only"},
    {0},
};

static nl_status read_threshold(const char *text, double *out)
{
    char *end = NULL;

    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out > 0.0 && *out < 2.0)) {
        return NL_FAIL(NL_ERR_USAGE,
                       "report: --threshold %s: expected a number above 0 and below 2", text);
    }
    return NL_OK;
}

static nl_status write_report(nl_report_options *report, bool figures)
{
    char *beside = NULL;
    char name[1024];
    nl_status status = NL_OK;

    if (report->count == 0) {
        return NL_FAIL(NL_ERR_USAGE, "report: a folder is missing; see ntklens report --help");
    }
    if (report->out == NULL) {
        beside = nl_path_join(report->folders[0], "report");
        report->out = beside;
        status = beside == NULL ? NL_FAIL(NL_ERR_NOMEM, "report: out of memory") : NL_OK;
    }
    if (status == NL_OK) {
        status = nl_study_report(report, stdout);
    }
    if (status == NL_OK && figures) {
        nl_figures_draw(report->out, report->count, report->folders);
    }
    if (status == NL_OK) {
        printf("Written to %s\n", nl_escaped(report->out, name, sizeof name));
    }
    free(beside);
    return status;
}

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);
    const char **folders = calloc((size_t)argc + 1, sizeof *folders);
    nl_report_options report = {.folders = folders, .threshold = 0.1};
    bool figures = true;

    if (status == NL_OK && folders == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for arguments");
    }
    for (int k = 0; status == NL_OK && k < arguments.count; k++) {
        const nl_argument *argument = &arguments.item[k];

        if (argument->option == NULL) {
            folders[report.count++] = argument->text;
        } else if (argument->option == &options[opt_output]) {
            report.out = argument->text;
        } else if (argument->option == &options[opt_threshold]) {
            status = read_threshold(argument->text, &report.threshold);
        } else {
            figures = false;
        }
    }
    if (status == NL_OK && !arguments.help && nl_launched_rank() == 0) {
        status = write_report(&report, figures);
    }
    free(folders);
    free(arguments.item);
    return status;
}

const nl_command nl_command_report = {
    .name = "report",
    .operands = "DIR [DIR2 ...] [-o OUT] [--threshold C] [--no-figures]",
    .summary = "Fit power laws, say what may be concluded, draw it.",
    .details =
        "Reads results.csv and study.yaml of each folder, which may have been edited or joined;\n"
        "several folders (a width study and a data study) become one report.  Writes summary.md,\n"
        "fits.csv (all fits with intervals of 95 %), robustness.csv, transition.csv, tables of "
        "ranks by\n"
        "the number of images (measure.probe_prefixes) and, with\n"
        "Python and matplotlib, figures and report.html.  Spectra are drawn from cells/ where they "
        "are there.",
    .options = options,
    .run = run,
};
