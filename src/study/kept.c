/** @file kept.c  Kernels of one rank that stay in memory while a cell is measured. */
#include "kept.h"

#include <math.h>
#include <stdlib.h>

enum { slots = 3 }; /* initial, previous and present state */
static const double most_bytes = 64.0 * 1024 * 1024;

typedef struct slot {
    long step;    /* -1: nothing is kept */
    void *packed; /* owned; made when it is first used */
} slot;

typedef struct note {
    long step; /* -1: nothing is noted */
    double frobenius2;
} note;

struct nl_kept {
    const nl_measure_plan *plan; /* borrowed */
    slot (*kernel)[slots];       /* owned; [plan->kernels] */
    note (*note)[slots];         /* owned; [plan->kernels] */
};

static double packed_bytes(const nl_measure_plan *plan, int kernel)
{
    const double n = nl_kernel_order(plan->kernel[kernel], plan->samples, plan->classes);

    return 0.5 * n * (n + 1.0) * (double)nl_precision_bytes(plan->precision);
}

double nl_kept_bytes(const nl_measure_plan *plan, int kernel)
{
    double left = most_bytes;
    double bytes = 0.0;

    for (int k = 0; k <= kernel; k++) {
        bytes = slots * packed_bytes(plan, k);
        bytes = bytes <= left ? bytes : 0.0;
        left -= bytes;
    }
    return bytes;
}

nl_status nl_kept_create(const nl_measure_plan *plan, nl_kept **out)
{
    nl_kept *kept = calloc(1, sizeof *kept);

    *out = kept;
    if (kept != NULL) {
        kept->plan = plan;
        kept->kernel = calloc((size_t)plan->kernels + 1, sizeof *kept->kernel);
        kept->note = calloc((size_t)plan->kernels + 1, sizeof *kept->note);
    }
    if (kept == NULL || kept->kernel == NULL || kept->note == NULL) {
        free(kept != NULL ? kept->kernel : NULL);
        free(kept != NULL ? kept->note : NULL);
        free(kept);
        *out = NULL;
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of kept kernels");
    }
    nl_kept_forget(kept);
    return NL_OK;
}

void nl_kept_destroy(nl_kept **kept)
{
    if (*kept == NULL) {
        return;
    }
    for (int k = 0; k < (*kept)->plan->kernels; k++) {
        for (int s = 0; s < slots; s++) {
            free((*kept)->kernel[k][s].packed);
        }
    }
    free((*kept)->kernel);
    free((*kept)->note);
    free(*kept);
    *kept = NULL;
}

void nl_kept_forget(nl_kept *kept)
{
    for (int k = 0; kept != NULL && k < kept->plan->kernels; k++) {
        for (int s = 0; s < slots; s++) {
            kept->kernel[k][s].step = -1;
            kept->note[k][s].step = -1;
        }
    }
}

const void *nl_kept_at(const nl_kept *kept, int kernel, long step)
{
    for (int s = 0; kept != NULL && s < slots; s++) {
        if (kept->kernel[kernel][s].step == step) {
            return kept->kernel[kernel][s].packed;
        }
    }
    return NULL;
}

nl_status nl_kept_room(nl_kept *kept, int kernel, long step, long also, void **room)
{
    slot *free_slot = NULL;
    size_t bytes = 0;

    *room = NULL;
    if (kept == NULL || !(nl_kept_bytes(kept->plan, kernel) > 0.0)) {
        return NL_OK;
    }
    bytes = (size_t)packed_bytes(kept->plan, kernel);
    free_slot = &kept->kernel[kernel][0]; /* of three slots two at most hold what stays */
    for (int s = 0; s < slots; s++) {
        slot *candidate = &kept->kernel[kernel][s];

        if (candidate->step == step) {
            free_slot = candidate;
            break;
        }
        if (candidate->step < 0 || (candidate->step != 0 && candidate->step != also)) {
            free_slot = candidate;
        }
    }
    if (free_slot->packed == NULL) {
        free_slot->packed = nl_calloc(bytes, 1);
        if (free_slot->packed == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu bytes of a kept kernel", bytes);
        }
    }
    free_slot->step = step;
    *room = free_slot->packed;
    return NL_OK;
}

void nl_kept_note(nl_kept *kept, int kernel, long step, long also, double frobenius2)
{
    note *place = NULL;

    for (int s = 0; kept != NULL && s < slots; s++) {
        note *candidate = &kept->note[kernel][s];

        if (candidate->step == step) {
            place = candidate;
            break;
        }
        if (candidate->step < 0 || (candidate->step != 0 && candidate->step != also)) {
            place = candidate;
        }
    }
    if (place != NULL) {
        *place = (note){step, frobenius2};
    }
}

double nl_kept_noted(const nl_kept *kept, int kernel, long step)
{
    for (int s = 0; kept != NULL && s < slots; s++) {
        if (kept->note[kernel][s].step == step) {
            return kept->note[kernel][s].frobenius2;
        }
    }
    return NAN;
}

void nl_kept_drop(nl_kept *kept, int kernel, long step)
{
    for (int s = 0; kept != NULL && s < slots; s++) {
        if (kept->kernel[kernel][s].step == step) {
            kept->kernel[kernel][s].step = -1;
        }
    }
}
