/** @file networks.h  Networks of the tables, their states, their values. */
#ifndef NTKLENS_REPORT_NETWORKS_H
#define NTKLENS_REPORT_NETWORKS_H

#include "ntklens/csv.h"

enum { nl_most_tags = 64, nl_most_kernels = 64 };

/** One trained network of the tables. */
typedef struct nl_report_network {
    double width, depth, n_train, parameters;
    long seed;
    double probe;        /* images of it, as the study file says; 0: not known */
    bool channels;       /* width is channels: a cnn or resnet */
    const char *setting; /* the axes that vary beside width, n_train and seed, as "depth=2;
                            loss=mse"; "" where none does; the same pointer where it is the same */
    const char *setting_without_depth;
} nl_report_network;

/** A row of a table: a state seen through a kernel. */
typedef struct nl_report_row {
    int cell, tag, kernel; /* indices; tag -1: a log state, which is not fitted */
    bool censored, diverged, untrained, collapsed, overdetermined;
    bool part;            /* of fewer images than others of its kernel: in no fit of directions */
    double order;         /* of the kernel; NaN: not in the table */
    double entropy_error; /* half width of 95 %; 0: the entropy is exact */
    double *value;        /* borrowed, [nl_quantity_count]: NaN where there is none */
} nl_report_row;

typedef struct nl_report_networks {
    int cells, rows, tags, kernels, settings;
    nl_report_network *cell;                           /* owned */
    nl_report_row *row;                                /* owned */
    double *values;                                    /* owned, [rows x nl_quantity_count] */
    char **setting;                                    /* owned, and each of them */
    char *tag[nl_most_tags], *kernel[nl_most_kernels]; /* owned; in the order of reports */
    bool *has;               /* owned, [nl_quantity_count]: does any row have a value? */
    int *index;              /* owned, [cells x tags x kernels]: row, or -1 */
    int partial;             /* networks of which there are such rows only */
    int doubles;             /* rows that repeat a state with other values: the first one counts */
    nl_text constants;       /* axes that do not vary: "activation=relu, loss=mse, ..." */
    nl_text parametrization; /* "standard", or "standard and ntk" */
} nl_report_networks;

/** A table as it is read. */
typedef struct nl_report_source {
    nl_csv table;     /* borrowed */
    const char *name; /* of its study; borrowed */
    double probe;     /* images of it, as the study file says; 0: there is none */
} nl_report_source;

/** Sort the rows of tables.  distinct: their names are an axis. */
NL_MUST_CHECK nl_status nl_report_networks_create(int count, const nl_report_source *sources,
                                                  bool distinct, nl_report_networks *out);
void nl_report_networks_free(nl_report_networks *data);

/** Row of a state, -1 where there is none. */
int nl_report_find(const nl_report_networks *data, int cell, int tag, int kernel);

/** Index of a tag or kernel by name, -1 where there is none. */
int nl_report_tag(const nl_report_networks *data, const char *name);
int nl_report_kernel(const nl_report_networks *data, const char *name);

/** Does a row's state count: is it none of censored, diverged, untrained, collapsed? */
bool nl_report_row_counts(const nl_report_row *row);

/** Kernel of the headline: full where it was measured, else traced, else the first; -1: none. */
int nl_report_main_kernel(const nl_report_networks *data);

#endif
