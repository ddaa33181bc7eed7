/** @file compare.c  Two studies: what changed, what contradicts, their axes united. */
#include "architecture.h"
#include "keys.h"

#include "ntklens/study.h"

#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * One before the other
 *-------------------------------------------------------------------------------------------*/

static bool same_values(const nl_values *a, const nl_values *b)
{
    for (int k = 0; a->count == b->count && k < a->count; k++) {
        if (nl_scalar_compare(&a->item[k], &b->item[k]) != 0) {
            return false;
        }
    }
    return a->count == b->count;
}

/* Is one of the values, to a network of this kind, this one? */
static bool holds_value(const nl_values *values, nl_key key, nl_net_kind kind,
                        const nl_scalar *value)
{
    const nl_scalar wanted = nl_value_of_kind(key, kind, value);

    for (int k = 0; k < values->count; k++) {
        const nl_scalar found = nl_value_of_kind(key, kind, &values->item[k]);

        if (nl_scalar_compare(&found, &wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* Every old value is still asked for: the grid was widened at most. */
static bool keeps_values(const nl_study *before, const nl_study *now, nl_key key)
{
    const nl_values *kinds = &before->value[NL_KEY_KIND];
    const nl_values *old = &before->value[key];

    if (nl_key_describe(key)->shape == NL_SHAPE_LIST) {
        return !nl_key_concerns(before, key) || same_values(old, &now->value[key]);
    }
    for (int j = 0; j < kinds->count; j++) {
        for (int k = 0; k < old->count; k++) {
            if (!holds_value(&now->value[key], key, (nl_net_kind)kinds->item[j].number,
                             &old->item[k])) {
                return false;
            }
        }
    }
    return true;
}

/* Leaving out a size, a width, a depth or a seed alters no cell. */
static bool may_shrink(nl_key key)
{
    return key == NL_KEY_TRAIN_SIZES || key == NL_KEY_WIDTHS || key == NL_KEY_DEPTHS ||
           key == NL_KEY_SEEDS;
}

/* A longer training begins with the shorter one where the schedule does not know its end. */
static bool is_longer_training(const nl_study *before, const nl_study *now)
{
    const nl_values *old = &before->value[NL_KEY_MAX_STEPS];
    const nl_values *new = &now->value[NL_KEY_MAX_STEPS];

    for (int k = 0; k < old->count; k++) {
        for (int j = 0; j < new->count; j++) {
            if (new->item[j].number < old->item[k].number) {
                return false;
            }
        }
    }
    return !nl_study_is(now, NL_KEY_SCHEDULE, "cosine") &&
           !nl_study_is(before, NL_KEY_SCHEDULE, "cosine");
}

void nl_study_append_changes(const nl_study *before, const nl_study *now, nl_text *names)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (info->affects != NL_AFFECTS_TRAINING || may_shrink((nl_key)key) ||
            keeps_values(before, now, (nl_key)key) ||
            (key == NL_KEY_MAX_STEPS && is_longer_training(before, now))) {
            continue;
        }
        nl_text_append(names, "%s%s (was ", names->length > 0 ? "; " : "", info->path);
        nl_values_append(names, info, &before->value[key]);
        nl_text_append(names, ", now ");
        nl_values_append(names, info, &now->value[key]);
        nl_text_append(names, ")");
    }
}

/*---------------------------------------------------------------------------------------------
 * Side by side
 *-------------------------------------------------------------------------------------------*/

void nl_study_append_conflicts(const nl_study *a, const nl_study *b, nl_text *names)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (info->shape == NL_SHAPE_AXIS || info->affects == NL_AFFECTS_NOTHING ||
            info->affects == NL_AFFECTS_EXECUTION || same_values(&a->value[key], &b->value[key]) ||
            !nl_key_concerns(a, (nl_key)key) || !nl_key_concerns(b, (nl_key)key)) {
            continue;
        }
        nl_text_append(names, "%s%s (", names->length > 0 ? "; " : "", info->path);
        nl_values_append(names, info, &a->value[key]);
        nl_text_append(names, " there, ");
        nl_values_append(names, info, &b->value[key]);
        nl_text_append(names, " here)");
    }
}

/* Keys that change results and that results.csv does not show. */
static const nl_key hidden_keys[] = {
    NL_KEY_DATA_SEED,  NL_KEY_SUBSET,          NL_KEY_TEST_SIZE,   NL_KEY_PROBE_SIZE,
    NL_KEY_PROBE_FROM, NL_KEY_VALIDATION_SIZE, NL_KEY_STANDARDIZE, NL_KEY_PRECISION,
};

void nl_study_append_hidden_differences(const nl_study *a, const nl_study *b, nl_text *names)
{
    char text[2][32];

    for (size_t k = 0; k < NL_COUNT(hidden_keys); k++) {
        const nl_key_info *info = nl_key_describe(hidden_keys[k]);
        const char *x = nl_scalar_text(info, &a->value[hidden_keys[k]].item[0], text[0]);
        const char *y = nl_scalar_text(info, &b->value[hidden_keys[k]].item[0], text[1]);

        if (strcmp(x, y) != 0) {
            nl_text_append(names, "%s%s (%s and %s)", names->length > 0 ? ", " : "", info->path, x,
                           y);
        }
    }
}

static int compare_scalars(const void *a, const void *b)
{
    return nl_scalar_compare(a, b);
}

/* "model.widths=[8, 16]": values of all studies, each once, sorted. */
static nl_status unite_axis(int count, const nl_study *const studies[], nl_key key, nl_text *set)
{
    const nl_key_info *info = nl_key_describe(key);
    nl_values all = {0};
    int most = 0;

    for (int p = 0; p < count; p++) {
        most += studies[p]->value[key].count;
    }
    all.item = nl_calloc((size_t)most, sizeof *all.item);
    if (all.item == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the values of %s", info->path);
    }
    for (int p = 0; p < count; p++) {
        const nl_values *values = &studies[p]->value[key];

        for (int k = 0; k < values->count; k++) {
            if (!nl_values_hold(&all, &values->item[k])) {
                all.item[all.count++] = values->item[k];
            }
        }
    }
    qsort(all.item, (size_t)all.count, sizeof *all.item, compare_scalars);
    nl_text_append(set, "%s=%s", info->path, all.count > 1 ? "[" : "");
    nl_values_append(set, info, &all);
    nl_text_append(set, "%s", all.count > 1 ? "]" : "");
    free(all.item);
    return set->failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for an axis") : NL_OK;
}

/* A list that some study's networks have, as this study has it; those that have it agree. */
static nl_status take_list(int count, const nl_study *const studies[], nl_key key, nl_text *set)
{
    const nl_key_info *info = nl_key_describe(key);
    int p = count - 1;

    while (p > 0 && !nl_key_concerns(studies[p], key)) {
        p--;
    }
    nl_text_append(set, "%s=[", info->path);
    nl_values_append(set, info, &studies[p]->value[key]);
    nl_text_append(set, "]");
    return set->failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a list") : NL_OK;
}

nl_status nl_study_unite_axes(int count, const nl_study *const studies[],
                              nl_text sets[nl_most_cell_values], int *set_count)
{
    nl_status status = NL_OK;

    *set_count = 0;
    for (int key = 0; status == NL_OK && key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (info->shape == NL_SHAPE_AXIS) {
            status = unite_axis(count, studies, (nl_key)key, &sets[(*set_count)++]);
        } else if (info->kinds != 0) {
            status = take_list(count, studies, (nl_key)key, &sets[(*set_count)++]);
        }
    }
    return status;
}
