/** @file crossing.c  Where a quantity falls below a threshold, seed by seed. */
#include "points.h"
#include "student.h"

#include <math.h>
#include <stdlib.h>

typedef enum course { COURSE_NONE, COURSE_BELOW, COURSE_ABOVE, COURSE_CROSSED } course;

/* log x of the last fall below the threshold; what rises above it again has not crossed yet. */
static course follow(const nl_points *p, int seed, double threshold, double *log_x)
{
    const double *y = &p->y[(ptrdiff_t)seed * p->count];
    course found = COURSE_NONE;
    int before = -1;

    for (int j = 0; j < p->count; j++) {
        if (isnan(y[j])) {
            continue;
        }
        if (y[j] >= threshold) {
            found = COURSE_ABOVE;
        } else if (before < 0) {
            found = COURSE_BELOW;
        } else if (y[before] >= threshold) {
            const double part = log(y[before] / threshold) / log(y[before] / y[j]);

            *log_x = log(p->x[before]) + part * (log(p->x[j]) - log(p->x[before]));
            found = COURSE_CROSSED;
        }
        before = j;
    }
    return found;
}

/* An interval that leaves the scales measured says nothing about what lies beyond. */
static void keep_within(double first, double last, nl_crossing *out)
{
    if (out->x.low < first || out->x.high > last) {
        out->x.low = fmax(out->x.low, first);
        out->x.high = fmin(out->x.high, last);
        nl_note(out->note, "interval cut at the scales measured");
    }
}

static void tell(const nl_points *p, double threshold, nl_crossing *out)
{
    const double first = p->count > 0 ? p->x[0] : NAN;
    const double last = p->count > 0 ? p->x[p->count - 1] : NAN;

    if (out->seeds == 0) {
        nl_note(out->note, "no usable values");
    } else if (out->below == out->seeds) {
        nl_note(out->note, "below %g already at %g, the smallest", threshold, first);
    } else if (out->above == out->seeds) {
        nl_note(out->note, "still %g or more at %g, the largest", threshold, last);
    } else if (out->crossed < out->seeds) {
        nl_note(out->note, "falls below %g in %d of %d seeds only (%d above it at %g): no number",
                threshold, out->crossed, out->seeds, out->above, last);
    } else if (out->seeds == 1) {
        nl_note(out->note, "one seed: no interval");
    }
}

nl_status nl_fit_crossing(int count, const nl_sample *samples, double threshold, nl_crossing *out)
{
    nl_points p = {0};
    double *log_x = NULL;
    nl_status status = nl_points_create(count, samples, &p);

    *out = (nl_crossing){.x = {NAN, NAN, NAN}};
    if (status != NL_OK) {
        return status;
    }
    log_x = nl_calloc((size_t)p.seeds, sizeof *log_x);
    if (log_x == NULL) {
        nl_points_free(&p);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d seeds", p.seeds);
    }
    for (int s = 0; s < p.seeds; s++) {
        const course found = follow(&p, s, threshold, &log_x[out->crossed]);

        out->crossed += found == COURSE_CROSSED ? 1 : 0;
        out->below += found == COURSE_BELOW ? 1 : 0;
        out->above += found == COURSE_ABOVE ? 1 : 0;
        out->seeds += found != COURSE_NONE ? 1 : 0;
    }
    if (out->crossed == out->seeds && out->seeds > 0) {
        const nl_interval mean = nl_student_mean(out->crossed, log_x);

        out->x = (nl_interval){exp(mean.value), exp(mean.low), exp(mean.high)};
        keep_within(p.x[0], p.x[p.count - 1], out);
    }
    tell(&p, threshold, out);
    free(log_x);
    nl_points_free(&p);
    return NL_OK;
}
