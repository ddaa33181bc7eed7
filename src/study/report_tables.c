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

/* Of the probability that any of a joint statement is wrong. */
static const double joint_level = 0.05;

/* Below this probability of its residuals a law does not describe the points. */
static const double holds_level = 0.05;

nl_holds nl_fit_holds(const nl_fit *fit)
{
    const double p = fit->law == NL_LAW_POWER ? fit->power_p : fit->offset_p;

    if (fit->ran_away) {
        return NL_FAILS;
    }
    return fit->law == NL_LAW_NONE || isnan(p) ? NL_UNTESTED
           : p < holds_level                   ? NL_FAILS
                                               : NL_HOLDS;
}

const char *nl_holds_word(nl_holds holds)
{
    static const char *const words[] = {"untested", "yes", "no"};

    return words[holds];
}

const char *nl_fit_holds_text(const nl_fit *fit, char out[192])
{
    const bool offset = fit->law == NL_LAW_OFFSET;
    const nl_holds holds = nl_fit_holds(fit);

    if (holds == NL_UNTESTED) {
        snprintf(out, 192, "whether a power law holds is not tested");
    } else if (fit->ran_away) {
        snprintf(out, 192, "no power law with a possible offset describes these points");
    } else if (holds == NL_FAILS && isnan(fit->offset_p)) {
        snprintf(out, 192, "a power law does not describe these points (p = %.2g)", fit->power_p);
    } else if (holds == NL_FAILS) {
        snprintf(out, 192,
                 "a power law does not describe these points (p = %.2g; with an offset %.2g)",
                 fit->power_p, fit->offset_p);
    } else if (offset && fit->power_p < holds_level) {
        snprintf(out, 192,
                 "a pure power does not describe these points (p = %.2g); with an offset the law "
                 "holds within the noise (p = %.2g)",
                 fit->power_p, fit->offset_p);
    } else {
        snprintf(out, 192, "the law holds within the noise (p = %.2g)",
                 offset ? fit->offset_p : fit->power_p);
    }
    return out;
}

int nl_report_main_kernel(const nl_report_data *data)
{
    const int full = nl_report_kernel(data, "full");
    const int traced = nl_report_kernel(data, "traced");

    return full >= 0 ? full : traced >= 0 ? traced : data->kernels - 1 >= 0 ? 0 : -1;
}

/* A group speaks for a direction where all its scales count, three at least. */
static bool is_sound(const nl_group *group)
{
    return group->usable == group->scales && group->usable >= 3;
}

/* Does b speak for its direction rather than a, whose held value is smaller? */
static bool is_better(const nl_group *a, const nl_group *b)
{
    const bool smallest =
        b->direction == NL_DATA; /* the claim about data is one about small models */

    if (is_sound(a) != is_sound(b)) {
        return is_sound(b);
    }
    if (is_sound(a)) {
        return !smallest;
    }
    return b->usable != a->usable ? b->usable > a->usable : b->scales >= a->scales;
}

int nl_report_headline(const nl_report_fits *fits, const char *setting, nl_direction direction)
{
    int best = -1;

    for (int g = 0; g < fits->groups; g++) { /* held values ascend */
        const nl_group *group = &fits->group[g];

        if (group->direction == direction && group->setting == setting &&
            (best < 0 || is_better(&fits->group[best], group))) {
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

/** What a tally is about: ranks of one group by one kernel; group -1: all fits. */
typedef struct scope {
    int group, kernel;
} scope;

static bool is_counted(const nl_report_fits *fits, int f, scope of)
{
    const nl_group_fit *fit = &fits->fit[f];

    return fit->group == of.group && fit->kernel == of.kernel && fit->tag >= 0 &&
           nl_quantities[fit->quantity].definition != NULL;
}

static bool is_tested(const nl_report_fits *fits, int f, scope of)
{
    return !isnan(fits->fit[f].fit.slope_p) &&
           (of.group < 0 ? fits->fit[f].tag != nl_base : is_counted(fits, f, of));
}

/* Holm, Scandinavian Journal of Statistics 6, 1979: the k-th smallest p of m is held to
 * level / (m - k + 1), and the first that fails ends it.  Returns the p that fails. */
static double holm_limit(const nl_report_fits *fits, scope of, int tests)
{
    double limit = INFINITY;

    for (int f = 0; f < fits->fits; f++) {
        int smaller = 0;

        for (int k = 0; is_tested(fits, f, of) && k < fits->fits; k++) {
            const double p = fits->fit[k].fit.slope_p;

            smaller += is_tested(fits, k, of) && (p < fits->fit[f].fit.slope_p ||
                                                  (p == fits->fit[f].fit.slope_p && k < f))
                           ? 1
                           : 0;
        }
        if (is_tested(fits, f, of) && fits->fit[f].fit.slope_p > joint_level / (tests - smaller)) {
            limit = fmin(limit, fits->fit[f].fit.slope_p);
        }
    }
    return limit;
}

/* The tested slopes of a group, or of all fits. */
static void count_tested(const nl_report_fits *fits, scope of, nl_tally *tally)
{
    double limit = 0.0;

    for (int f = 0; f < fits->fits; f++) {
        tally->tested += is_tested(fits, f, of) ? 1 : 0;
    }
    limit = holm_limit(fits, of, tally->tested);
    for (int f = 0; f < fits->fits; f++) {
        const nl_fit *fit = &fits->fit[f].fit;

        if (is_tested(fits, f, of)) {
            tally->apart += nl_interval_sign(fit->slope) != NL_SIGN_UNKNOWN ? 1 : 0;
            tally->jointly_rises += fit->slope_p < limit && fit->slope.value > 0.0 ? 1 : 0;
            tally->jointly_falls += fit->slope_p < limit && fit->slope.value < 0.0 ? 1 : 0;
        }
    }
}

nl_tally nl_report_tally(const nl_report_fits *fits, int group, int kernel)
{
    const scope of = {.group = group, .kernel = kernel};
    nl_tally tally = {0};

    for (int f = 0; f < fits->fits; f++) {
        const nl_group_fit *fit = &fits->fit[f];

        if (!is_counted(fits, f, of)) {
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
    count_tested(fits, of, &tally);
    return tally;
}

nl_tally nl_report_tally_all(const nl_report_fits *fits)
{
    nl_tally tally = {0};

    count_tested(fits, (scope){.group = -1}, &tally);
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

static void put_offset(nl_text *out, const nl_fit *fit)
{
    if (isnan(fit->offset.low)) {
        nl_text_append(out, " - |");
    } else {
        nl_text_append(out, " %.3g (%.3g, %.3g) |", fit->offset.value, fit->offset.low,
                       fit->offset.high);
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

static bool is_main(const nl_report_data *data, const nl_group_fit *f)
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

static void put_main_fits(const nl_report_data *data, const nl_report_fits *fits, nl_text *out)
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
    nl_text_append(
        out, "## Robustness\n\nDoes the rank rise or fall, by which definition, kernel, "
             "state and share of the probe? Word: what the interval of the slope says; "
             "number: the slope of log rank. Ranks of different probe sizes are not compared with "
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
                   "## Robustness in numbers\n\n| direction | held | quantity | slope of log y "
                   "(95 %%) | points x seeds | note |\n|---|---|---|---|---|---|\n");
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
