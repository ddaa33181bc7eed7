/** @file student.c  Student's t, differences of intervals, notes. */
#include "student.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

double nl_student_quantile(double degrees)
{
    return degrees > 0.0 ? gsl_cdf_tdist_Pinv(0.975, degrees) : NAN;
}

nl_interval nl_student_mean(int count, const double *values)
{
    nl_interval mean = {NAN, NAN, NAN};

    if (count < 1) {
        return mean;
    }
    mean.value = gsl_stats_mean(values, 1, (size_t)count);
    if (count > 1) {
        const double error = gsl_stats_sd_m(values, 1, (size_t)count, mean.value) / sqrt(count);

        mean.low = mean.value - nl_student_quantile(count - 1) * error;
        mean.high = mean.value + nl_student_quantile(count - 1) * error;
    }
    return mean;
}

nl_interval nl_interval_difference(nl_interval a, nl_interval b)
{
    nl_interval d = {.value = a.value - b.value};

    d.low = d.value - hypot(a.value - a.low, b.high - b.value);
    d.high = d.value + hypot(a.high - a.value, b.value - b.low);
    return d;
}

const char *nl_law_name(nl_law law)
{
    static const char *const names[] = {"none", "power", "offset", "joint"};

    return names[law];
}

void nl_note(char note[nl_fit_note_size], const char *format, ...)
{
    const size_t length = strlen(note);
    const char *const between = length > 0 ? "; " : "";
    char text[nl_fit_note_size];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(args);
    snprintf(note + length, nl_fit_note_size - length, "%s%s", between, text);
}
