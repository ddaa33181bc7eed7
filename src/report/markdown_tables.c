/** @file markdown_tables.c  Tables of the report, in Markdown. */
#include "markdown_tables.h"
#include "quantities.h"
#include "words.h"

#include <math.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Main fits
 *-------------------------------------------------------------------------------------------*/

static void put_interval(nl_text *out, nl_interval i)
{
    if (isnan(i.value)) {
        nl_text_append(out, " - |");
    } else if (isnan(i.low)) {
        nl_text_append(out, " %+.3f |", i.value);
    } else {
        nl_text_append(out, " %+.3f (%+.3f, %+.3f) |", i.value, i.low, i.high);
    }
}

static void put_offset(nl_text *out, const nl_fit *fit)
{
    if (isnan(fit->offset.low)) {
        nl_text_append(out, " - |");
    } else {
        nl_text_append(out, " %.3g (%.3g, %.3g) |", fit->offset.value, fit->offset.low,
                       fit->offset.high);
    }
}

static void put_fit(const nl_report_networks *data, const nl_report_fits *fits,
                    const nl_series_fit *f, nl_text *out)
{
    const nl_series *series = &fits->series[f->series];
    nl_text note = {0};
    char quantity[128];

    nl_report_note(f, &note);
    nl_text_append(out, "| %s | %s | %s |", nl_direction_name(series->direction), series->held,
                   nl_report_quantity(data, f->quantity, f->kernel, f->tag, quantity));
    put_interval(out, f->fit.slope);
    nl_text_append(out, " %s |", nl_law_name(f->fit.law));
    put_interval(out, f->fit.exponent);
    put_offset(out, &f->fit);
    if (nl_fit_holds(&f->fit) == NL_UNTESTED) {
        nl_text_append(out, " untested |");
    } else {
        nl_text_append(out, " %s (%.2g) |", nl_holds_word(nl_fit_holds(&f->fit)),
                       f->fit.law == NL_LAW_OFFSET ? f->fit.offset_p : f->fit.power_p);
    }
    nl_text_append(out, " %d x %d | %s |\n", f->fit.points, f->fit.seeds,
                   note.data != NULL ? note.data : "");
    nl_text_free(&note);
}

static bool is_main(const nl_report_networks *data, const nl_series_fit *f)
{
    const char *column = nl_quantities[f->quantity].column;
    const char *tag = f->tag < 0 ? "" : data->tag[f->tag];
    const bool at_best = strcmp(tag, "best") == 0;

    if (strcmp(column, "test_loss") == 0 || strcmp(column, "step") == 0) {
        return at_best;
    }
    if (strcmp(column, "effective_rank") == 0 && f->kernel == nl_report_kernel(data, "traced")) {
        return at_best || f->tag == nl_ratio || strcmp(tag, "init") == 0;
    }
    return f->kernel == nl_report_main_kernel(data) && f->tag != nl_base &&
           (nl_quantities[f->quantity].splits
                ? at_best || f->tag == nl_ratio || strcmp(tag, "init") == 0
            : strcmp(column, "spectral_position") == 0
                ? f->tag == nl_least
                : at_best && (strcmp(column, "participation_ratio") == 0 ||
                              strcmp(column, "kernel_distance") == 0 ||
                              strcmp(column, "infinite_distance") == 0));
}

static void put_main_fits(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(
        out, "## Fits\n\ny ~ x^-exponent, or offset + that; slope: of log y against log x over all "
             "scales, whatever the law, so that it is minus the exponent of a pure power. "
             "Holds: are residuals as large as these likelier than 5 %% (p) if the law does? "
             "All fits: fits.csv; exponents between neighbouring scales: "
             "local_exponents.csv.\n\n"
             "| direction | held | quantity | slope of log y (95 %%) | law | exponent (95 %%) "
             "| offset (95 %%) | holds (p) | points x seeds | note |\n"
             "|---|---|---|---|---|---|---|---|---|---|\n");
    for (int f = 0; f < fits->fits; f++) {
        if (is_main(data, &fits->fit[f])) {
            put_fit(data, fits, &fits->fit[f], out);
        }
    }
    nl_text_append(out, "\n");
}

