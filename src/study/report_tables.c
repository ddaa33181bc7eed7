/** @file report_tables.c  Tables of the report, in Markdown. */
#include "report.h"
#include "report_words.h"

#include <math.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Words of intervals
 *-------------------------------------------------------------------------------------------*/

nl_sign nl_interval_sign(nl_interval interval)
{
    if (isnan(interval.low) || isnan(interval.high)) {
        return NL_SIGN_NO_INTERVAL;
    }
    return interval.low > 0.0    ? NL_SIGN_RISES
           : interval.high < 0.0 ? NL_SIGN_FALLS
                                 : NL_SIGN_UNKNOWN;
}

const char *nl_interval_text(nl_interval interval, char out[96])
{
    if (isnan(interval.value)) {
        snprintf(out, 96, "unknown");
    } else if (isnan(interval.low)) {
        snprintf(out, 96, "%+.3f (no interval)", interval.value);
    } else {
        snprintf(out, 96, "%+.3f (95 %%: %+.3f to %+.3f)", interval.value, interval.low,
                 interval.high);
    }
    return out;
}

int nl_report_main_kernel(const nl_report_data *data)
{
    const int full = nl_report_kernel(data, "full");
    const int traced = nl_report_kernel(data, "traced");

    return full >= 0 ? full : traced >= 0 ? traced : data->kernels - 1 >= 0 ? 0 : -1;
}

int nl_report_headline(const nl_report_fits *fits, const char *setting, nl_direction direction)
{
    int best = -1;

    for (int g = 0; g < fits->groups; g++) { /* held values ascend */
        const nl_group *group = &fits->group[g];

        if (group->direction == direction && group->setting == setting &&
            (best < 0 || group->scales >= fits->group[best].scales)) {
            best = g;
        }
    }
    return best;
}

bool nl_report_is_headline(const nl_report_fits *fits, int group)
{
    const nl_group *g = &fits->group[group];

    return g->direction != NL_PARAMETERS &&
           nl_report_headline(fits, g->setting, g->direction) == group;
}

const char *nl_fit_sign_word(const nl_fit *fit)
{
    static const char *const words[] = {"undecided", "rises", "falls", "no interval"};

    return fit->constant             ? "constant"
           : isnan(fit->slope.value) ? "-"
                                     : words[nl_interval_sign(fit->slope)];
}

nl_tally nl_report_tally(const nl_report_fits *fits, int group)
{
    nl_tally tally = {0};

    for (int f = 0; f < fits->fits; f++) {
        const nl_group_fit *fit = &fits->fit[f];

        if (fit->group != group || nl_quantities[fit->quantity].definition == NULL ||
            fit->tag == nl_ratio) {
            continue;
        }
        if (fit->fit.constant) {
            tally.constant++;
        } else if (fit->fit.law != NL_LAW_NONE) {
            tally.all++;
            tally.rises += nl_interval_sign(fit->fit.slope) == NL_SIGN_RISES ? 1 : 0;
            tally.falls += nl_interval_sign(fit->fit.slope) == NL_SIGN_FALLS ? 1 : 0;
        }
    }
    return tally;
}

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

static void put_fit(const nl_report_data *data, const nl_report_fits *fits, const nl_group_fit *f,
                    nl_text *out)
{
    const nl_group *group = &fits->group[f->group];
    nl_text note = {0};
    char quantity[128];

    nl_report_note(f, &note);
    nl_text_append(out, "| %s | %s | %s |", nl_direction_name(group->direction), group->held,
                   nl_report_quantity(data, f->quantity, f->kernel, f->tag, quantity));
    put_interval(out, f->fit.slope);
    nl_text_append(out, " %s |", nl_law_name(f->fit.law));
    put_interval(out, f->fit.exponent);
    if (f->fit.law == NL_LAW_OFFSET) {
        nl_text_append(out, " %.3g |", f->fit.offset);
    } else {
        nl_text_append(out, " - |");
    }
    nl_text_append(out, " %d x %d | %s |\n", f->fit.points, f->fit.seeds,
                   note.data != NULL ? note.data : "");
    nl_text_free(&note);
}

