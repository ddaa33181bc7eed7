/** @file split.c  What the rank's rise is made of, and at which held values it holds. */
#include "split.h"
#include "words.h"

#include <math.h>

/*---------------------------------------------------------------------------------------------
 * Parts
 *-------------------------------------------------------------------------------------------*/

/* Both parts are fitted to the same networks, so that the slopes add up. */
static void say_sum(const nl_report_view *v, const char *sum, nl_direction direction,
                    const nl_fit *const part[3])
{
    if (part[0] == NULL || part[1] == NULL || part[2] == NULL) {
        return;
    }
    nl_text_append(v->out, "- %s; slope against %s: ", sum, nl_direction_name(direction));
    nl_report_part(part[0], "0 (constant)", v->out);
    nl_text_append(v->out, " = ");
    nl_report_part(part[1], "0 (constant)", v->out);
    nl_text_append(v->out, " plus ");
    nl_report_part(part[2], "0 (constant)", v->out);
    nl_text_append(v->out, ".\n");
}

static void say_classes(const nl_report_view *v, nl_direction direction, int tag)
{
    const int full = nl_report_kernel(v->data, "full");
    const int traced = nl_report_kernel(v->data, "traced");
    const nl_fit *const part[3] = {
        nl_report_view_fit(v, direction, "effective_rank", full, tag),
        nl_report_view_fit(v, direction, "effective_rank", traced, tag),
        nl_report_view_fit(v, direction, "class_factor", full, tag),
    };
    char sum[160];

    snprintf(sum, sizeof sum,
             "At %s log rank of the full kernel = log rank of the traced kernel + log class factor",
             v->data->tag[tag]);
    say_sum(v, sum, direction, part);
}

static void say_training(const nl_report_view *v, nl_direction direction, int kernel)
{
    const nl_fit *const part[3] = {
        nl_report_view_fit(v, direction, "effective_rank", kernel, v->best),
        nl_report_view_fit(v, direction, "effective_rank", kernel, nl_base),
        nl_report_view_fit(v, direction, "effective_rank", kernel, nl_ratio),
    };
    char sum[160];

    snprintf(sum, sizeof sum,
             "Log rank of the %s kernel at best = that at init + what training made of it",
             v->data->kernel[kernel]);
    say_sum(v, sum, direction, part);
}

void nl_report_split(const nl_report_view *view)
{
    static const char *const kernels[] = {"full", "traced"};
    const int init = nl_report_tag(view->data, "init");

    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        if (d == NL_WIDTH) { /* the initial network does not know its data */
            say_classes(view, (nl_direction)d, init);
        }
        say_classes(view, (nl_direction)d, view->best);
        for (size_t k = 0; k < NL_COUNT(kernels); k++) {
            const int kernel = nl_report_kernel(view->data, kernels[k]);

            if (kernel >= 0) {
                say_training(view, (nl_direction)d, kernel);
            }
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Every held value
 *-------------------------------------------------------------------------------------------*/

static bool is_listed(const nl_report_view *v, int series, nl_direction direction)
{
    return v->fits->series[series].direction == direction &&
           v->fits->series[series].setting == v->setting;
}

static void put_cell(const nl_report_view *v, int series, const char *column, int kernel)
{
    const nl_series_fit *f =
        kernel < 0 ? NULL : nl_report_fit(v->fits, series, column, kernel, v->best);
    char text[96];

    nl_text_append(v->out, " %s |",
                   f == NULL                   ? "-"
                   : f->fit.constant           ? "0 (constant)"
                   : f->fit.law == NL_LAW_NONE ? f->fit.note
                                               : nl_interval_text(f->fit.slope, text));
}

/* Between which neighbours among the decided held values the sign changes. */
static void say_turns(const nl_report_view *v, nl_direction direction, int kernel)
{
    const nl_series *last = NULL;
    nl_sign before = NL_SIGN_UNKNOWN;
    char number[2][32];
    int turns = 0;

    nl_text_append(v->out, "The slope of the %s kernel against %s ", v->data->kernel[kernel],
                   nl_direction_name(direction));
    for (int g = 0; g < v->fits->series_count; g++) {
        const nl_series_fit *f = nl_report_fit(v->fits, g, "effective_rank", kernel, v->best);
        const nl_sign sign = f == NULL ? NL_SIGN_NO_INTERVAL : nl_interval_sign(f->fit.slope);

        if (!is_listed(v, g, direction) || (sign != NL_SIGN_RISES && sign != NL_SIGN_FALLS)) {
            continue;
        }
        if (last != NULL && sign != before) {
            nl_text_append(v->out, "%sturns between %s and %s", turns++ > 0 ? ", " : "",
                           nl_format_double(last->held_value, number[0]),
                           nl_format_double(v->fits->series[g].held_value, number[1]));
        }
        last = &v->fits->series[g];
        before = sign;
    }
    nl_text_append(v->out, "%s.\n",
                   turns > 0      ? ""
                   : last == NULL ? "is undecided at every one of them"
                                  : "has one sign wherever it is decided");
}

static void put_held_values(const nl_report_view *v, nl_direction direction)
{
    const int full = nl_report_kernel(v->data, "full");
    const int traced = nl_report_kernel(v->data, "traced");

    nl_text_append(v->out,
                   "\nSlopes against %s at every held value, effective rank at best (the headline "
                   "is marked):\n\n| held | scales that count | full | traced | class factor |\n"
                   "|---|---|---|---|---|\n",
                   nl_direction_name(direction));
    for (int g = 0; g < v->fits->series_count; g++) {
        const nl_series *series = &v->fits->series[g];

        if (is_listed(v, g, direction)) {
            nl_text_append(v->out, "| %s%s | %d of %d |", series->held,
                           g == v->series[direction] ? " **headline**" : "", series->usable,
                           series->scales);
            put_cell(v, g, "effective_rank", full);
            put_cell(v, g, "effective_rank", traced);
            put_cell(v, g, "class_factor", full);
            nl_text_append(v->out, "\n");
        }
    }
    nl_text_append(v->out, "\n");
    if (full >= 0) {
        say_turns(v, direction, full);
    }
    if (traced >= 0) {
        say_turns(v, direction, traced);
    }
    nl_text_append(v->out, "\n");
}

void nl_report_held_values(const nl_report_view *view)
{
    for (int d = NL_WIDTH; d <= NL_DATA; d++) {
        int series_count = 0;

        for (int g = 0; g < view->fits->series_count; g++) {
            series_count += is_listed(view, g, (nl_direction)d) ? 1 : 0;
        }
        if (series_count > 1) {
            put_held_values(view, (nl_direction)d);
        }
    }
}
