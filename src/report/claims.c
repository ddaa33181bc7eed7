/** @file claims.c  The four claims of Nikolaou et al. 2026, each answered in a line. */
#include "claims.h"
#include "words.h"

/*---------------------------------------------------------------------------------------------
 * (i) Both losses follow power laws
 *-------------------------------------------------------------------------------------------*/

static const char *law_answer(const nl_fit *const fit[2])
{
    if (fit[0] == NULL || fit[1] == NULL) {
        return "not measured in both directions";
    }
    if (nl_interval_sign(fit[0]->slope) == NL_SIGN_RISES ||
        nl_interval_sign(fit[1]->slope) == NL_SIGN_RISES) {
        return "**no**, it rises";
    }
    if (nl_fit_holds(fit[0]) == NL_FAILS || nl_fit_holds(fit[1]) == NL_FAILS) {
        return "**no**, not within the noise";
    }
    return nl_fit_holds(fit[0]) == NL_HOLDS && nl_fit_holds(fit[1]) == NL_HOLDS
               ? "**not contradicted**"
               : "not tested by these points";
}

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

static void put_exponent(const nl_report_view *v, nl_direction direction, const nl_fit *fit)
{
    char text[96];

    if (!has_law(fit)) {
        return;
    }
    nl_text_append(v->out, "%s: exponent %s, %s; ", nl_direction_name(direction),
                   fit->identified ? nl_interval_text(fit->exponent, text) : "not identified",
                   fit->law == NL_LAW_OFFSET ? "above a floor" : "without a floor");
}

static void put_law_claim(const nl_report_view *v)
{
    const nl_fit *const fit[2] = {nl_report_view_fit(v, NL_WIDTH, "test_loss", -1, v->best),
                                  nl_report_view_fit(v, NL_DATA, "test_loss", -1, v->best)};

    nl_text_append(v->out, "| (i) test loss falls as a power law with width and with data | %s | ",
                   law_answer(fit));
    put_exponent(v, NL_WIDTH, fit[0]);
    put_exponent(v, NL_DATA, fit[1]);
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

static void put_slope(const nl_report_view *v, const char *what, const nl_fit *fit)
{
    char text[96];

    if (has_law(fit)) {
        nl_text_append(v->out, "%s %s; ", what, nl_interval_text(fit->slope, text));
    }
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
            nl_text_append(
                v->out, "%s kernel: %s; ", kernels[k],
                rank_answer(nl_report_view_fit(v, direction, "effective_rank", kernel, v->best),
                            claim));
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

static const char *trace_answer(const nl_fit *const init, const nl_fit *const change)
{
    if (init == NULL || change == NULL || (init->law == NL_LAW_NONE && !init->constant) ||
        (change->law == NL_LAW_NONE && !change->constant)) {
        return "not measured";
    }
    switch (nl_report_larger(init, change)) {
    case NL_PART_INIT:
        return "mostly the initial scale";
    case NL_PART_TRAINING:
        return init->constant ? "only training, by construction" : "mostly training";
    case NL_PART_NO_INTERVAL:
        return "no interval, nothing is claimed";
    default:
        return "which part is larger cannot be told";
    }
}

static void put_trace_claim(const nl_report_view *v)
{
    nl_text_append(v->out, "| (iv) width sets the kernel's initial scale (trace), data its "
                           "evolution | ");
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        nl_text_append(
            v->out, "%s: %s; ", nl_direction_name((nl_direction)d),
            trace_answer(nl_report_view_fit(v, (nl_direction)d, "trace", v->kernel, nl_base),
                         nl_report_view_fit(v, (nl_direction)d, "trace", v->kernel, nl_ratio)));
    }
    end_cell(v);
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        const nl_fit *init = nl_report_view_fit(v, (nl_direction)d, "trace", v->kernel, nl_base);
        const nl_fit *change = nl_report_view_fit(v, (nl_direction)d, "trace", v->kernel, nl_ratio);

        if (has_law(init) || has_law(change)) {
            nl_text_append(v->out, "%s: ", nl_direction_name((nl_direction)d));
        }
        put_slope(v, "init", init);
        put_slope(v, "training", change);
    }
    end_cell(v);
    nl_text_append(v->out, "parametrisation (%s), widths measured |\n",
                   v->data->parametrization.data);
}

void nl_report_claims(const nl_report_view *view)
{
    nl_text_append(view->out,
                   "| claim (Nikolaou et al. 2026) | here | slope of the logarithm, or exponent "
                   "(95 %%) | depends on |\n|---|---|---|---|\n");
    put_law_claim(view);
    if (view->kernel >= 0) {
        put_rank_claim(view, NL_WIDTH, NL_SIGN_RISES);
        put_rank_claim(view, NL_DATA, NL_SIGN_FALLS);
        put_trace_claim(view);
    }
}
