/** @file prefixes.c  Ranks against the images that they are measured on.  Nothing is extrapolated:
 * a rank at more images than were measured is 11 to 15 % off. */
#include "prefixes.h"
#include "quantities.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_orders = 64 };

static const char *const tags[] = {"init", "best", "final"}; /* in the tables for programs */

/** One kernel of the networks of a headline, seen at several numbers of images. */
typedef struct prefix_view {
    const nl_report_networks *data;
    const nl_report_fits *fits;
    const nl_series *series;
    int kernel, tag;
    int orders;
    double order[most_orders]; /* ascending */
    nl_sample *samples;        /* [data->rows], scratch */
} prefix_view;

static const char *setting_of(const prefix_view *v)
{
    return v->series->setting;
}

double nl_report_order(const nl_report_networks *data, const char *setting, int kernel)
{
    double order = NAN;

    for (int r = 0; r < data->rows; r++) {
        const nl_report_row *row = &data->row[r];

        if (row->kernel == kernel && !row->part && data->cell[row->cell].setting == setting) {
            order = fmax(order, row->order);
        }
    }
    return order;
}

/* One row an image have kernels that are traced or of one output. */
double nl_report_images(const nl_report_networks *data, const char *setting, int kernel,
                        double order)
{
    const double whole = nl_report_order(data, setting, kernel);
    double images = NAN;

    for (int c = 0; c < data->cells; c++) {
        if (data->cell[c].setting == setting && data->cell[c].probe > 0.0) {
            images = fmax(images, data->cell[c].probe);
        }
    }
    for (int k = 0; k < data->kernels; k++) {
        if (strncmp(data->kernel[k], "full", 4) != 0) {
            images = fmax(images, nl_report_order(data, setting, k));
        }
    }
    return fmod(whole, images) == 0.0 ? order / (whole / images) : NAN;
}

const char *nl_report_images_text(const nl_report_networks *data, const char *setting, int kernel,
                                  double order, char out[64])
{
    const double images = nl_report_images(data, setting, kernel, order);

    out[0] = '\0';
    if (order > 0.0) {
        char count[48];

        snprintf(out, 64, "%s%s", isnan(images) ? "n = " : "",
                 isnan(images) ? nl_format_count((long)order, "row", count)
                               : nl_format_count((long)images, "image", count));
    }
    return out;
}

bool nl_report_has_prefixes(const nl_report_networks *data)
{
    for (int r = 0; r < data->rows; r++) {
        if (data->row[r].part) {
            return true;
        }
    }
    return false;
}

