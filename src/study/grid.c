/** @file grid.c  The grid of networks, their names and hashes, log-spaced steps. */
#include "architecture.h"
#include "keys.h"

#include "ntklens/study.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Hash: FNV-1a (Fowler, Noll, Vo), 64 bits.  Finished cells are found again by it: key paths, their
 * order and the way values are written are part of the results and stay as they are.
 *-------------------------------------------------------------------------------------------*/

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash;
}

/* One line "path=value\n", the values of a list with commas between. */
static uint64_t hash_line(uint64_t hash, const nl_key_info *info, const nl_scalar *values,
                          int count)
{
    char digits[32];

    hash = hash_text(hash_text(hash, info->path), "=");
    for (int k = 0; k < count; k++) {
        hash = hash_text(hash, k > 0 ? "," : "");
        hash = hash_text(hash, nl_scalar_text(info, &values[k], digits));
    }
    return hash_text(hash, "\n");
}

/* Which solver works changes nothing but rounding; whether one does, whole columns. */
static bool is_part(const nl_study *study, nl_key key, nl_affects affects)
{
    if (key == NL_KEY_SOLVER) {
        return affects == NL_AFFECTS_MEASUREMENT && nl_study_is(study, key, "none");
    }
    return nl_key_describe(key)->affects == affects;
}

/* Of a key that finished cells were computed without: are its values what they had?  An empty list,
 * or the default. */
static bool is_as_before(const nl_key_info *info, const nl_values *values)
{
    char digits[32];

    if (!info->added || info->shape == NL_SHAPE_LIST) {
        return info->added && values->count == 0;
    }
    if (info->type == NL_TYPE_REAL && values->item[0].word == NULL) {
        return values->item[0].number == strtod(info->fallback, NULL);
    }
    return strcmp(nl_scalar_text(info, &values->item[0], digits), info->fallback) == 0;
}

uint64_t nl_cell_hash(const nl_study *study, const nl_cell *cell, nl_affects affects)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        const nl_values *values = &study->value[key];

        if (!is_part(study, (nl_key)key, affects) || is_as_before(info, values) ||
            !nl_key_applies((nl_key)key, nl_cell_kind(cell))) {
            continue;
        }
        if (info->shape == NL_SHAPE_LIST) {
            hash = hash_line(hash, info, values->item, values->count);
        } else {
            hash = hash_line(hash, info, &cell->value[key], 1);
        }
    }
    return hash;
}

void nl_cell_identify(const nl_study *study, nl_cell *cell)
{
    const nl_net_kind kind = nl_cell_kind(cell);
    const bool plain = kind == NL_MLP; /* named before there were others */

    snprintf(cell->id, sizeof cell->id, "%s%sw%d-d%d-n%d-s%u-%012" PRIx64,
             plain ? "" : nl_net_kind_name(kind), plain ? "" : "-", cell->width, cell->depth,
             cell->n_train, cell->seed, nl_cell_hash(study, cell, NL_AFFECTS_TRAINING) >> 16);
}

void nl_cell_hash_text(const nl_study *study, const nl_cell *cell, nl_affects affects, char out[32])
{
    snprintf(out, 32, "%016" PRIx64, nl_cell_hash(study, cell, affects));
}

/*---------------------------------------------------------------------------------------------
 * Grid
 *-------------------------------------------------------------------------------------------*/

int nl_scalar_compare(const nl_scalar *a, const nl_scalar *b)
{
    if (isnan(a->number) || isnan(b->number)) {
        return isnan(a->number) && isnan(b->number) ? strcmp(a->word, b->word)
                                                    : isnan(a->number) - isnan(b->number);
    }
    return (a->number > b->number) - (a->number < b->number);
}

bool nl_values_hold(const nl_values *values, const nl_scalar *value)
{
    for (int k = 0; k < values->count; k++) {
        if (nl_scalar_compare(&values->item[k], value) == 0) {
            return true;
        }
    }
    return false;
}

static int compare_values(const void *a, const void *b)
{
    return nl_scalar_compare(a, b);
}

typedef struct grid {
    int axes;
    nl_key axis[NL_KEY_COUNT];     /* slowest first: the order of the results table */
    nl_scalar *item[NL_KEY_COUNT]; /* owned; values of axis[k], sorted */
    int count[NL_KEY_COUNT];
    int points; /* of the product; some are the same cell */
} grid;

static void grid_free(grid *g)
{
    for (int k = 0; k < g->axes; k++) {
        free(g->item[k]);
    }
}

static bool grid_add(grid *g, const nl_study *study, nl_key key)
{
    const nl_values *values = &study->value[key];
    nl_scalar *sorted = malloc((size_t)values->count * sizeof *sorted);

    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, values->item, (size_t)values->count * sizeof *sorted);
    qsort(sorted, (size_t)values->count, sizeof *sorted, compare_values);
    g->axis[g->axes] = key;
    g->item[g->axes] = sorted;
    g->count[g->axes] = values->count;
    g->axes++;
    g->points *= values->count; /* at most 1e5: checked when the study was parsed */
    return true;
}

