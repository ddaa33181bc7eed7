/** @file subset.c  Nested class-stratified subsets, label noise. */
#include "ntklens/data.h"

#include <math.h>
#include <stdlib.h>

/* Indices of the images, those of one class together, in file order.
 * start[classes + 1]: where each class begins in sorted[count]. */
static void sort_by_class(const nl_images *images, int classes, int *start, int *sorted)
{
    int *next = start + 1; /* filled up while sorting, so that it ends as the next class's start */

    for (int k = 0; k < images->count; k++) {
        start[images->labels[k] + 1]++;
    }
    for (int c = 0; c < classes; c++) {
        start[c + 1] += start[c];
    }
    for (int c = classes; c > 0; c--) { /* shift by one: next[c] is now the start of c */
        start[c] = start[c - 1];
    }
    for (int k = 0; k < images->count; k++) {
        sorted[next[images->labels[k]]++] = k;
    }
}

/* Classes take turns in the order `turn`; class c's images are sorted[start[c] .. start[c + 1]). */
static void deal(int classes, const int *turn, const int *start, const int *sorted, int count,
                 int *order)
{
    int placed = 0;

    for (int round = 0; placed < count; round++) {
        for (int t = 0; t < classes; t++) {
            int k = start[turn[t]] + round;

            if (k < start[turn[t] + 1]) {
                order[placed++] = sorted[k];
            }
        }
    }
}

nl_status nl_images_permute(const nl_images *images, int classes, uint32_t seed, nl_purpose purpose,
                            int *order)
{
    int *sorted = nl_calloc((size_t)images->count, sizeof *sorted);
    int *start = nl_calloc((size_t)classes + 1, sizeof *start);
    int *turn = nl_calloc((size_t)classes, sizeof *turn);
    nl_rng rng = nl_rng_open(seed, purpose, 0, 0, 0);
    nl_status st = NL_OK;

    if (sorted == NULL || start == NULL || turn == NULL) {
        st = NL_FAIL(NL_ERR_NOMEM, "out of memory for a permutation of %d images", images->count);
        goto done;
    }
    sort_by_class(images, classes, start, sorted);
    for (int c = 0; c < classes; c++) {
        nl_rng own = nl_rng_open(seed, purpose, 1 + (uint32_t)c, 0, 0);

        nl_rng_shuffle(&own, sorted + start[c], start[c + 1] - start[c]);
        turn[c] = c;
    }
    nl_rng_shuffle(&rng, turn, classes);
    deal(classes, turn, start, sorted, images->count, order);

done:
    free(turn);
    free(start);
    free(sorted);
    return st;
}

int nl_noisy_label(int label, int index, int classes, double noise, uint32_t seed)
{
    nl_rng rng = nl_rng_open(seed, NL_PURPOSE_LABEL_NOISE, (uint32_t)index, 0, 0);

    /* The draw against `noise` comes first: labels redrawn at a lower noise are so at a higher. */
    return nl_rng_uniform(&rng) < noise ? (int)nl_rng_below(&rng, (uint32_t)classes) : label;
}
