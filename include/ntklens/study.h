/** @file study.h  The study: its keys, its grid of cells, and the run that trains and measures
 * them. */
#ifndef NTKLENS_STUDY_H
#define NTKLENS_STUDY_H

#include "ntklens/base.h"
#include "ntklens/par.h"

/*---------------------------------------------------------------------------------------------
 * Keys: one table (keys.c) describes every key of the study file; the parser, `ntklens keys`, the
 * resolved study.yaml and the key columns of results.csv are made from it
 *-------------------------------------------------------------------------------------------*/

/** Order of the study file in the docs, of `ntklens keys` and of the resolved file. */
typedef enum nl_key {
    NL_KEY_STUDY,
    NL_KEY_SOURCE,
    NL_KEY_PATH,
    NL_KEY_TRAIN_SIZES,
    NL_KEY_DATA_SEED,
    NL_KEY_SUBSET,
    NL_KEY_TEST_SIZE,
    NL_KEY_PROBE_SIZE,
    NL_KEY_PROBE_FROM,
    NL_KEY_VALIDATION_SIZE,
    NL_KEY_STANDARDIZE,
    NL_KEY_LABEL_NOISE,
    NL_KEY_KIND,
    NL_KEY_WIDTHS,
    NL_KEY_DEPTHS,
    NL_KEY_ACTIVATION,
    NL_KEY_PARAMETRIZATION,
    NL_KEY_BASE_WIDTH,
    NL_KEY_WEIGHT_VARIANCE,
    NL_KEY_BIAS_VARIANCE,
    NL_KEY_LOSS,
    NL_KEY_OPTIMIZER,
    NL_KEY_LEARNING_RATE,
    NL_KEY_MOMENTUM,
    NL_KEY_WEIGHT_DECAY,
    NL_KEY_SCHEDULE,
    NL_KEY_BATCH_SIZE,
    NL_KEY_STOP_AFTER_BEST,
    NL_KEY_MAX_STEPS,
    NL_KEY_EVALUATIONS_PER_DECADE,
    NL_KEY_SEEDS,
    NL_KEY_KERNELS,
    NL_KEY_AT_STEPS,
    NL_KEY_AT_TRAIN_LOSS,
    NL_KEY_STEPS_PER_DECADE,
    NL_KEY_AUXILIARY_SPECTRA,
    NL_KEY_EIGENVECTORS,
    NL_KEY_REGRESSION_TRAIN,
    NL_KEY_REGRESSION_TEST,
    NL_KEY_REGRESSION_RIDGE,
    NL_KEY_INFINITE,
    NL_KEY_PRECISION,
    NL_KEY_SOLVER,
    NL_KEY_TEAM_SIZE,
    NL_KEY_MEMORY_PER_RANK,
    NL_KEY_SNAPSHOTS,
    NL_KEY_SPECTRA,
    NL_KEY_OUTPUT_KERNELS,
    NL_KEY_CHECKPOINT_EVERY,
    NL_KEY_COUNT
} nl_key;

typedef enum nl_affects {
    NL_AFFECTS_NOTHING,
    NL_AFFECTS_TRAINING,
    NL_AFFECTS_MEASUREMENT,
    NL_AFFECTS_EXECUTION
} nl_affects;

typedef enum nl_key_type {
    NL_TYPE_TEXT,   /* any string */
    NL_TYPE_CHOICE, /* one of `choices`; number = its index */
    NL_TYPE_BOOL,   /* number 0 or 1 */
    NL_TYPE_INT,    /* whole number in [min, max], or one of `choices` */
    NL_TYPE_REAL,   /* finite number from min to max, or one of `choices` */
    NL_TYPE_BYTES,  /* "4G", "4GiB" (powers of 1024), "500MB" (of 1000), or one of `choices`; number
                       in bytes */
} nl_key_type;

typedef enum nl_key_shape {
    NL_SHAPE_SCALAR, /* one value */
    NL_SHAPE_AXIS, /* one value, a list of distinct values or a range {from, to, factor | step}: an
                      axis of the grid */
    NL_SHAPE_LIST, /* a list (or one value, or a range), not an axis */
} nl_key_shape;

