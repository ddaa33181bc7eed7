/** @file study.h  What is asked: the study, its grid of cells, typed specifications. */
#ifndef NTKLENS_STUDY_H
#define NTKLENS_STUDY_H

#include "ntklens/base.h"
#include "ntklens/keys.h"
#include "ntklens/ntk.h"
#include "ntklens/splits.h"

/*---------------------------------------------------------------------------------------------
 * Keys: one table (keys.c) describes every key of the study file; the parser, `ntklens keys`, the
 * resolved study.yaml and the key columns of results.csv are made from it
 *-------------------------------------------------------------------------------------------*/

/** Which parameters a cell's file keeps; in the order of the choices of output.snapshots. */
typedef enum nl_snapshots {
    NL_SNAPSHOTS_NONE,
    NL_SNAPSHOTS_BEST,
    NL_SNAPSHOTS_MEASURED
} nl_snapshots;

/** How kernels are to be solved and shared. */
typedef struct nl_solve_request {
    const char *file;        /* the study's: begins complaints */
    bool none;               /* no spectra at all */
    const char *solver;      /* by name; NULL: the best one (measure.solver: auto) */
    int team;                /* ranks that share a kernel; 0: as many as it needs (auto); -1: all */
    nl_method method;        /* NL_METHOD_AUTO: the rule of nl_solve_plan_make() */
    double exact_operations; /* auto: most of an exact way */
    double relative_error;   /* quadrature: wanted half width of the effective rank over itself */
} nl_solve_request;

/** What a study asks for beside its axes, typed; the parser makes it once.  Borrows words of the
 *  study. */
typedef struct nl_study_spec {
    const char *name;
    nl_split_spec split;
    nl_solve_request solve;
    nl_snapshots snapshots;
    bool keep_spectra, keep_kernels; /* in the cell's file */
    bool traced, full, classes;      /* kernels that are measured */
    bool weighted;                   /* some networks are mup: rate-weighted kernels, too */
    bool infinite;                   /* write infinite.csv */
    bool share_cores;                /* of ranks without work */
    double memory_per_rank;          /* bytes; 0: what the machine leaves */
    double checkpoint_every;         /* seconds */
} nl_study_spec;

/** A resolved study: every key has its values.  Owns them. */
typedef struct nl_study {
    char *file;                    /* owned: path of the study file, as given */
    nl_values value[NL_KEY_COUNT]; /* axes and lists: in the order given */
    /** Of a resolved file: what it says of the images it was run on, nl_dataset_fingerprint() and
     *  nl_dataset_remarks(); NULL where it does not. */
    const char *fingerprint, *remarks;
    char stages[64]; /* model.stages as one word, "2-1-1" */
    nl_study_spec spec;
    struct nl_study_store *store; /* owned: memory of the words */
} nl_study;

/** Bytes of a study file at most: no grid that anyone writes down comes near. */
enum { nl_study_file_limit = 4 << 20 };

/** A study file with what --set says.  All borrowed. */
typedef struct nl_study_source {
    const char *file; /* name for messages and base of relative paths */
    const char *text;
    size_t length;
    int set_count;
    const char *const *sets; /* [set_count] `key=value` of --set, value as YAML; they win over the
                                file, a later one over an earlier one, and are checked alike, their
                                place being "--set key=value" */
} nl_study_source;

/**
 * Parse and check a study file; complaints are printed all together, one line each, with
 * file:line:column.  Local: the same bytes give the same study on every rank.
 *
 * @return NL_ERR_STUDY where anything was wrong
 */
NL_MUST_CHECK nl_status nl_study_parse(const nl_study_source *source, nl_study **out);

/** The same without complaints, on ranks other than the root. */
NL_MUST_CHECK nl_status nl_study_parse_silently(const nl_study_source *source, nl_study **out);
void nl_study_destroy(nl_study **study);

/** First (or only) value. */
double nl_study_number(const nl_study *study, nl_key key);
const char *nl_study_word(const nl_study *study, nl_key key); /* NULL where a number stands */
bool nl_study_is(const nl_study *study, nl_key key,
                 const char *word); /* any of its values is this word */

/** Folder of the data: data.path relative to the study file, else $NTKLENS_DATA/<source>; owned by
 *  the caller, free().  NULL: out of memory, or (glyphs) not needed; where neither is given,
 *  NL_ERR_DATA with a line that says how to get the data. */
NL_MUST_CHECK nl_status nl_study_data_folder(const nl_study *study, char **out);

/** The resolved study as YAML that `ntklens run` accepts again: every key with its values and,
 * under `provenance`, program, libraries and BLAS kernel (accepted and ignored when read). */
