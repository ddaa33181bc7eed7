/** @file kernel_cache.c  Kernels of one rank that stay in memory while a cell is measured. */
#include "kernel_cache.h"

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

struct nl_kernel_cache {
    const nl_measure_plan *plan; /* borrowed */
    bool keeps;                  /* kernels; else norms alone */
    slot (*kernel)[slots];       /* owned; [plan->kernels] */
    note (*note)[slots];         /* owned; [plan->kernels] */
};

static double packed_bytes(const nl_measure_plan *plan, int kernel)
{
    const double n = nl_measure_order(plan, kernel);

    return 0.5 * n * (n + 1.0) * (double)nl_precision_bytes(plan->precision);
}

double nl_kernel_cache_bytes(const nl_measure_plan *plan, int kernel)
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

nl_status nl_kernel_cache_create(const nl_measure_plan *plan, bool keeps, nl_kernel_cache **out)
{
    nl_kernel_cache *cache = calloc(1, sizeof *cache);

    *out = cache;
    if (cache != NULL) {
        cache->plan = plan;
        cache->keeps = keeps;
        cache->kernel = calloc((size_t)plan->kernels + 1, sizeof *cache->kernel);
        cache->note = calloc((size_t)plan->kernels + 1, sizeof *cache->note);
    }
    if (cache == NULL || cache->kernel == NULL || cache->note == NULL) {
        free(cache != NULL ? cache->kernel : NULL);
        free(cache != NULL ? cache->note : NULL);
        free(cache);
        *out = NULL;
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of kept kernels");
    }
    nl_kernel_cache_forget(cache);
    return NL_OK;
}

void nl_kernel_cache_destroy(nl_kernel_cache **cache)
{
    if (*cache == NULL) {
        return;
    }
    for (int k = 0; k < (*cache)->plan->kernels; k++) {
        for (int s = 0; s < slots; s++) {
            free((*cache)->kernel[k][s].packed);
        }
    }
    free((*cache)->kernel);
    free((*cache)->note);
    free(*cache);
    *cache = NULL;
}

void nl_kernel_cache_forget(nl_kernel_cache *cache)
{
    for (int k = 0; cache != NULL && k < cache->plan->kernels; k++) {
        for (int s = 0; s < slots; s++) {
            cache->kernel[k][s].step = -1;
            cache->note[k][s].step = -1;
        }
    }
}

const void *nl_kernel_cache_at(const nl_kernel_cache *cache, int kernel, long step)
{
    for (int s = 0; cache != NULL && s < slots; s++) {
        if (cache->kernel[kernel][s].step == step) {
            return cache->kernel[kernel][s].packed;
        }
    }
    return NULL;
}

nl_status nl_kernel_cache_room(nl_kernel_cache *cache, int kernel, long step, long also,
                               void **room)
{
    slot *free_slot = NULL;
    size_t bytes = 0;

    *room = NULL;
    if (cache == NULL || !cache->keeps || !(nl_kernel_cache_bytes(cache->plan, kernel) > 0.0)) {
        return NL_OK;
    }
    bytes = (size_t)packed_bytes(cache->plan, kernel);
    free_slot = &cache->kernel[kernel][0]; /* of three slots two at most hold what stays */
    for (int s = 0; s < slots; s++) {
        slot *candidate = &cache->kernel[kernel][s];

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

void nl_kernel_cache_note(nl_kernel_cache *cache, int kernel, long step, long also,
                          double frobenius2)
{
    note *place = NULL;

    for (int s = 0; cache != NULL && s < slots; s++) {
        note *candidate = &cache->note[kernel][s];

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

double nl_kernel_cache_noted(const nl_kernel_cache *cache, int kernel, long step)
{
    for (int s = 0; cache != NULL && s < slots; s++) {
        if (cache->note[kernel][s].step == step) {
            return cache->note[kernel][s].frobenius2;
        }
    }
    return NAN;
}

void nl_kernel_cache_drop(nl_kernel_cache *cache, int kernel, long step)
{
    for (int s = 0; cache != NULL && s < slots; s++) {
        if (cache->kernel[kernel][s].step == step) {
            cache->kernel[kernel][s].step = -1;
        }
    }
}
