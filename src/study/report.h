/** @file report.h  From results tables to fits and words; private to the room. */
#ifndef NTKLENS_STUDY_REPORT_H
#define NTKLENS_STUDY_REPORT_H

#include "table.h"

#include "ntklens/fit.h"
#include "ntklens/study.h"

/*---------------------------------------------------------------------------------------------
 * Quantities: the columns that are fitted
 *-------------------------------------------------------------------------------------------*/

/** Where the offset of a law can lie. */
typedef enum nl_offset_kind {
    NL_OFFSET_FLOOR,    /* a loss: from 0 to the smallest mean */
    NL_OFFSET_RANK,     /* from 0 to the order of the matrix */
    NL_OFFSET_SHARE,    /* from 0 to 1 */
    NL_OFFSET_POSITIVE, /* from 0 */
} nl_offset_kind;

typedef struct nl_quantity {
    const char *column;
    bool per_kernel;        /* else one value a state */
    bool splits;            /* its slope at best is told as that at init plus that of best/init */
    const char *definition; /* of a rank: what the robustness table calls it; NULL: no rank */
    const char *part;       /* of a rank: share of the probe, "whole", "half", "quarter" */
    nl_offset_kind offset;
} nl_quantity;

extern const nl_quantity nl_quantities[];
extern const int nl_quantity_count;

/** Index of a column among the quantities; it must be one of them. */
int nl_quantity_find(const char *column);

/** Does every report tell of it, if only that there are no values? */
bool nl_quantity_is_core(int quantity);

/** Where the offset of a quantity can lie; order: of the kernel, NaN where it is not known. */
nl_offset_range nl_quantity_range(int quantity, double order);

/*---------------------------------------------------------------------------------------------
 * Data: networks, their states, their values
 *-------------------------------------------------------------------------------------------*/

enum { nl_most_tags = 64, nl_most_kernels = 64 };

/** One trained network of the tables. */
typedef struct nl_report_cell {
    double width, depth, n_train, parameters;
    long seed;
    const char *setting; /* the axes that vary beside width, n_train and seed, as "depth=2;
                            loss=mse"; "" where none does; the same pointer where it is the same */
    const char *setting_without_depth;
} nl_report_cell;

/** A row of a table: a state seen through a kernel. */
typedef struct nl_report_row {
    int cell, tag, kernel; /* indices; tag -1: a log state, which is not fitted */
    bool censored, diverged, untrained, collapsed;
    double order;  /* of the kernel; NaN: not in the table */
    double *value; /* borrowed, [nl_quantity_count]: NaN where there is none */
} nl_report_row;

typedef struct nl_report_data {
    int cells, rows, tags, kernels, settings;
    nl_report_cell *cell;                              /* owned */
    nl_report_row *row;                                /* owned */
    double *values;                                    /* owned, [rows x nl_quantity_count] */
    char **setting;                                    /* owned, and each of them */
    char *tag[nl_most_tags], *kernel[nl_most_kernels]; /* owned; in the order of reports */
    bool *has;               /* owned, [nl_quantity_count]: does any row have a value? */
    int *index;              /* owned, [cells x tags x kernels]: row, or -1 */
    int doubles;             /* rows that repeat a state with other values: the first one counts */
    nl_text constants;       /* axes that do not vary: "activation=relu, loss=mse, ..." */
    nl_text parametrization; /* "standard", or "standard and ntk" */
} nl_report_data;

/** Sort the rows of tables.  names: [count], of the studies; where `distinct`, they are an axis. */
NL_MUST_CHECK nl_status nl_report_data_create(int count, const nl_table *tables,
                                              const char *const names[], bool distinct,
                                              nl_report_data *out);
void nl_report_data_free(nl_report_data *data);

/** Row of a state, -1 where there is none. */
int nl_report_find(const nl_report_data *data, int cell, int tag, int kernel);

/** Index of a tag or kernel by name, -1 where there is none. */
int nl_report_tag(const nl_report_data *data, const char *name);
int nl_report_kernel(const nl_report_data *data, const char *name);

/*---------------------------------------------------------------------------------------------
 * Fits
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_direction { NL_WIDTH, NL_DATA, NL_PARAMETERS, NL_DIRECTIONS } nl_direction;

/** "width", "data", "parameters". */
const char *nl_direction_name(nl_direction direction);

/** Networks along one direction, all else held. */
typedef struct nl_group {
    nl_direction direction;
    double held_value;   /* n_train, or the width */
    const char *setting; /* pointer as in the cells */
    char *held;          /* owned: "n_train=512", ";loss=mse" behind where that varies */
    double first, last;  /* of the scales */
    int scales, seeds;
    int usable; /* scales at which more than half of the networks count: their best state is
                   neither censored nor diverged, untrained or collapsed */
} nl_group;

