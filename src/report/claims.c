/** @file claims.c  The four claims of Nikolaou et al. 2026, each answered in a line. */
#include "claims.h"
#include "words.h"

#include <math.h>

static bool has_law(const nl_fit *fit)
{
    return fit != NULL && fit->law != NL_LAW_NONE;
}

/* Cells list things, each with a separator behind it: the last one's goes. */
static void end_cell(const nl_report_view *v)
{
    nl_text *out = v->out;

    if (out->length >= 2 && out->data[out->length - 2] == ';') {
        out->length -= 2;
        nl_text_append(out, " ");
    }
    nl_text_append(out, "| ");
}

static void put_slope(const nl_report_view *v, const char *what, const nl_fit *fit)
{
    char text[96];

    if (has_law(fit)) {
        nl_text_append(v->out, "%s %s; ", what, nl_interval_text(fit->slope, text));
    }
}

/*---------------------------------------------------------------------------------------------
 * (i) Both losses follow power laws
 *-------------------------------------------------------------------------------------------*/

static void put_law_answer(const nl_report_view *v, nl_direction direction, const nl_fit *fit)
{
    nl_text_append(v->out, "%s: ", nl_direction_name(direction));
    if (fit == NULL) {
        nl_text_append(v->out, "not measured; ");
    } else if (nl_interval_sign(fit->slope) == NL_SIGN_RISES) {
        nl_text_append(v->out, "**no**, it rises; ");
    } else if (nl_fit_holds(fit) == NL_HOLDS) {
        const bool floor = fit->law == NL_LAW_OFFSET;

        nl_text_append(v->out, "**not contradicted**%s (p = %.2g); ",
                       floor ? ", above a floor" : "", floor ? fit->offset_p : fit->power_p);
    } else if (nl_fit_holds(fit) == NL_FAILS) {
        nl_text_append(v->out, "**no**, not within the noise%s; ",
                       isnan(fit->offset_p) ? "" : ", with a floor or without");
    } else {
        nl_text_append(v->out, "not tested by these points; ");
    }
}

static void put_law_claim(const nl_report_view *v)
{
    nl_text_append(v->out, "| (i) test loss falls as a power law with width and with data | ");
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        put_law_answer(v, (nl_direction)d,
                       nl_report_view_fit(v, (nl_direction)d, "test_loss", -1, v->best));
    }
    end_cell(v);
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        put_slope(v, nl_direction_name((nl_direction)d),
                  nl_report_view_fit(v, (nl_direction)d, "test_loss", -1, v->best));
    }
    end_cell(v);
    nl_text_append(v->out, "the scales measured; whether a floor is allowed |\n");
}

/*---------------------------------------------------------------------------------------------
 * (ii), (iii) The rank rises with width and falls with data
 *-------------------------------------------------------------------------------------------*/

static const char *rank_answer(const nl_fit *fit, nl_sign claim)
{
    const nl_sign sign = fit == NULL ? NL_SIGN_NO_INTERVAL : nl_interval_sign(fit->slope);

    return fit == NULL                   ? "not measured"
           : fit->constant               ? "**no**: it does not change"
           : sign == claim               ? "**yes**"
           : sign == NL_SIGN_NO_INTERVAL ? "no interval, nothing is claimed"
           : sign == NL_SIGN_UNKNOWN     ? "cannot be told"
                                         : "**no, the contrary**";
}

/* The answer at best by effective rank, and by how many others. */
static void put_rank_answer(const nl_report_view *v, nl_direction direction, int kernel,
                            nl_sign claim)
{
    const nl_fit *fit = nl_report_view_fit(v, direction, "effective_rank", kernel, v->best);

    nl_text_append(v->out, "%s kernel: %s", v->data->kernel[kernel], rank_answer(fit, claim));
    if (fit != NULL) {
        const nl_tally tally = nl_report_tally(v->fits, v->series[direction], kernel);

        nl_report_turn(fit, v->out);
        if (tally.tested > 1) {
            nl_text_append(v->out, " (of %d combinations of rank and state %d rise, %d fall)",
                           tally.all, tally.rises, tally.falls);
        }
    }
    nl_text_append(v->out, "; ");
}

