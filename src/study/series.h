/** @file series.h  From rows of results to points of a fit: along width, data or parameters. */
#ifndef NTKLENS_STUDY_SERIES_H
#define NTKLENS_STUDY_SERIES_H

#include "table.h"

#include "ntklens/fit.h"

typedef enum nl_direction {
    NL_ALONG_WIDTH,
    NL_ALONG_DATA,
    NL_ALONG_PARAMETERS,
    NL_DIRECTIONS
} nl_direction;

/** "width", "data", "parameters": as in fits.csv */
const char *nl_direction_name(nl_direction direction);

/** A table and where its columns stand. */
typedef struct nl_source_table {
    nl_table table; /* owned */
    int cell, width, depth, n_train, parameters, seed, tag, kernel, flags;
} nl_source_table;

/** Read DIR/results.csv and check what every report needs of it. */
NL_MUST_CHECK nl_status nl_source_table_read(const char *folder, nl_source_table *out);
void nl_source_table_free(nl_source_table *source);

/** Cells that differ in one direction (and in seed) only. */
typedef struct nl_group {
    const nl_source_table *source; /* borrowed */
    nl_direction direction;
    char held[200]; /* "n_train=512;depth=2" */
    int *row;       /* owned; [rows] of the table */
    int rows;
    int scales; /* distinct ones */
} nl_group;

typedef struct nl_groups {
    nl_group *item; /* owned */
    int count;
} nl_groups;

/** Add every group of at least two scales.  Groups keep the order of the table. */
NL_MUST_CHECK nl_status nl_groups_add(const nl_source_table *source, nl_groups *groups);
void nl_groups_free(nl_groups *groups);

/** What is fitted: a column at a tag, or its ratio to the initial state. */
typedef struct nl_quantity {
    const char *column;
    const char *kernel; /* NULL: the same for all kernels, as test_loss */
    const char *tag;
    bool over_init;
} nl_quantity;

/** "effective_rank[full]@best/init"; out holds 160 bytes. */
const char *nl_quantity_name(const nl_quantity *quantity, char out[160]);

/** Points of one quantity in a group, without rows that are flagged. */
typedef struct nl_series {
    nl_point *point;      /* owned */
    double *width, *data; /* owned; of each point */
    int count;
    int censored, diverged, collapsed; /* rows left out */
} nl_series;

NL_MUST_CHECK nl_status nl_series_collect(const nl_group *group, const nl_quantity *quantity,
                                          nl_series *out);
void nl_series_free(nl_series *series);

/** Distinct texts of a column, in the order of their first appearance, at most `most`; returns how
 *  many.  Texts are borrowed from the table. */
int nl_distinct(const nl_table *table, int column, int most, const char **out);

#endif
