/** @file words.c  Words and counts that tables and verdict share. */
#include "words.h"
#include "quantities.h"

#include <math.h>

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

/* A group speaks for a direction where all its scales count, three at least. */
static bool is_sound(const nl_series *series)
{
    return series->usable == series->scales && series->usable >= 3;
}

/* Does b speak for its direction rather than a, whose held value is smaller? */
static bool is_better(const nl_series *a, const nl_series *b)
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

    for (int g = 0; g < fits->series_count; g++) { /* held values ascend */
        const nl_series *series = &fits->series[g];

        if (series->direction == direction && series->setting == setting &&
            (best < 0 || is_better(&fits->series[best], series))) {
            best = g;
        }
    }
    return best;
}

bool nl_report_is_headline(const nl_report_fits *fits, int series)
{
    const nl_series *g = &fits->series[series];

    return g->direction != NL_PARAMETERS &&
           nl_report_headline(fits, g->setting, g->direction) == series;
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
    int series, kernel;
} scope;

static bool is_counted(const nl_report_fits *fits, int f, scope of)
{
    const nl_series_fit *fit = &fits->fit[f];

    return fit->series == of.series && fit->kernel == of.kernel && fit->tag >= 0 &&
           nl_quantities[fit->quantity].definition != NULL;
}

static bool is_tested(const nl_report_fits *fits, int f, scope of)
{
    return !isnan(fits->fit[f].fit.slope_p) &&
           (of.series < 0 ? fits->fit[f].tag != nl_base : is_counted(fits, f, of));
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

nl_tally nl_report_tally(const nl_report_fits *fits, int series, int kernel)
{
    const scope of = {.series = series, .kernel = kernel};
    nl_tally tally = {0};

    for (int f = 0; f < fits->fits; f++) {
        const nl_series_fit *fit = &fits->fit[f];

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

    count_tested(fits, (scope){.series = -1}, &tally);
    return tally;
}

const char *nl_report_quantity(const nl_report_networks *data, int quantity, int kernel, int tag,
                               char out[128])
{
    const char *column = nl_quantities[quantity].column;
    const char *at = tag == nl_ratio   ? "best/init"
                     : tag == nl_base  ? "init"
                     : tag == nl_least ? "least"
                                       : data->tag[tag];

    if (kernel < 0) {
        snprintf(out, 128, "%s@%s", column, at);
    } else {
        snprintf(out, 128, "%s[%s]@%s", column, data->kernel[kernel], at);
    }
    return out;
}

static void add_words(nl_text *out, int count, const char *what)
{
    if (count > 0) {
        nl_text_append(out, "%s%d %s left out", out->length > 0 ? "; " : "", count, what);
    }
}

void nl_report_note(const nl_series_fit *fit, nl_text *out)
{
    nl_text_append(out, "%s", fit->fit.note);
    add_words(out, fit->censored, "censored");
    add_words(out, fit->diverged, "diverged");
    add_words(out, fit->untrained, "untrained");
    add_words(out, fit->collapsed, "collapsed");
    add_words(out, fit->empty, "without a value");
    if (fit->overdetermined > 0) {
        nl_text_append(out, "%s%d overdetermined: this rank is at most the number of parameters",
                       out->length > 0 ? "; " : "", fit->overdetermined);
    }
}