/** Where a network stands along a direction; NaN or 0: nowhere. */
double nl_group_scale(const nl_report_cell *cell, nl_direction direction);

/** Is a network one of the group's? */
bool nl_group_holds(const nl_group *group, const nl_report_cell *cell);

/** A tag's index, or one of these. */
enum {
    nl_ratio = -1, /* best / init */
    nl_base = -2,  /* init of the networks that have that ratio, so that slopes add up */
    nl_least = -3, /* least over training: the spectral reach */
};

typedef struct nl_group_fit {
    int group, quantity, kernel, tag; /* kernel -1: not of a kernel */
    nl_fit fit;
    double order;                                        /* of the kernel; NaN: unknown */
    int censored, diverged, untrained, collapsed, empty; /* networks that were left out, and why */
} nl_group_fit;

/** An exponent between two neighbouring scales. */
typedef struct nl_report_local {
    int fit; /* of which quantity */
    nl_local at;
} nl_report_local;

typedef struct nl_report_fits {
    int groups, fits, joints, crossings, locals;
    nl_group *group;                     /* owned */
    nl_group_fit *fit;                   /* owned */
    struct nl_report_joint *joint;       /* owned */
    struct nl_report_crossing *crossing; /* owned */
    nl_report_local *local;              /* owned */
    double threshold;                    /* of the crossings */
} nl_report_fits;

/** A joint law where a setting's networks make a grid. */
typedef struct nl_report_joint {
    const char *setting;
    int quantity, kernel, tag;
    nl_joint_fit fit;
} nl_report_joint;

/** Where the kernel distance at best falls below the threshold, along a width group. */
typedef struct nl_report_crossing {
    int group, kernel;
    nl_crossing at;
} nl_report_crossing;

/** Fill in the groups: all of two scales or more; where there are none, those of one. */
NL_MUST_CHECK nl_status nl_report_find_groups(const nl_report_data *data, nl_report_fits *fits);

NL_MUST_CHECK nl_status nl_report_fits_create(const nl_report_data *data, double threshold,
                                              nl_report_fits *out);
void nl_report_fits_free(nl_report_fits *fits);

/** The fit of a quantity in a group, NULL where there is none. */
const nl_group_fit *nl_report_fit(const nl_report_fits *fits, int group, const char *column,
                                  int kernel, int tag);

/** "effective_rank[full]@best", "trace[traced]@best/init", "test_loss@best"; out: 128 bytes. */
const char *nl_report_quantity(const nl_report_data *data, int quantity, int kernel, int tag,
                               char out[128]);

/** The note of a fit: its own words, then who was left out. */
void nl_report_note(const nl_group_fit *fit, nl_text *out);

/*---------------------------------------------------------------------------------------------
 * Words
 *-------------------------------------------------------------------------------------------*/

/** fits.csv, robustness.csv, transition.csv and local_exponents.csv. */
void nl_report_fits_csv(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);
void nl_report_robustness_csv(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);
void nl_report_transition_csv(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);
void nl_report_local_csv(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);

/** What may be concluded, as Markdown. */
void nl_report_verdict(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);

/** Tables of the main fits, of robustness, of transitions; Markdown. */
void nl_report_tables(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);

/** Every rank's slope with its interval; Markdown, too long for a terminal. */
void nl_report_ranks(const nl_report_data *data, const nl_report_fits *fits, nl_text *out);

/** What an interval of a slope says. */
typedef enum nl_sign { NL_SIGN_UNKNOWN, NL_SIGN_RISES, NL_SIGN_FALLS, NL_SIGN_NO_INTERVAL } nl_sign;

nl_sign nl_interval_sign(nl_interval interval);

/** "undecided", "rises", "falls", "no interval"; "constant", or "-" where nothing was fitted. */
const char *nl_fit_sign_word(const nl_fit *fit);

/** Do the points leave residuals that the chosen law allows? */
typedef enum nl_holds { NL_UNTESTED, NL_HOLDS, NL_FAILS } nl_holds;

nl_holds nl_fit_holds(const nl_fit *fit);

/** "untested", "yes", "no". */
const char *nl_holds_word(nl_holds holds);

/** "the law holds within the noise (p = 0.31)"; out holds 192 bytes. */
const char *nl_fit_holds_text(const nl_fit *fit, char out[192]);

/** "+0.48 (95 %: 0.44 to 0.52)"; out holds 96 bytes. */
const char *nl_interval_text(nl_interval interval, char out[96]);

/** Do a network's rows at best count?  False also where there are none. */
bool nl_report_counts(const nl_report_data *data, int cell);

/** Kernel of the headline: full where it was measured, else traced, else the first; -1: none. */
int nl_report_main_kernel(const nl_report_data *data);

#endif