/** One row of the key table. */
typedef struct nl_key_info {
    const char *path;   /* "training.learning_rate", "measure.at.steps" */
    const char *column; /* its column in results.csv, NULL: none.  (learning_rate, n_train, ...) */
    nl_key_type type;
    nl_key_shape shape;
    nl_affects affects;
    const char *fallback; /* the default, as YAML text; NULL: no default, the key must be given */
    const char *example;  /* a value, as YAML text, shown where a key without default is missing */
    const char *choices;  /* CHOICE: words separated by '|'; INT, REAL, BYTES: words accepted beside
                             numbers */
    double min, max;
    bool min_open, max_open; /* is the limit itself outside? */
    const char *help;        /* one sentence, with the unit */
} nl_key_info;

/** Row of a key.  Pure. */
const nl_key_info *nl_key_describe(nl_key key);

/** Print the table for people (`ntklens keys`). */
void nl_keys_print(FILE *stream);

/** A value: a number, a word, or (choices) both. */
typedef struct nl_scalar {
    double number; /* INT, REAL, BYTES: the value, NaN where a word stands; CHOICE: index; BOOL: 0,
                      1 */
    const char *word; /* TEXT, CHOICE, and words beside numbers ("full", "auto"); else NULL */
} nl_scalar;

typedef struct nl_values {
    int count;
    nl_scalar *item; /* owned by the study */
} nl_values;

/** A resolved study: every key has its values.  Owns them. */
typedef struct nl_study {
    char *file;                    /* owned: path of the study file, as given */
    nl_values value[NL_KEY_COUNT]; /* axes and lists: in the order given */
    /** Of a resolved file: what it says of the images it was run on, nl_dataset_fingerprint() and
     *  nl_dataset_remarks(); NULL where it does not. */
    const char *fingerprint, *remarks;
    struct nl_study_store *store; /* owned: memory of the words */
} nl_study;

/** Bytes of a study file at most: no grid that anyone writes down comes near. */
enum { nl_study_file_limit = 4 << 20 };

/**
 * Parse and check a study file; complaints are printed all together, one line each, with
 * file:line:column.  Local: the same bytes give the same study on every rank.
 *
 * @param[in] file  name for messages and base of relative paths
 * @param[in] sets  [set_count] texts `key=value` of --set, value as YAML; they win over the file, a
 * later one over an earlier one, and are checked alike, their place being "--set key=value"
 * @param[in] quiet do not print complaints (ranks other than the root)
 * @return NL_ERR_STUDY where anything was wrong
 */
NL_MUST_CHECK nl_status nl_study_parse(const char *file, const char *text, size_t length,
                                       int set_count, const char *const sets[], bool quiet,
                                       nl_study **out);
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

/** The resolved study of a results folder, with these overrides; NULL where it holds no study.yaml.
 */
NL_MUST_CHECK nl_status nl_study_in(const char *folder, int set_count, const char *const sets[],
                                    nl_study **study);

/*---------------------------------------------------------------------------------------------
 * Cells: the grid
 *-------------------------------------------------------------------------------------------*/

/** One network to train: a point of the grid. */
typedef struct nl_cell {
    char id[64]; /* "w64-d2-n512-s0-" and 12 hexadecimal digits of the training hash */
    int width, depth, n_train;
    uint32_t seed;
    nl_scalar value[NL_KEY_COUNT]; /* axes: this cell's value; scalars: the study's; words borrowed
                                      from the study */
    const char *fingerprint; /* of its images, borrowed; NULL: not known.  Not part of a hash: the
                                same images lie elsewhere on another machine */
} nl_cell;

/** All cells of a study in the order of the results table: width, depth, n_train, other axes (in
 * key order, by value), seed.  Their fingerprint is what the study knows.  cells: owned by the
 * caller, free(); borrows words of the study. */
NL_MUST_CHECK nl_status nl_study_cells(const nl_study *study, nl_cell **cells, int *count);

/** Hash (FNV-1a, 64 bits) of everything in the cell that is of kind `affects`: lines "path=value\n"
 *  in key order, reals by nl_format_double(), lists with commas.  Finished work is found by it, so
 *  that a new key, or a new default, of that kind makes older results be computed anew.  Pure. */
uint64_t nl_cell_hash(const nl_study *study, const nl_cell *cell, nl_affects affects);

/** Name the cell by its values: sets id. */
void nl_cell_identify(const nl_study *study, nl_cell *cell);

/** The same as 16 hexadecimal digits; out holds 32 bytes. */
void nl_cell_hash_text(const nl_study *study, const nl_cell *cell, nl_affects affects,
                       char out[32]);

