/** @file looks.c  The steps at which a training is looked at. */
#include "looks.h"

#include <stdlib.h>

static int compare_looks(const void *a, const void *b)
{
    const nl_look *x = a;
    const nl_look *y = b;

    return (x->step > y->step) - (x->step < y->step);
}

/* Unite looks at the same step. */
static int unite_looks(nl_look *looks, int count)
{
    int kept = 0;

    qsort(looks, (size_t)count, sizeof *looks, compare_looks);
    for (int k = 0; k < count; k++) {
        if (kept > 0 && looks[kept - 1].step == looks[k].step) {
            looks[kept - 1].evaluated |= looks[k].evaluated;
            looks[kept - 1].measured |= looks[k].measured;
            looks[kept - 1].logged |= looks[k].logged;
        } else {
            looks[kept++] = looks[k];
        }
    }
    return kept;
}

nl_status nl_looks_create(const nl_cell *cell, const nl_measure_plan *plan, nl_looks *out)
{
    const long max_steps = (long)cell->value[NL_KEY_MAX_STEPS].number;
    const int per_decade = (int)cell->value[NL_KEY_EVALUATIONS_PER_DECADE].number;
    long *evaluated = NULL;
    long *measured = NULL;
    int evaluations = 0;
    int measurements = 0;
    int count = 0;
    nl_look *at = NULL;
    nl_status status = nl_log_steps(per_decade, max_steps, &evaluated, &evaluations);

    *out = (nl_looks){0};
    if (status == NL_OK && plan->per_decade > 0) {
        status = nl_log_steps(plan->per_decade, max_steps, &measured, &measurements);
    }
    if (status != NL_OK) {
        goto done;
    }
    at = nl_calloc((size_t)(evaluations + measurements + plan->at_steps) + 2, sizeof *at);
    if (at == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the schedule of a cell");
        goto done;
    }
    at[count++] = (nl_look){.step = 0, .evaluated = true, .measured = true};
    at[count++] = (nl_look){.step = max_steps, .measured = true};
    for (int k = 0; k < evaluations; k++) {
        at[count++] = (nl_look){.step = evaluated[k], .evaluated = true};
    }
    for (int k = 0; k < measurements; k++) {
        at[count++] = (nl_look){.step = measured[k], .measured = true, .logged = true};
    }
    for (int k = 0; k < plan->at_steps; k++) {
        if (plan->at_step[k] <= max_steps) {
            at[count++] = (nl_look){.step = plan->at_step[k], .measured = true};
        }
    }
    *out = (nl_looks){.at = at, .count = unite_looks(at, count)};

done:
    free(evaluated);
    free(measured);
    return status;
}

void nl_looks_free(nl_looks *looks)
{
    free(looks->at);
    *looks = (nl_looks){0};
}

bool nl_looks_evaluated(const nl_looks *looks, long step)
{
    for (int k = 0; k < looks->count; k++) {
        if (looks->at[k].step == step) {
            return looks->at[k].evaluated;
        }
    }
    return false;
}

long nl_looks_logged_before(const nl_looks *looks, long step)
{
    long last = -1;

    for (int k = 0; k < looks->count && looks->at[k].step < step; k++) {
        last = looks->at[k].logged ? looks->at[k].step : last;
    }
    return last;
}