/*---------------------------------------------------------------------------------------------
 * Robustness
 *-------------------------------------------------------------------------------------------*/

static const nl_series_fit *rank_fit(const nl_report_fits *fits, int series, int quantity,
                                     int kernel, int tag)
{
    return nl_report_fit(fits, series, nl_quantities[quantity].column, kernel, tag);
}

static bool any_rank_fit(const nl_report_networks *data, const nl_report_fits *fits, int series,
                         int quantity, int kernel)
{
    for (int t = 0; t < data->tags; t++) {
        if (rank_fit(fits, series, quantity, kernel, t) != NULL) {
            return true;
        }
    }
    return false;
}

static void put_sign(const nl_series_fit *f, nl_text *out)
{
    if (f == NULL) {
        nl_text_append(out, " |");
    } else if (isnan(f->fit.slope.value)) {
        nl_text_append(out, " %s |", nl_fit_sign_word(&f->fit));
    } else {
        nl_text_append(out, " %s %+.2f |", nl_fit_sign_word(&f->fit), f->fit.slope.value);
    }
}

static void put_robustness(const nl_report_networks *data, const nl_report_fits *fits, int series,
                           nl_text *out)
{
    nl_text_append(out, "Against %s at %s:\n\n| rank | kernel | probe |",
                   nl_direction_name(fits->series[series].direction), fits->series[series].held);
    for (int t = 0; t < data->tags; t++) {
        nl_text_append(out, " %s |", data->tag[t]);
    }
    nl_text_append(out, "\n|---|---|---|");
    for (int t = 0; t < data->tags; t++) {
        nl_text_append(out, "---|");
    }
    nl_text_append(out, "\n");
    for (int q = 0; q < nl_quantity_count; q++) {
        for (int k = 0; nl_quantities[q].definition != NULL && k < data->kernels; k++) {
            if (!any_rank_fit(data, fits, series, q, k)) {
                continue;
            }
            nl_text_append(out, "| %s | %s | %s |", nl_quantities[q].definition, data->kernel[k],
                           nl_quantities[q].part);
            for (int t = 0; t < data->tags; t++) {
                put_sign(rank_fit(fits, series, q, k, t), out);
            }
            nl_text_append(out, "\n");
        }
    }
    nl_text_append(out, "\n");
}

void nl_report_tables(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    put_main_fits(data, fits, out);
    nl_text_append(
        out, "## Robustness\n\nDoes the rank rise or fall, by which definition, kernel, "
             "state and share of the probe? Word: what the interval of the slope says; "
             "number: the slope of log rank. Ranks of different probe sizes are not compared with "
             "each other.\n\n");
    for (int g = 0; g < fits->series_count; g++) {
        if (nl_report_is_headline(fits, g)) {
            put_robustness(data, fits, g, out);
        }
    }
}

void nl_report_ranks(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(out,
                   "## Robustness in numbers\n\n| direction | held | quantity | slope of log y "
                   "(95 %%) | points x seeds | note |\n|---|---|---|---|---|---|\n");
    for (int f = 0; f < fits->fits; f++) {
        const nl_series_fit *fit = &fits->fit[f];
        const nl_series *series = &fits->series[fit->series];
        nl_text note = {0};
        char quantity[128];

        if (nl_quantities[fit->quantity].definition == NULL ||
            !nl_report_is_headline(fits, fit->series)) {
            continue;
        }
        nl_report_note(fit, &note);
        nl_text_append(out, "| %s | %s | %s |", nl_direction_name(series->direction), series->held,
                       nl_report_quantity(data, fit->quantity, fit->kernel, fit->tag, quantity));
        put_interval(out, fit->fit.slope);
        nl_text_append(out, " %d x %d | %s |\n", fit->fit.points, fit->fit.seeds,
                       note.data != NULL ? note.data : "");
        nl_text_free(&note);
    }
    nl_text_append(out, "\n");
}