/* Is a row one of the view's? */
static bool is_shown(const prefix_view *v, const nl_report_row *row)
{
    return row->kernel == v->kernel && row->tag == v->tag &&
           nl_series_holds(v->series, &v->data->cell[row->cell]) && row->order > 0.0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void find_orders(prefix_view *v)
{
    v->orders = 0;
    for (int r = 0; r < v->data->rows; r++) {
        bool known = !is_shown(v, &v->data->row[r]);

        for (int k = 0; k < v->orders; k++) {
            known = known || v->order[k] == v->data->row[r].order;
        }
        if (!known && v->orders < most_orders) {
            v->order[v->orders++] = v->data->row[r].order;
        }
    }
    qsort(v->order, (size_t)v->orders, sizeof *v->order, compare_doubles);
}

/** Rows of a view at one scale, or of one order; 0: all. */
typedef struct part {
    double scale, order;
} part;

static bool is_in(const prefix_view *v, const nl_report_row *row, part of)
{
    return is_shown(v, row) && nl_report_row_counts(row) &&
           (of.order == 0.0 || row->order == of.order) &&
           (of.scale == 0.0 ||
            nl_series_scale(&v->data->cell[row->cell], v->series->direction) == of.scale);
}

/* The slope of a quantity: against images at one scale, or against the scale at one order. */
static nl_status fit_part(const prefix_view *v, const char *column, part of, nl_fit *fit)
{
    const nl_report_networks *data = v->data;
    const int quantity = nl_quantity_find(column);
    int count = 0;

    for (int r = 0; r < data->rows; r++) {
        const nl_report_row *row = &data->row[r];

        if (is_in(v, row, of)) {
            const nl_report_network *cell = &data->cell[row->cell];

            v->samples[count++] = (nl_sample){
                .x = of.scale > 0.0 ? row->order : nl_series_scale(cell, v->series->direction),
                .y = row->value[quantity],
                .seed = cell->seed,
                .error = nl_quantity_error(quantity, row->entropy_error)};
        }
    }
    return nl_fit_power_law(count, v->samples, (nl_offset_range){0.0, INFINITY, false}, fit);
}

/** Means over seeds. */
typedef struct prefix_mean {
    int count;
    double entropy, error, participation, order;
} prefix_mean;

static prefix_mean mean_of(const prefix_view *v, part of)
{
    const int rank = nl_quantity_find("effective_rank");
    const int participation = nl_quantity_find("participation_ratio");
    prefix_mean m = {.order = of.order};

    for (int r = 0; r < v->data->rows; r++) {
        const nl_report_row *row = &v->data->row[r];

        if (is_in(v, row, of) && row->value[rank] > 0.0) {
            m.count++;
            m.entropy += log(row->value[rank]);
            m.error += row->entropy_error;
            m.participation += log(row->value[participation]);
        }
    }
    m.entropy /= m.count;
    m.error /= m.count;
    m.participation = exp(m.participation / m.count);
    return m;
}

/* Scales of a series that have rows, ascending: the next one above `from`; infinite: none is left.
 */
static double next_scale(const prefix_view *v, double from)
{
    double next = INFINITY;

    for (int r = 0; r < v->data->rows; r++) {
        const double scale =
            nl_series_scale(&v->data->cell[v->data->row[r].cell], v->series->direction);

        if (is_shown(v, &v->data->row[r]) && scale > from) {
            next = fmin(next, scale);
        }
    }
    return next;
}

/*---------------------------------------------------------------------------------------------
 * All that have prefixes
 *-------------------------------------------------------------------------------------------*/

typedef void tell(const prefix_view *v, nl_text *out);

/* Each kernel of each headline that was seen at several numbers of images at this tag. */
static void for_each_view(const nl_report_networks *data, const nl_report_fits *fits,
                          const char *tag, tell *say, nl_text *out)
{
    prefix_view v = {.data = data, .fits = fits, .tag = nl_report_tag(data, tag)};

    v.samples = nl_calloc((size_t)data->rows + 1, sizeof *v.samples);
    out->failed = out->failed || v.samples == NULL;
    for (int g = 0; v.samples != NULL && g < fits->series_count; g++) {
        v.series = &fits->series[g];
        for (int k = 0; nl_report_is_headline(fits, g) && k < data->kernels; k++) {
            v.kernel = k;
            find_orders(&v);
            if (v.orders > 1) {
                say(&v, out);
            }
        }
    }
    free(v.samples);
}

/*---------------------------------------------------------------------------------------------
 * Markdown
 *-------------------------------------------------------------------------------------------*/

static void put_slope(const nl_fit *fit, nl_text *out)
{
    char text[96];

    if (isnan(fit->slope.value)) {
        nl_text_append(out, " %s |", fit->note[0] != '\0' ? fit->note : "-");
    } else {
        nl_text_append(out, " %s |", nl_interval_text(fit->slope, text));
    }
}

static void put_head(const prefix_view *v, const char *first, nl_text *out)
{
    char text[64];

    nl_text_append(out, "| %s |", first);
    for (int k = 0; k < v->orders; k++) {
        nl_text_append(out, " %s |",
                       nl_report_images_text(v->data, setting_of(v), v->kernel, v->order[k], text));
    }
}

static void put_rule(int columns, nl_text *out)
{
    nl_text_append(out, "\n|");
    for (int k = 0; k < columns; k++) {
        nl_text_append(out, "---|");
    }
    nl_text_append(out, "\n");
}

/* Does the sign of the slope depend on how many images there are? */
static void say_sign(const prefix_view *v, const nl_sign *sign, nl_text *out)
{
    int rises = 0;
    int falls = 0;
    int open = 0;

    for (int k = 0; k < v->orders; k++) {
        rises += sign[k] == NL_SIGN_RISES;
        falls += sign[k] == NL_SIGN_FALLS;
        open += sign[k] != NL_SIGN_RISES && sign[k] != NL_SIGN_FALLS;
    }
    nl_text_append(out, "Whether the effective rank of the %s kernel rises or falls with %s ",
                   v->data->kernel[v->kernel], nl_direction_name(v->series->direction));
    if (rises > 0 && falls > 0) {
        nl_text_append(out,
                       "**depends on the number of images**: it rises at %d of them, falls at "
                       "%d, undecided %d.\n\n",
                       rises, falls, open);
    } else if (rises + falls > 0) {
        nl_text_append(out,
                       "does not depend on the number of images where it is decided: it "
                       "**%s** at %d of them, undecided %d.\n\n",
                       rises > 0 ? "rises" : "falls", rises + falls, open);
    } else {
        nl_text_append(out, "cannot be told at any number of images.\n\n");
    }
}

static void say_trends(const prefix_view *v, nl_text *out)
{
    static const char *const columns[] = {"effective_rank", "participation_ratio"};
    nl_sign sign[most_orders] = {NL_SIGN_UNKNOWN};

    nl_text_append(out, "Slopes against %s at %s, %s kernel at %s:\n\n",
                   nl_direction_name(v->series->direction), v->series->held,
                   v->data->kernel[v->kernel], v->data->tag[v->tag]);
    put_head(v, "slope of the logarithm of", out);
    put_rule(v->orders + 1, out);
    for (size_t c = 0; c < NL_COUNT(columns); c++) {
        nl_text_append(out, "| %s |", columns[c]);
        for (int k = 0; k < v->orders; k++) {
            nl_fit fit;

            if (fit_part(v, columns[c], (part){.order = v->order[k]}, &fit) != NL_OK) {
                out->failed = true;
                return;
            }
            sign[k] = c == 0 ? nl_interval_sign(fit.slope) : sign[k];
            put_slope(&fit, out);
        }
        nl_text_append(out, "\n");
    }
    nl_text_append(out, "\n");
    say_sign(v, sign, out);
}

static void put_rank(const prefix_mean *m, nl_text *out)
{
    if (m->count == 0) {
        nl_text_append(out, " - |");
    } else if (m->error > 0.0) {
        nl_text_append(out, " %.4g ± %.1f %%, %.4g |", exp(m->entropy), 100.0 * expm1(m->error),
                       m->participation);
    } else {
        nl_text_append(out, " %.4g, %.4g |", exp(m->entropy), m->participation);
    }
}

static void say_growth(const prefix_view *v, nl_text *out)
{
    const char *unit = v->series->direction == NL_WIDTH ? "width" : "training images";

    nl_text_append(out,
                   "Effective rank (± what the method leaves open) and participation ratio of "
                   "the %s kernel at %s, by %s, at %s:\n\n",
                   v->data->kernel[v->kernel], v->data->tag[v->tag], unit, v->series->held);
    put_head(v, unit, out);
    nl_text_append(out, " slope of log rank against log images |");
    put_rule(v->orders + 2, out);
    for (double x = next_scale(v, 0.0); isfinite(x); x = next_scale(v, x)) {
        char number[32];
        nl_fit fit;

        nl_text_append(out, "| %s |", nl_format_double(x, number));
        for (int k = 0; k < v->orders; k++) {
            const prefix_mean m = mean_of(v, (part){x, v->order[k]});

            put_rank(&m, out);
        }
        if (fit_part(v, "effective_rank", (part){.scale = x}, &fit) != NL_OK) {
            out->failed = true;
            return;
        }
        put_slope(&fit, out);
        nl_text_append(out, "\n");
    }
    nl_text_append(out, "\n");
}

static void say_main(const prefix_view *v, nl_text *out)
{
    if (strncmp(v->data->kernel[v->kernel], "class", 5) != 0) { /* those stand in the table */
        say_trends(v, out);
        say_growth(v, out);
    }
}

/* Where no network counts at best, states at the end can be told, which none is censored in. */
static const char *told_tag(const nl_report_networks *data)
{
    for (int c = 0; c < data->cells; c++) {
        if (nl_report_counts(data, c)) {
            return "best";
        }
    }
    return "final";
}

void nl_report_prefixes(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    if (!nl_report_has_prefixes(data)) {
        return;
    }
    nl_text_append(out, "## Ranks by the number of images\n\nKernels of the first so many images "
                        "of the probe (measure.probe_prefixes). Each number of images has fits of "
                        "its own; what is said elsewhere is of the most images. Slopes against "
                        "images hold over those measured and are no extrapolation; images are the "
                        "same for all networks, so intervals over seeds say nothing of other "
                        "images.\n\n");
    for_each_view(data, fits, told_tag(data), say_main, out);
}

/*---------------------------------------------------------------------------------------------
 * Tables for programs
 *-------------------------------------------------------------------------------------------*/

static void put_place(const prefix_view *v, nl_text *out)
{
    const bool quoted = strchr(v->series->held, ',') != NULL;

    nl_text_append(out, quoted ? "\"%s\"" : "%s", v->series->held);
}

static void put_means(const prefix_view *v, nl_text *out)
{
    for (double x = next_scale(v, 0.0); isfinite(x); x = next_scale(v, x)) {
        for (int k = 0; k < v->orders; k++) {
            const prefix_mean m = mean_of(v, (part){x, v->order[k]});

            nl_text_append(out, "%s,", nl_direction_name(v->series->direction));
            put_place(v, out);
            nl_csv_append(out, x);
            nl_text_append(out, ",%s", v->data->kernel[v->kernel]);
            nl_csv_append(out, nl_report_images(v->data, setting_of(v), v->kernel, v->order[k]));
            nl_csv_append(out, v->order[k]);
            nl_text_append(out, ",%d", m.count);
            nl_csv_append(out, exp(m.entropy));
            nl_csv_append(out, exp(m.entropy - m.error));
            nl_csv_append(out, exp(m.entropy + m.error));
            nl_csv_append(out, m.participation);
            nl_csv_append(out, m.error);
            nl_text_append(out, ",%s\n", v->data->tag[v->tag]);
        }
    }
}

void nl_report_prefixes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                            nl_text *out)
{
    nl_text_append(out, "direction,held,scale,kernel,images,n,seeds,effective_rank,"
                        "effective_rank_low,effective_rank_high,participation_ratio,"
                        "entropy_error,tag\n");
    for (size_t k = 0; k < NL_COUNT(tags); k++) {
        for_each_view(data, fits, tags[k], put_means, out);
    }
}