/** Log-spaced steps: unique round(10^(k/per_decade)) from 1 to at most max_steps.  steps: free().
 */
NL_MUST_CHECK nl_status nl_log_steps(int per_decade, long max_steps, long **steps, int *count);

/*---------------------------------------------------------------------------------------------
 * Run
 *-------------------------------------------------------------------------------------------*/

typedef struct nl_run_options {
    const char *folder; /* results go here */
    bool fresh;         /* move earlier results aside */
    bool quiet;         /* no progress */
    /** Polled on every rank's service thread, about every 50 ms.  Non-zero: all ranks stop early.
     */
    int (*stop_wanted)(void *context, double reserve);
    /** Seconds left before the job is ended from outside, once all were asked to stop for `reason`.
     */
    double (*time_left)(void *context, int reason);
    void *stop_context; /* borrowed */
    const char
        *stop_file; /* borrowed; removed when the run begins and when it ends: one that an earlier
                       run left is not meant for this one, one that was obeyed has done its work */
} nl_run_options;

/**
 * Train and measure every cell that is not finished yet, and leave the results folder as
 * the README's section "Results" says.  Nothing is written before the study and the headers of its
 * data are known to be good.  Collective over the team.
 *
 * @return NL_STOPPED where work is left; NL_ERR_NUMERIC where a spectrum could not be had, all else
 *         being saved; the same on every rank
 */
NL_MUST_CHECK nl_status nl_study_run(const nl_study *study, const nl_run_options *options,
                                     const nl_team *team);

/*---------------------------------------------------------------------------------------------
 * Plan, status, merge: Local, on one process
 *-------------------------------------------------------------------------------------------*/

typedef struct nl_plan_options {
    int ranks;              /* 0: one, or as few as memory_per_rank allows */
    double memory_per_rank; /* bytes; 0: what this machine would give */
    const char *timings;    /* timings.csv of an earlier run; NULL: rates are measured here */
    bool json;
} nl_plan_options;

/**
 * Say what a run of the study would need, without running it: cells, kernels, memory, time, files.
 * Writes nothing but to `stream`.  Needs MPI, on one process.
 */
NL_MUST_CHECK nl_status nl_study_plan(const nl_study *study, const nl_plan_options *options,
                                      FILE *stream);

/** "4G", "500MB": a size as in the study file. */
bool nl_bytes_parse(const char *text, double *bytes);

/**
 * Say where the study in a results folder stands.  Reads only; loads no images.
 *
 * @return NL_ERR_USAGE where the folder holds no study
 */
NL_MUST_CHECK nl_status nl_study_status(const char *folder, bool json, FILE *stream);

/**
 * Unite finished cells of several results folders whose studies differ only in axes of the grid, as
 * one run over the united grid would leave them.  What `out` holds already takes part.
 *
 * @return NL_ERR_STUDY, the keys being named, where the studies differ otherwise; NL_ERR_DATA where
 * one cell has two results
 */
NL_MUST_CHECK nl_status nl_study_merge(const char *out, int count, const char *const folders[]);

typedef struct nl_report_options {
    int count; /* of the folders, at least one */
    const char *const
        *folders;     /* [count]: their results.csv and study.yaml are read, and no more */
    const char *out;  /* folder for summary.md, fits.csv, robustness.csv, transition.csv; created */
    double threshold; /* of the kernel distance, for the transition */
} nl_report_options;

/**
 * Fit power laws to the tables of one or several results folders, say what may be concluded, and
 * write both.
 *
 * @return NL_ERR_USAGE where a folder holds no results.csv; NL_ERR_DATA, with file:line, where a
 * table is broken; NL_ERR_STUDY where a study.yaml is
 */
NL_MUST_CHECK nl_status nl_study_report(const nl_report_options *options, FILE *stream);

/**
 * Check the machine the team runs on, and what of it to change: cores, memory, BLAS and its speed,
 * every eigensolver against known eigenvalues.  The root prints.  Collective over the team.
 *
 * @return NL_ERR_NUMERIC where a solver is wrong
 */
NL_MUST_CHECK nl_status nl_doctor(const nl_team *team, bool json, FILE *stream);

/** Print the columns of results.csv with their meaning (`ntklens keys --columns`). */
void nl_columns_print(FILE *stream);

#endif