static bool grid_collect(grid *g, const nl_study *study)
{
    static const nl_key first[] = {NL_KEY_WIDTHS, NL_KEY_DEPTHS, NL_KEY_TRAIN_SIZES};
    bool fine = true;

    *g = (grid){.points = 1};
    for (size_t k = 0; k < NL_COUNT(first); k++) {
        fine = fine && grid_add(g, study, first[k]);
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        bool placed = key == NL_KEY_WIDTHS || key == NL_KEY_DEPTHS || key == NL_KEY_TRAIN_SIZES ||
                      key == NL_KEY_SEEDS;

        if (nl_key_describe((nl_key)key)->shape == NL_SHAPE_AXIS && !placed) {
            fine = fine && grid_add(g, study, (nl_key)key);
        }
    }
    return fine && grid_add(g, study, NL_KEY_SEEDS);
}

/** A point of the grid: of each axis the index of its value. */
typedef struct point {
    int at[NL_KEY_COUNT];
    nl_net_kind kind;
} point;

static point point_of(const grid *g, int index)
{
    point p = {.kind = NL_MLP};

    for (int k = g->axes - 1; k >= 0; k--) {
        p.at[k] = index % g->count[k];
        index /= g->count[k];
        if (g->axis[k] == NL_KEY_KIND) {
            p.kind = (nl_net_kind)g->item[k][p.at[k]].number;
        }
    }
    return p;
}

/* Does an earlier value of one of the axes make the same cell? */
static bool is_repeated(const grid *g, const point *p)
{
    for (int k = 0; k < g->axes; k++) {
        const nl_scalar mine = nl_value_of_kind(g->axis[k], p->kind, &g->item[k][p->at[k]]);

        for (int j = 0; j < p->at[k]; j++) {
            const nl_scalar earlier = nl_value_of_kind(g->axis[k], p->kind, &g->item[k][j]);

            if (nl_scalar_compare(&earlier, &mine) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void fill_cell(const grid *g, const nl_study *study, const point *p, nl_cell *cell)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        if (study->value[key].count > 0) {
            cell->value[key] = study->value[key].item[0];
        }
    }
    for (int k = 0; k < g->axes; k++) {
        cell->value[g->axis[k]] = g->item[k][p->at[k]];
    }
    cell->stages = &study->value[NL_KEY_STAGES];
    cell->value[NL_KEY_STAGES] = (nl_scalar){.number = NAN, .word = study->stages};
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        cell->value[key] = nl_value_of_kind((nl_key)key, p->kind, &cell->value[key]);
    }
    cell->width = (int)cell->value[NL_KEY_WIDTHS].number;
    cell->depth = (int)cell->value[NL_KEY_DEPTHS].number;
    cell->n_train = (int)cell->value[NL_KEY_TRAIN_SIZES].number;
    cell->seed = (uint32_t)cell->value[NL_KEY_SEEDS].number;
    cell->fingerprint = study->fingerprint;
    nl_cell_identify(study, cell);
}

nl_status nl_study_cells(const nl_study *study, nl_cell **cells, int *count)
{
    nl_status status = NL_OK;
    nl_cell *all = NULL;
    int found = 0;
    grid g;

    *cells = NULL;
    *count = 0;
    if (!grid_collect(&g, study)) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the grid", study->file);
        goto done;
    }
    all = calloc((size_t)g.points, sizeof *all);
    if (all == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for %d cells", study->file, g.points);
        goto done;
    }
    for (int k = 0; k < g.points; k++) {
        const point p = point_of(&g, k);

        if (!is_repeated(&g, &p)) {
            fill_cell(&g, study, &p, &all[found++]);
        }
    }
    *cells = all;
    *count = found;

done:
    grid_free(&g);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Steps
 *-------------------------------------------------------------------------------------------*/

nl_status nl_log_steps(int per_decade, long max_steps, long **steps, int *count)
{
    double decades = max_steps >= 1 ? log10((double)max_steps) : 0.0;
    double most = (floor(decades) + 1.0) * per_decade + 1.0;
    long *all = NULL;
    int found = 0;

    *steps = NULL;
    *count = 0;
    if (per_decade < 0 || most > INT_MAX / 2) {
        return NL_FAIL(NL_ERR_ARG, "%d steps a decade: 0 or more were expected", per_decade);
    }
    all = calloc((size_t)most, sizeof *all);
    if (all == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %.0f log-spaced steps", most);
    }
    for (int k = 0; per_decade > 0 && k < (int)most; k++) {
        long step = lround(pow(10.0, (double)k / per_decade));

        if (step > max_steps) {
            break;
        }
        if (found == 0 || step > all[found - 1]) {
            all[found++] = step;
        }
    }
    *steps = all;
    *count = found;
    return NL_OK;
}
