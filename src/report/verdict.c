/** @file verdict.c  What may be concluded: words that are never stronger than the intervals.
 */
#include "verdict.h"
#include "claims.h"
#include "prefixes.h"
#include "split.h"
#include "words.h"

#include <ctype.h>
#include <math.h>

/*---------------------------------------------------------------------------------------------
 * Effective rank
 *-------------------------------------------------------------------------------------------*/

static void say_scales(const nl_report_view *v, nl_direction direction, const nl_fit *fit)
{
    static const char *const noun[] = {"width", "size", "parameter count"};
    const nl_series *series = &v->fits->series[v->series[direction]];
    char number[3][32];
    char points[48];
    char seeds[48];

    if (fit->points == 0) {
        nl_text_append(v->out, "at %s no network is left for it", series->held);
        return;
    }
    nl_text_append(v->out, "%s from %s to %s%s, %s, at %s",
                   nl_format_count(fit->points, noun[direction], points),
                   nl_format_double(fit->first, number[0]), nl_format_double(fit->last, number[1]),
                   series->channels && direction == NL_WIDTH ? " channels" : "",
                   nl_format_count(fit->seeds, "seed", seeds), series->held);
    if (!isnan(fit->turn)) {
        nl_text_append(
            v->out, "; not monotone: the seed means have a %s at %s that stands out from both ends",
            fit->turn_is_peak ? "peak" : "dip", nl_format_double(fit->turn, number[2]));
    }
}

/* on: the images that it is measured on; "": nobody says. */
static nl_sign say_trend(const nl_report_view *v, nl_direction direction, const char *what,
                         const char *on, const nl_fit *fit)
{
    const char *of = nl_direction_name(direction);
    const nl_sign sign = nl_interval_sign(fit->slope);
    char text[96];

    nl_text_append(v->out, "- ");
    if (fit->law == NL_LAW_NONE) {
        nl_text_append(v->out, "How %s depends on %s cannot be said: %s", what, of, fit->note);
    } else if (sign == NL_SIGN_NO_INTERVAL) {
        nl_text_append(v->out,
                       "For %s against %s: slope of its logarithm %s, so nothing is claimed", what,
                       of, nl_interval_text(fit->slope, text));
    } else if (sign == NL_SIGN_UNKNOWN) {
        nl_text_append(
            v->out, "Whether %s rises or falls with %s cannot be told: slope of its logarithm %s",
            what, of, nl_interval_text(fit->slope, text));
    } else {
        nl_text_append(v->out, "%c%s **%s with %s**: slope of its logarithm %s",
                       toupper((unsigned char)what[0]), what + 1,
                       sign == NL_SIGN_RISES ? "rises" : "falls", of,
                       nl_interval_text(fit->slope, text));
    }
    nl_text_append(v->out, "; ");
    say_scales(v, direction, fit);
    nl_text_append(v->out, "%s%s.\n", on[0] != '\0' ? "; on " : "", on);
    return sign;
}

static bool is_decided(nl_sign sign)
{
    return sign == NL_SIGN_RISES || sign == NL_SIGN_FALLS;
}

/* By one kernel: each sentence names it, for another one may say the contrary. */
static void say_rank(const nl_report_view *v, int kernel)
{
    const char *name = v->data->kernel[kernel];
    nl_sign sign[2] = {NL_SIGN_NO_INTERVAL, NL_SIGN_NO_INTERVAL};
    char what[96];
    char on[64];
    int found = 0;

    nl_report_images_text(v->data, v->setting, kernel, nl_report_order(v->data, v->setting, kernel),
                          on);
    snprintf(what, sizeof what, "the effective rank of the %s kernel at best", name);
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        const nl_fit *fit =
            nl_report_view_fit(v, (nl_direction)d, "effective_rank", kernel, v->best);

        if (fit != NULL) {
            sign[d] = say_trend(v, (nl_direction)d, what, on, fit);
            found++;
        }
    }
    if (found < 2) {
        nl_text_append(v->out,
                       "- %s: nothing is said about whether width and data act in opposite ways.\n",
                       found == 0 ? "Neither direction has a fit"
                       : v->data->settings > 1
                           ? "Only one direction was measured with these settings (the headings "
                             "name what differs)"
                           : "Only one direction was measured (`ntklens report` takes the "
                             "folders of both)");
    } else if (is_decided(sign[NL_WIDTH]) && is_decided(sign[NL_DATA])) {
        nl_text_append(
            v->out, "- So width and data change the effective rank of the %s kernel **in %s**.\n",
            name, sign[NL_WIDTH] != sign[NL_DATA] ? "opposite ways" : "the same way");
    } else {
        nl_text_append(v->out,
                       "- Whether width and data change the effective rank of the %s kernel in "
                       "opposite ways cannot be told from these intervals.\n",
                       name);
    }
}