static bool is_main(const nl_report_data *data, const nl_group_fit *f)
{
    const char *column = nl_quantities[f->quantity].column;
    const char *tag = f->tag < 0 ? "" : data->tag[f->tag];
    const bool at_best = strcmp(tag, "best") == 0;

    if (strcmp(column, "test_loss") == 0 || strcmp(column, "step") == 0) {
        return at_best;
    }
    return f->kernel == nl_report_main_kernel(data) && f->tag != nl_base &&
           ((strcmp(column, "trace") == 0 || strcmp(column, "effective_rank") == 0)
                ? at_best || f->tag == nl_ratio || strcmp(tag, "init") == 0
                : at_best && (strcmp(column, "participation_ratio") == 0 ||
                              strcmp(column, "kernel_distance") == 0 ||
                              strcmp(column, "infinite_distance") == 0));
}

static void put_main_fits(const nl_report_data *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(out,
                   "## Fits\n\ny ~ x^-exponent; slope: of log y against log x over all scales, "
                   "whatever the law. All fits: fits.csv.\n\n"
                   "| direction | held | quantity | slope (95 %%) | law | exponent (95 %%) | "
                   "offset | points x seeds | note |\n|---|---|---|---|---|---|---|---|---|\n");
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

static const nl_group_fit *rank_fit(const nl_report_fits *fits, int group, int quantity, int kernel,
                                    int tag)
{
    return nl_report_fit(fits, group, nl_quantities[quantity].column, kernel, tag);
}

static bool any_rank_fit(const nl_report_data *data, const nl_report_fits *fits, int group,
                         int quantity, int kernel)
{
    for (int t = 0; t < data->tags; t++) {
        if (rank_fit(fits, group, quantity, kernel, t) != NULL) {
            return true;
        }
    }
    return false;
}

static void put_sign(const nl_group_fit *f, nl_text *out)
{
    if (f == NULL) {
        nl_text_append(out, " |");
    } else if (isnan(f->fit.slope.value)) {
        nl_text_append(out, " %s |", nl_fit_sign_word(&f->fit));
    } else {
        nl_text_append(out, " %s %+.2f |", nl_fit_sign_word(&f->fit), f->fit.slope.value);
    }
}

static void put_robustness(const nl_report_data *data, const nl_report_fits *fits, int group,
                           nl_text *out)
{
    nl_text_append(out, "Against %s at %s:\n\n| rank | kernel | probe |",
                   nl_direction_name(fits->group[group].direction), fits->group[group].held);
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
            if (!any_rank_fit(data, fits, group, q, k)) {
                continue;
            }
            nl_text_append(out, "| %s | %s | %s |", nl_quantities[q].definition, data->kernel[k],
                           nl_quantities[q].part);
            for (int t = 0; t < data->tags; t++) {
                put_sign(rank_fit(fits, group, q, k, t), out);
            }
            nl_text_append(out, "\n");
        }
    }
    nl_text_append(out, "\n");
}

void nl_report_tables(const nl_report_data *data, const nl_report_fits *fits, nl_text *out)
{
    put_main_fits(data, fits, out);
    nl_text_append(out, "## Robustness\n\nDoes the rank rise or fall, by which definition, kernel, "
                        "state and share of the probe? Word: what the interval of the slope says; "
                        "number: the slope. Ranks of different probe sizes are not compared with "
                        "each other.\n\n");
    for (int g = 0; g < fits->groups; g++) {
        if (nl_report_is_headline(fits, g)) {
            put_robustness(data, fits, g, out);
        }
    }
}

void nl_report_ranks(const nl_report_data *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(out,
                   "## Robustness in numbers\n\n| direction | held | quantity | slope (95 %%) | "
                   "points x seeds | note |\n|---|---|---|---|---|---|\n");
    for (int f = 0; f < fits->fits; f++) {
        const nl_group_fit *fit = &fits->fit[f];
        const nl_group *group = &fits->group[fit->group];
        nl_text note = {0};
        char quantity[128];

        if (nl_quantities[fit->quantity].definition == NULL ||
            !nl_report_is_headline(fits, fit->group)) {
            continue;
        }
        nl_report_note(fit, &note);
        nl_text_append(out, "| %s | %s | %s |", nl_direction_name(group->direction), group->held,
                       nl_report_quantity(data, fit->quantity, fit->kernel, fit->tag, quantity));
        put_interval(out, fit->fit.slope);
        nl_text_append(out, " %d x %d | %s |\n", fit->fit.points, fit->fit.seeds,
                       note.data != NULL ? note.data : "");
        nl_text_free(&note);
    }
    nl_text_append(out, "\n");
}
