/** @file csv_tables.c  fits.csv, robustness.csv, transition.csv and local_exponents.csv. */
#include "csv_tables.h"
#include "quantities.h"
#include "words.h"

#include <math.h>
#include <string.h>

/* A text in quotes where it needs them. */
static void put_text(nl_text *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        nl_text_append(out, "%s", text);
        return;
    }
    nl_text_append(out, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        nl_text_append(out, *c == '"' ? "\"\"" : "%c", *c);
    }
    nl_text_append(out, "\"");
}

static void put_interval(nl_text *out, nl_interval i)
{
    nl_csv_append(out, i.value);
    nl_csv_append(out, i.low);
    nl_csv_append(out, i.high);
}

/* The columns behind `quantity`.  headline: the verdict and the figures speak of these networks. */
static void put_fit(nl_text *out, const nl_fit *fit, const char *note, bool headline)
{
    nl_text_append(out, ",%s", nl_law_name(fit->law));
    put_interval(out, fit->exponent);
    nl_csv_append(out, fit->amplitude);
    nl_csv_append(out, fit->offset.value);
    nl_text_append(out, ",%d,%d,", fit->points, fit->seeds);
    put_text(out, note);
    nl_csv_append(out, -fit->exponent.value);
    put_interval(out, fit->slope);
    nl_csv_append(out, fit->offset.low);
    nl_csv_append(out, fit->offset.high);
    nl_csv_append(out, fit->power_p);
    nl_csv_append(out, fit->offset_p);
    nl_text_append(out, ",%s", nl_holds_word(nl_fit_holds(fit)));
    nl_csv_append(out, fit->slope_p);
    nl_text_append(out, ",%s\n", headline ? "yes" : "no");
}

/* full and traced have one trace: it also stands under the name without a kernel. */
static bool is_the_trace(const nl_report_networks *data, const nl_series_fit *fit)
{
    return strcmp(nl_quantities[fit->quantity].column, "trace") == 0 &&
           fit->kernel == nl_report_main_kernel(data) &&
           (strcmp(data->kernel[fit->kernel], "full") == 0 ||
            strcmp(data->kernel[fit->kernel], "traced") == 0);
}

static void put_group_fit(const nl_report_networks *data, const nl_report_fits *fits,
                          const nl_series_fit *fit, bool named, nl_text *out)
{
    const nl_series *series = &fits->series[fit->series];
    nl_text note = {0};
    char quantity[128];

    nl_report_note(fit, &note);
    nl_text_append(out, "%s,", nl_direction_name(series->direction));
    put_text(out, series->held);
    nl_text_append(
        out, ",%s",
        nl_report_quantity(data, fit->quantity, named ? fit->kernel : -1, fit->tag, quantity));
    put_fit(out, &fit->fit, note.data != NULL ? note.data : "",
            nl_report_is_headline(fits, fit->series));
    out->failed = out->failed || note.failed;
    nl_text_free(&note);
}

/* One row an exponent of the joint law. */
static void put_joint(const nl_report_networks *data, const nl_report_joint *joint, bool width,
                      nl_text *out)
{
    const nl_joint_fit *j = &joint->fit;
    const nl_fit fit = {.law = j->law,
                        .exponent = width ? j->alpha : j->beta,
                        .slope = {NAN, NAN, NAN},
                        .amplitude = width ? j->width_amplitude : j->data_amplitude,
                        .offset = {j->offset, NAN, NAN},
                        .slope_p = NAN,
                        .power_p = NAN,
                        .offset_p = j->p,
                        .points = j->points,
                        .seeds = j->seeds};
    char quantity[128];

    nl_text_append(out, "%s,", nl_direction_name(width ? NL_WIDTH : NL_DATA));
    if (joint->setting[0] != '\0') {
        nl_text held = {0};

        nl_text_append(&held, "joint;%s", joint->setting);
        put_text(out, held.data != NULL ? held.data : "");
        nl_text_free(&held);
    } else {
        nl_text_append(out, "joint");
    }
    nl_text_append(out, ",%s",
                   nl_report_quantity(data, joint->quantity, joint->kernel, joint->tag, quantity));
    put_fit(out, &fit, j->note, false);
}