/* The headline's kernel, then the other of full and traced. */
static void say_ranks(const nl_report_view *v)
{
    const int traced = nl_report_kernel(v->data, "traced");

    say_rank(v, v->kernel);
    if (traced >= 0 && traced != v->kernel) {
        say_rank(v, traced);
    }
    nl_report_split(v);
    nl_report_held_values(v);
}

/*---------------------------------------------------------------------------------------------
 * Loss
 *-------------------------------------------------------------------------------------------*/

static void say_law(const nl_report_view *v, nl_direction direction, const nl_fit *fit)
{
    char text[192];

    nl_text_append(v->out, "- Test loss at best against %s: ", nl_direction_name(direction));
    if (fit->law == NL_LAW_NONE) {
        nl_text_append(v->out, "%s", fit->note);
    } else {
        nl_text_append(v->out, "%s; ", nl_fit_holds_text(fit, text));
        nl_text_append(v->out, "%s, exponent %s",
                       fit->law == NL_LAW_OFFSET ? "power law with an offset" : "pure power law",
                       nl_interval_text(fit->exponent, text));
        if (!isnan(fit->offset.low)) {
            nl_text_append(v->out, ", offset %.3g (95 %%: %.3g to %.3g)", fit->offset.value,
                           fit->offset.low, fit->offset.high);
        }
        nl_text_append(v->out, "; slope of its logarithm %s", nl_interval_text(fit->slope, text));
        if (fit->note[0] != '\0') {
            nl_text_append(v->out, "; %s", fit->note);
        }
    }
    nl_text_append(v->out, ".\n");
}

/* The claim that the loss follows a power law in both directions is tested, not assumed. */
static void say_both_laws(const nl_report_view *v, const nl_fit *const fit[2])
{
    const nl_holds holds[2] = {nl_fit_holds(fit[0]), nl_fit_holds(fit[1])};

    nl_text_append(v->out,
                   "- That the loss follows a power law in both directions, with or without "
                   "an offset, **");
    if (holds[0] == NL_FAILS || holds[1] == NL_FAILS) {
        nl_text_append(v->out, "does not hold**: not against %s",
                       holds[0] == NL_HOLDS || holds[0] == NL_UNTESTED ? "data"
                       : holds[1] == NL_FAILS                          ? "width, nor against data"
                                                                       : "width");
    } else if (holds[0] == NL_UNTESTED || holds[1] == NL_UNTESTED) {
        nl_text_append(v->out, "is not tested** by these points");
    } else {
        nl_text_append(v->out, "is not contradicted** by these points");
    }
    nl_text_append(v->out, ".\n");
}

/* Compare two estimates of like kind in words. */
static void say_difference(const nl_report_view *v, const char *what, nl_interval width,
                           nl_interval data)
{
    const nl_interval d = nl_interval_difference(width, data);
    const nl_sign sign = nl_interval_sign(d);
    char text[96];

    nl_text_append(v->out, "%s, width less data: %s, ", what, nl_interval_text(d, text));
    nl_text_append(v->out, "%s",
                   sign == NL_SIGN_NO_INTERVAL ? "so nothing is claimed"
                   : sign == NL_SIGN_UNKNOWN
                       ? "so none is shown, which is not to say that there is "
                         "none"
                       : "so they differ");
}