void nl_study_write(const nl_study *study, const char *data_folder, int facts,
                    const char *const fact_names[], const char *const fact_values[], nl_text *out);

/*---------------------------------------------------------------------------------------------
 * Cells: the grid
 *-------------------------------------------------------------------------------------------*/

/** One network to train: a point of the grid. */
typedef struct nl_cell {
    char id[64]; /* "w64-d2-n512-s0-" and 12 hexadecimal digits of the training hash; other kinds
                    than mlp stand before it: "cnn-w16-..." */
    int width, depth, n_train;
    uint32_t seed;
    nl_scalar value[NL_KEY_COUNT]; /* axes: this cell's value, `auto` resolved where its kind
                                      decides what that means; scalars: the study's; words borrowed
                                      from the study.  The word "": its kind has no such key */
    const nl_values *stages;       /* model.stages, borrowed from the study */
    const char *fingerprint; /* of its images, borrowed; NULL: not known.  Not part of a hash: the
                                same images lie elsewhere on another machine */
} nl_cell;

/** All cells of a study in the order of the results table: width, depth, n_train, other axes (in
 * key order, by value), seed.  Values of a key that the cell's kind does not have make no cells,
 * nor does a second spelling of the same value.  Their fingerprint is what the study knows.  cells:
 * owned by the caller, free(); borrows words of the study. */
NL_MUST_CHECK nl_status nl_study_cells(const nl_study *study, nl_cell **cells, int *count);

/** Hash (FNV-1a, 64 bits) of everything in the cell that is of kind `affects`: lines "path=value\n"
 *  in key order, reals by nl_format_double(), lists with commas, without keys that the cell's kind
 *  does not have.  Finished work is found by it, so that a new key, or a new default, of that kind
 *  makes older results be computed anew.  Pure. */
uint64_t nl_cell_hash(const nl_study *study, const nl_cell *cell, nl_affects affects);

/** Name the cell by its values: sets id. */
void nl_cell_identify(const nl_study *study, nl_cell *cell);

/** The same as 16 hexadecimal digits; out holds 32 bytes. */
void nl_cell_hash_text(const nl_study *study, const nl_cell *cell, nl_affects affects,
                       char out[32]);

/** Log-spaced steps: unique round(10^(k/per_decade)) from 1 to at most max_steps.  steps: free().
 */
NL_MUST_CHECK nl_status nl_log_steps(int per_decade, long max_steps, long **steps, int *count);

/** A value of a cell that has a column in results.csv and an attribute in the cell's file. */
typedef struct nl_cell_value {
    const char *column, *help;
    const char *word; /* NULL where it is a number; "": its kind has no such key */
    double number;
    bool whole;  /* an integer */
    bool member; /* width, depth, n_train or seed: a member of the cell, too */
    bool late;   /* its column stands behind all others */
} nl_cell_value;

enum { nl_most_cell_values = 64 };

/** The k-th of nl_cell_value_count(), in key order; of cell NULL only what holds for all.  Pure. */
int nl_cell_value_count(void);
nl_cell_value nl_cell_value_at(const nl_cell *cell, int k);

/** "3 widths x 2 seeds": axes of several values, appended. */
void nl_study_append_axes(const nl_study *study, nl_text *out);

/*---------------------------------------------------------------------------------------------
 * Two studies
 *-------------------------------------------------------------------------------------------*/

/** Append "training.loss (was mse, now cross_entropy)", joined by "; ", for every key that makes
 *  cells of `before` other cells `now`: not where only values were added or a training is longer.
 */
void nl_study_append_changes(const nl_study *before, const nl_study *now, nl_text *names);

/** Append "data.probe_size (64, 128)", joined by "; ", for every key in which results of the two
 *  cannot be in one table: axes may differ, and what affects no number. */
void nl_study_append_conflicts(const nl_study *a, const nl_study *b, nl_text *names);

/** Append "subset fixed, per-seed" for the keys that results.csv does not show, joined by "; ". */
void nl_study_append_hidden_differences(const nl_study *a, const nl_study *b, nl_text *names);

/** Texts for --set that make one study's axes those of all.  sets: [nl_most_cell_values] */
NL_MUST_CHECK nl_status nl_study_unite_axes(int count, const nl_study *const studies[],
                                            nl_text sets[nl_most_cell_values], int *set_count);

/*---------------------------------------------------------------------------------------------
 * Plan, status, merge: Local, on one process
 *-------------------------------------------------------------------------------------------*/

/** "4G", "500MB": a size as in the study file. */
bool nl_bytes_parse(const char *text, double *bytes);

/**
 * Unite finished cells of several results folders whose studies differ only in axes of the grid, as
 * one run over the united grid would leave them.  What `out` holds already takes part.
 *
 * @return NL_ERR_STUDY, the keys being named, where the studies differ otherwise; NL_ERR_DATA where
 * one cell has two results
 */