static void put_rank_claim(const nl_report_view *v, nl_direction direction, nl_sign claim)
{
    static const char *const kernels[] = {"full", "traced"};
    const int full = nl_report_kernel(v->data, "full");

    nl_text_append(v->out, "| %s | ",
                   direction == NL_WIDTH ? "(ii) the effective rank rises with width"
                                         : "(iii) the effective rank falls with data");
    for (size_t k = 0; k < NL_COUNT(kernels); k++) {
        const int kernel = nl_report_kernel(v->data, kernels[k]);

        if (kernel >= 0) {
            put_rank_answer(v, direction, kernel, claim);
        }
    }
    end_cell(v);
    for (size_t k = 0; k < NL_COUNT(kernels); k++) {
        const int kernel = nl_report_kernel(v->data, kernels[k]);

        if (kernel >= 0) {
            put_slope(v, kernels[k],
                      nl_report_view_fit(v, direction, "effective_rank", kernel, v->best));
        }
    }
    if (full >= 0) {
        put_slope(v, "class factor",
                  nl_report_view_fit(v, direction, "class_factor", full, v->best));
    }
    end_cell(v);
    nl_text_append(v->out, "kernel, state (here: best)%s |\n",
                   v->series[direction] < 0 ? ""
                   : direction == NL_WIDTH  ? ", training set, learning rate"
                                            : ", width of the model, learning rate");
}

/*---------------------------------------------------------------------------------------------
 * (iv) Width sets the initial scale of the kernel, data its evolution
 *-------------------------------------------------------------------------------------------*/

static const char *trace_answer(nl_direction direction, const nl_fit *fit)
{
    const nl_sign sign = fit == NULL ? NL_SIGN_NO_INTERVAL : nl_interval_sign(fit->slope);

    return fit == NULL || (fit->law == NL_LAW_NONE && !fit->constant) ? "not measured"
           : fit->constant && direction == NL_DATA                    ? "the same, by construction"
           : fit->constant                                            ? "the same"
           : sign == NL_SIGN_NO_INTERVAL ? "no interval, nothing is claimed"
           : sign == NL_SIGN_UNKNOWN     ? "cannot be told"
           : sign == NL_SIGN_RISES       ? "**rises**"
                                         : "**falls**";
}

static void put_trace_claim(const nl_report_view *v)
{
    const nl_fit *fit[2][3];

    nl_text_append(v->out, "| (iv) width sets the kernel's initial scale (trace), data its "
                           "evolution | ");
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        const nl_direction direction = (nl_direction)d;

        fit[d][0] = nl_report_view_fit(v, direction, "trace", v->kernel, nl_base);
        fit[d][1] = nl_report_view_fit(v, direction, "trace", v->kernel, nl_ratio);
        fit[d][2] = nl_report_view_fit(v, direction, "trace", v->kernel, v->best);
        nl_text_append(v->out, "%s: at init %s, at best %s; ", nl_direction_name(direction),
                       trace_answer(direction, fit[d][0]), trace_answer(direction, fit[d][2]));
    }
    end_cell(v);
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        static const char *const what[] = {"init", "training", "at best"};

        if (has_law(fit[d][0]) || has_law(fit[d][1]) || has_law(fit[d][2])) {
            nl_text_append(v->out, "%s: ", nl_direction_name((nl_direction)d));
        }
        for (size_t k = 0; k < NL_COUNT(what); k++) {
            put_slope(v, what[k], fit[d][k]);
        }
    }
    end_cell(v);
    nl_text_append(v->out, "parametrisation (%s), widths measured |\n",
                   v->data->parametrization.data);
}

void nl_report_claims(const nl_report_view *view)
{
    nl_text_append(
        view->out,
        "| claim (Nikolaou et al. 2026) | here | slope of the logarithm (95 %%) | depends "
        "on |\n|---|---|---|---|\n");
    put_law_claim(view);
    if (view->kernel >= 0) {
        put_rank_claim(view, NL_WIDTH, NL_SIGN_RISES);
        put_rank_claim(view, NL_DATA, NL_SIGN_FALLS);
        put_trace_claim(view);
    }
}