static void say_loss(const nl_report_view *v)
{
    const nl_fit *fit[2] = {nl_report_view_fit(v, NL_WIDTH, "test_loss", -1, v->best),
                            nl_report_view_fit(v, NL_DATA, "test_loss", -1, v->best)};

    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        if (fit[d] != NULL) {
            say_law(v, (nl_direction)d, fit[d]);
        }
    }
    if (fit[0] != NULL && fit[1] != NULL && fit[0]->law != NL_LAW_NONE &&
        fit[1]->law != NL_LAW_NONE) {
        say_both_laws(v, fit);
        nl_text_append(v->out, "- ");
        if (fit[0]->identified && fit[1]->identified) {
            say_difference(v, "Difference of the loss exponents", fit[0]->exponent,
                           fit[1]->exponent);
        } else {
            nl_text_append(v->out,
                           "The loss exponents are not compared: that against %s is not identified",
                           fit[1]->identified   ? "width"
                           : fit[0]->identified ? "data"
                                                : "width, and that against data,");
        }
        nl_text_append(v->out, ".\n");
    }
}

/*---------------------------------------------------------------------------------------------
 * Trace: initial scale and what training makes of it
 *-------------------------------------------------------------------------------------------*/

static void say_trace(const nl_report_view *v, nl_direction direction)
{
    const nl_fit *at_best = nl_report_view_fit(v, direction, "trace", v->kernel, v->best);
    const nl_fit *at_init = nl_report_view_fit(v, direction, "trace", v->kernel, nl_base);
    const nl_fit *change = nl_report_view_fit(v, direction, "trace", v->kernel, nl_ratio);

    if (at_best == NULL || at_init == NULL || change == NULL) {
        return;
    }
    nl_text_append(
        v->out, "- log trace at best = log trace at init + log(best/init); its slope against %s: ",
        nl_direction_name(direction));
    nl_report_part(at_best, "0 (constant)", v->out);
    nl_text_append(v->out, " = ");
    nl_report_part(at_init,
                   direction == NL_DATA
                       ? "0 **by construction** (the initial network does not depend on data)"
                       : "0 (constant)",
                   v->out);
    nl_text_append(v->out, " plus ");
    nl_report_part(change, "0 (constant)", v->out);
    if (at_init->constant) {
        nl_text_append(v->out, "; all of it comes from training.\n");
    } else if (at_init->law != NL_LAW_NONE && change->law != NL_LAW_NONE) {
        static const char *const words[] = {
            [NL_PART_INIT] = "the larger part is that of the initial kernel",
            [NL_PART_TRAINING] = "the larger part is that of training",
            [NL_PART_UNKNOWN] = "which part is larger cannot be told",
            [NL_PART_NO_INTERVAL] = "without intervals nothing is said about which part is larger",
        };

        nl_text_append(v->out, "; %s.\n", words[nl_report_larger(at_init, change)]);
    } else {
        nl_text_append(v->out, ".\n");
    }
}

/*---------------------------------------------------------------------------------------------
 * Robustness, transition, joint law
 *-------------------------------------------------------------------------------------------*/

static void say_jointly_tested(const nl_report_view *v, nl_direction direction, nl_sign claim,
                               const nl_tally *tally)
{
    if (tally->tested > 0) {
        nl_text_append(
            v->out,
            "; if nothing depended on %s, about %.1f of the %d with an interval would %s "
            "by chance; %d do so jointly (Holm: 5 %% for any mistake among the %d)",
            nl_direction_name(direction), 0.025 * tally->tested, tally->tested,
            claim == NL_SIGN_RISES ? "rise" : "fall",
            claim == NL_SIGN_RISES ? tally->jointly_rises : tally->jointly_falls, tally->tested);
    }
}

static void say_robustness(const nl_report_view *v, nl_direction direction, nl_sign claim)
{
    for (int k = 0; k < v->data->kernels; k++) {
        const nl_tally tally = nl_report_tally(v->fits, v->series[direction], k);
        const int held = claim == NL_SIGN_RISES ? tally.rises : tally.falls;
        const int against = claim == NL_SIGN_RISES ? tally.falls : tally.rises;

        if (v->series[direction] < 0 || tally.all == 0) {
            continue;
        }
        nl_text_append(v->out,
                       "- \"The rank of the %s kernel %s with %s\" **holds in %d of %d** "
                       "combinations of rank definition, state and probe part; the contrary in %d, "
                       "undecided %d",
                       v->data->kernel[k], claim == NL_SIGN_RISES ? "rises" : "falls",
                       nl_direction_name(direction), held, tally.all, against,
                       tally.all - held - against);
        if (tally.constant > 0) {
            nl_text_append(v->out, " (%d more %s not change over the scales at all)",
                           tally.constant, tally.constant == 1 ? "does" : "do");
        }
        say_jointly_tested(v, direction, claim, &tally);
        nl_text_append(v->out, ".\n");
    }
}