/* against: "width", "data" or "images"; at: what is held there beside the series' own. */
static void put_fit(const prefix_view *v, const char *against, double at, part of, nl_text *out)
{
    static const char *const columns[] = {"effective_rank", "participation_ratio"};

    for (size_t c = 0; c < NL_COUNT(columns); c++) {
        nl_fit fit;

        if (fit_part(v, columns[c], of, &fit) != NL_OK) {
            out->failed = true;
            return;
        }
        nl_text_append(out, "%s,%s,", against, nl_direction_name(v->series->direction));
        put_place(v, out);
        nl_text_append(out, ",%s[%s]@%s", columns[c], v->data->kernel[v->kernel],
                       v->data->tag[v->tag]);
        nl_csv_append(out, at);
        nl_csv_append(out, fit.slope.value);
        nl_csv_append(out, fit.slope.low);
        nl_csv_append(out, fit.slope.high);
        nl_text_append(out, ",%d,%d,\"%s\"\n", fit.points, fit.seeds, fit.note);
    }
}

static void put_slopes(const prefix_view *v, nl_text *out)
{
    for (int k = 0; k < v->orders; k++) {
        const double images = nl_report_images(v->data, setting_of(v), v->kernel, v->order[k]);

        put_fit(v, nl_direction_name(v->series->direction), isnan(images) ? v->order[k] : images,
                (part){.order = v->order[k]}, out);
    }
    for (double x = next_scale(v, 0.0); isfinite(x); x = next_scale(v, x)) {
        put_fit(v, "images", x, (part){.scale = x}, out);
    }
}

void nl_report_prefix_slopes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                                 nl_text *out)
{
    nl_text_append(out,
                   "against,direction,held,quantity,at,slope,slope_low,slope_high,points,seeds,"
                   "note\n");
    for (size_t k = 0; k < NL_COUNT(tags); k++) {
        for_each_view(data, fits, tags[k], put_slopes, out);
    }
}
