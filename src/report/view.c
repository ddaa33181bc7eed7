/** @file view.c  What the verdict on one setting looks at. */
#include "view.h"
#include "words.h"

#include <math.h>

const nl_fit *nl_report_view_fit(const nl_report_view *view, nl_direction direction,
                                 const char *column, int kernel, int tag)
{
    const nl_series_fit *f =
        view->series[direction] < 0
            ? NULL
            : nl_report_fit(view->fits, view->series[direction], column, kernel, tag);

    return f != NULL ? &f->fit : NULL;
}

/* Bounds of |slope|. */
static void bounds(const nl_fit *fit, double *least, double *most)
{
    const nl_interval i = fit->slope;

    *most = fit->constant ? 0.0 : fmax(fabs(i.low), fabs(i.high));
    *least =
        fit->constant || (i.low <= 0.0 && i.high >= 0.0) ? 0.0 : fmin(fabs(i.low), fabs(i.high));
}

nl_larger_part nl_report_larger(const nl_fit *init, const nl_fit *change)
{
    double least[2];
    double most[2];

    if ((isnan(init->slope.low) && !init->constant) ||
        (isnan(change->slope.low) && !change->constant)) {
        return NL_PART_NO_INTERVAL;
    }
    bounds(init, &least[0], &most[0]);
    bounds(change, &least[1], &most[1]);
    return least[0] > most[1]   ? NL_PART_INIT
           : least[1] > most[0] ? NL_PART_TRAINING
                                : NL_PART_UNKNOWN;
}

void nl_report_turn(const nl_fit *fit, nl_text *out)
{
    char number[32];

    if (!isnan(fit->turn)) {
        nl_text_append(out, ", with a %s at %s", fit->turn_is_peak ? "peak" : "dip",
                       nl_format_double(fit->turn, number));
    }
}

void nl_report_part(const nl_fit *fit, const char *constant, nl_text *out)
{
    char text[96];

    if (fit->constant) {
        nl_text_append(out, "%s", constant);
    } else if (fit->law == NL_LAW_NONE) {
        nl_text_append(out, "unknown (%s)", fit->note);
    } else {
        nl_text_append(out, "%s", nl_interval_text(fit->slope, text));
        nl_report_turn(fit, out);
    }
}