static void say_transition(const nl_report_view *v)
{
    for (int c = 0; c < v->fits->crossings; c++) {
        const nl_report_crossing *crossing = &v->fits->crossing[c];

        if (crossing->series != v->series[NL_WIDTH]) {
            continue;
        }
        nl_text_append(
            v->out, "- Kernel distance at best (%s kernel, threshold %g: ours, not the paper's): ",
            v->data->kernel[crossing->kernel], v->fits->threshold);
        if (!isnan(crossing->at.x.value)) {
            nl_text_append(v->out, "falls below it at width %.3g%s, interpolated",
                           crossing->at.x.value,
                           v->fits->series[crossing->series].channels ? " (channels)" : "");
            if (!isnan(crossing->at.x.low)) {
                nl_text_append(v->out, " (95 %%: %.3g to %.3g)", crossing->at.x.low,
                               crossing->at.x.high);
            }
            nl_text_append(v->out, "%s%s.\n", crossing->at.note[0] != '\0' ? "; " : "",
                           crossing->at.note);
        } else {
            nl_text_append(v->out, "no transition within the widths measured: %s.\n",
                           crossing->at.note);
        }
    }
}

static void say_joint(const nl_report_view *v)
{
    char text[2][96];
    char quantity[128];

    for (int j = 0; j < v->fits->joints; j++) {
        const nl_report_joint *joint = &v->fits->joint[j];

        if (joint->setting != v->setting) {
            continue;
        }
        nl_report_quantity(v->data, joint->quantity, joint->kernel, joint->tag, quantity);
        if (joint->fit.law == NL_LAW_JOINT) {
            nl_text_append(
                v->out,
                "- Joint law %s = y_inf + a W^-alpha + b N^-beta: alpha %s, beta %s, y_inf %.3g",
                quantity, nl_interval_text(joint->fit.alpha, text[0]),
                nl_interval_text(joint->fit.beta, text[1]), joint->fit.offset);
            if (!isnan(joint->fit.p)) {
                nl_text_append(v->out, "; %s (p = %.2g)",
                               joint->fit.p < 0.05 ? "it does not describe these points"
                                                   : "it holds within the noise",
                               joint->fit.p);
            }
            nl_text_append(v->out, "%s%s.\n", joint->fit.note[0] != '\0' ? "; " : "",
                           joint->fit.note);
        } else {
            nl_text_append(v->out, "- Joint law of %s: %s.\n", quantity, joint->fit.note);
        }
    }
}

static void say_setting(nl_report_view *v)
{
    if (v->kernel >= 0) {
        say_ranks(v);
    }
    say_loss(v);
    if (v->kernel >= 0) {
        say_trace(v, NL_WIDTH);
        say_trace(v, NL_DATA);
        say_robustness(v, NL_WIDTH, NL_SIGN_RISES);
        say_robustness(v, NL_DATA, NL_SIGN_FALLS);
        say_transition(v);
    }
    say_joint(v);
}

/* Of which networks the answers are. */
static void say_headline(const nl_report_view *v, nl_direction direction)
{
    const nl_series *series = &v->fits->series[v->series[direction]];
    char number[2][32];
    char scales[48];
    char seeds[48];

    nl_text_append(v->out, "With %s: %s from %s to %s, %s, at %s ", nl_direction_name(direction),
                   nl_format_count(series->scales, "scale", scales),
                   nl_format_double(series->first, number[0]),
                   nl_format_double(series->last, number[1]),
                   nl_format_count(series->seeds, "seed", seeds), series->held);
    if (series->usable < series->scales) {
        nl_text_append(v->out,
                       "(no better choice: at %d of the scales half of the networks or more are "
                       "censored, diverged, untrained or collapsed). ",
                       series->scales - series->usable);
    } else {
        nl_text_append(v->out, "(the %s whose networks count at every scale). ",
                       direction == NL_WIDTH ? "largest set" : "smallest model");
    }
}