void nl_report_fits_csv(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(out, "direction,held,quantity,model,exponent,exponent_low,exponent_high,"
                        "amplitude,offset,points,seeds,note,slope,loglog_slope,loglog_slope_low,"
                        "loglog_slope_high,offset_low,offset_high,power_p,offset_p,holds,slope_p,"
                        "headline\n");
    for (int f = 0; f < fits->fits; f++) {
        if (fits->fit[f].tag == nl_base) {
            continue; /* a part of the verdict, no quantity of its own */
        }
        put_group_fit(data, fits, &fits->fit[f], true, out);
        if (is_the_trace(data, &fits->fit[f])) {
            put_group_fit(data, fits, &fits->fit[f], false, out);
        }
    }
    for (int j = 0; j < fits->joints; j++) {
        put_joint(data, &fits->joint[j], true, out);
        put_joint(data, &fits->joint[j], false, out);
    }
}

void nl_report_robustness_csv(const nl_report_networks *data, const nl_report_fits *fits,
                              nl_text *out)
{
    nl_text_append(out, "direction,held,rank,kernel,tag,part,slope,low,high,sign,note\n");
    for (int f = 0; f < fits->fits; f++) {
        const nl_series_fit *fit = &fits->fit[f];
        const nl_series *series = &fits->series[fit->series];
        nl_text note = {0};

        if (nl_quantities[fit->quantity].definition == NULL || fit->tag < 0 ||
            !nl_report_is_headline(fits, fit->series)) {
            continue;
        }
        nl_report_note(fit, &note);
        nl_text_append(out, "%s,", nl_direction_name(series->direction));
        put_text(out, series->held);
        nl_text_append(out, ",");
        put_text(out, nl_quantities[fit->quantity].definition);
        nl_text_append(out, ",%s,%s,%s", data->kernel[fit->kernel], data->tag[fit->tag],
                       nl_quantities[fit->quantity].part);
        put_interval(out, fit->fit.slope);
        nl_text_append(out, ",%s,", nl_fit_sign_word(&fit->fit));
        put_text(out, note.data != NULL ? note.data : "");
        nl_text_append(out, "\n");
        nl_text_free(&note);
    }
}

void nl_report_transition_csv(const nl_report_networks *data, const nl_report_fits *fits,
                              nl_text *out)
{
    nl_text_append(out, "held,kernel,c,width,width_low,width_high,seeds,note\n");
    for (int c = 0; c < fits->crossings; c++) {
        const nl_report_crossing *crossing = &fits->crossing[c];

        put_text(out, fits->series[crossing->series].held);
        nl_text_append(out, ",%s", data->kernel[crossing->kernel]);
        nl_csv_append(out, fits->threshold);
        put_interval(out, crossing->at.x);
        nl_text_append(out, ",%d,", crossing->at.seeds);
        put_text(out, crossing->at.note);
        nl_text_append(out, "\n");
    }
}

void nl_report_local_csv(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out)
{
    nl_text_append(out, "direction,held,quantity,from,to,exponent,low,high,seeds\n");
    for (int k = 0; k < fits->locals; k++) {
        const nl_report_local *local = &fits->local[k];
        const nl_series_fit *fit = &fits->fit[local->fit];
        const nl_series *series = &fits->series[fit->series];
        char quantity[128];

        nl_text_append(out, "%s,", nl_direction_name(series->direction));
        put_text(out, series->held);
        nl_text_append(out, ",%s",
                       nl_report_quantity(data, fit->quantity, fit->kernel, fit->tag, quantity));
        nl_csv_append(out, local->at.from);
        nl_csv_append(out, local->at.to);
        put_interval(out, local->at.exponent);
        nl_text_append(out, ",%d\n", local->at.seeds);
    }
}