NL_MUST_CHECK nl_status nl_study_merge(const char *out, int count, const char *const folders[]);

/*---------------------------------------------------------------------------------------------
 * Typed: what networks, training and measurement are to be
 *-------------------------------------------------------------------------------------------*/

/** Which states are measured, with which kernels; the same for all cells of a study. */
typedef struct nl_measure_plan {
    int kernels, whole;     /* of them, the first ones: of the whole probe */
    nl_kernel_spec *kernel; /* owned */
    int *prefix;            /* owned; [kernels] first samples of the probe that it is of, 0: all;
                               NULL: all are of the whole probe */
    int per_decade;         /* log-spaced measurements; 0: none */
    int at_steps, at_losses;
    long *at_step;   /* owned; ascending */
    double *at_loss; /* owned; as given */
    bool validated;  /* `best` is chosen on the validation loss */
    int samples;     /* probe */
    int classes;
    nl_dataset_info images;                /* whose shape a network takes */
    int regression_train, regression_test; /* images of kernel regressions at most; 0: none */
    double ridge;
    nl_precision precision;
    uint32_t seed;         /* data.seed: of quadrature's probes */
    bool auxiliary_full;   /* spectra of related kernels: of full and class kernels */
    bool auxiliary_traced; /* of traced ones */
    bool eigenvectors;
} nl_measure_plan;
NL_MUST_CHECK nl_status nl_measure_plan_create(const nl_study *study, const nl_dataset_info *images,
                                               nl_measure_plan **out);
void nl_measure_plan_destroy(nl_measure_plan **plan);

/** Samples of the probe that a kernel is of, its first ones; rows of its matrix.  Pure. */
int nl_measure_samples(const nl_measure_plan *plan, int kernel);
int nl_measure_order(const nl_measure_plan *plan, int kernel);

/** "full", of a prefix of the probe "full@500": no two kernels of a plan have the same. */
enum { nl_measure_name_size = 48 };
const char *nl_measure_name(const nl_measure_plan *plan, int kernel,
                            char out[nl_measure_name_size]);

/** Kind of its network. */
nl_net_kind nl_cell_kind(const nl_cell *cell);

/** Does each network fit the images?  Local.  NL_ERR_STUDY with one line that names the key: sides
 *  halved to nothing, images without positions, sizes beyond reason. */
NL_MUST_CHECK nl_status nl_study_check_networks(const nl_study *study, const nl_cell *cells,
                                                int count, const nl_dataset_info *info);

/** Network of a cell. */
nl_net_spec nl_cell_net_spec(const nl_cell *cell, const nl_dataset_info *info);

/** Training of a cell. */
nl_train_spec nl_cell_train_spec(const nl_cell *cell);

/** When a training is evaluated, and how long it goes on without getting better. */
typedef struct nl_evaluation_spec {
    int per_decade;         /* evaluations, log-spaced */
    double stop_after_best; /* as training.stop_after_best */
} nl_evaluation_spec;

nl_evaluation_spec nl_cell_evaluation_spec(const nl_cell *cell);

/** Make it a cell of another length of training, or width: what its values say, and (length) its
 *  name. */
void nl_cell_set_max_steps(const nl_study *study, nl_cell *cell, long max_steps);
void nl_cell_set_width(nl_cell *cell, int width);

/** Do networks differ in width, data and seed at most?  In what trains them at most (same width)?
 *  Pure. */
bool nl_cell_same_kind(const nl_cell *a, const nl_cell *b);
bool nl_cell_same_start(const nl_cell *a, const nl_cell *b);

/** "width 8, depth 2": what tells its network from others of the study, but for data, seed and
 *  learning rate. */
const char *nl_cell_name_network(const nl_study *study, const nl_cell *cell, char out[256]);

/** Most states on a log grid that any study can ask for have so many a decade. */
int nl_most_steps_per_decade(void);

/** Samples of a step: batch_size, or the whole subset where that is smaller or asked for. */
int nl_cell_batch(const nl_cell *cell);

/** Make it.  Local.  Free with nl_net_destroy(). */
NL_MUST_CHECK nl_status nl_cell_net_create(const nl_cell *cell, const nl_dataset_info *info,
                                           nl_net **out);

/** Names of these facts in the provenance of study.yaml; the first is an attribute of cells, too.
 */
#define NL_FACT_FINGERPRINT "data_fingerprint"
#define NL_FACT_REMARKS     "data_remarks"

/** Has a text, of a stranger perhaps, the form of one?  Pure. */
bool nl_images_is_fingerprint(const char *text);

#endif