static void say_images(const nl_report_view *v)
{
    const double order = v->kernel < 0 ? NAN : nl_report_order(v->data, v->setting, v->kernel);
    char on[64];

    if (order > 0.0) {
        nl_text_append(
            v->out, "Ranks are those of kernels on %s: other numbers of images give other ranks.",
            nl_report_images_text(v->data, v->setting, v->kernel, order, on));
    }
}

static void say_claims(nl_report_view *v)
{
    nl_report_claims(v);
    nl_text_append(v->out, "\n");
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        if (v->series[d] >= 0) {
            say_headline(v, (nl_direction)d);
        }
    }
    say_images(v);
    nl_text_append(v->out, "\n");
}

static void for_each_setting(nl_report_view *v, void (*say)(nl_report_view *view))
{
    for (int s = 0; s < v->data->settings; s++) {
        v->setting = v->data->setting[s];
        for (int d = 0; d < NL_DIRECTIONS; d++) {
            v->series[d] = nl_report_headline(v->fits, v->setting, (nl_direction)d);
        }
        if (v->series[NL_WIDTH] < 0 && v->series[NL_DATA] < 0) {
            continue;
        }
        if (v->setting[0] != '\0') {
            nl_text_append(v->out, "### %s\n\n", v->setting);
        }
        say(v);
        nl_text_append(v->out, "\n");
    }
}

/* What all intervals together are worth. */
static void say_jointly(const nl_report_fits *fits, nl_text *out)
{
    const nl_tally all = nl_report_tally_all(fits);
    char slopes[48];

    if (all.tested > 0) {
        nl_text_append(out,
                       "Of %s with an interval (fits.csv), %d exclude%s 0, where chance alone "
                       "would give about %.1f; %d do so jointly (Holm: 5 %% for any mistake among "
                       "all of them).\n\n",
                       nl_format_count(all.tested, "slope", slopes), all.apart,
                       all.apart == 1 ? "s" : "", 0.05 * all.tested,
                       all.jointly_rises + all.jointly_falls);
    }
}

/* What width means, and the other abscissa. */
static void say_channels(const nl_report_networks *data, nl_text *out)
{
    int channels = 0;

    for (int c = 0; c < data->cells; c++) {
        channels += data->cell[c].channels;
    }
    if (channels > 0) {
        nl_text_append(out,
                       "Width is channels of the first stage%s, and parameters grow as its square: "
                       "laws against parameters, the other abscissa, stand in fits.csv (direction "
                       "parameters).\n\n",
                       channels < data->cells ? " of a cnn or resnet" : "");
    }
}

void nl_report_verdict(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    nl_report_view v = {.data = data,
                        .fits = fits,
                        .kernel = nl_report_main_kernel(data),
                        .best = nl_report_tag(data, "best"),
                        .out = out};

    nl_text_append(out, "## In short\n\n");
    for_each_setting(&v, say_claims);
    nl_text_append(
        out, "Effective rank: exp of the entropy of the eigenvalues' shares. Full: the kernel "
             "of all outputs; traced: its mean over outputs; class factor: the ratio of their "
             "ranks, how far the gradients of different outputs decouple. Best: the state of "
             "lowest test loss; training: what is between init and best.\n\n");
    nl_text_append(out,
                   "## Verdict\n\nParametrisation: **%s**. It decides how the trace depends on "
                   "width; other settings: %s.\n\n",
                   data->parametrization.data,
                   data->constants.length > 0 ? data->constants.data : "not named");
    say_channels(data, out);
    for_each_setting(&v, say_setting);
    say_jointly(fits, out);
    nl_text_append(out, "Intervals are of 95 %%, each for itself, over seeds; y ~ x^-exponent; a "
                        "slope is that of the "
                        "logarithms, averaged over the scales measured, and says nothing beyond "
                        "them.\n\n");
}
