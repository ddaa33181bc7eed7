/** @file study.h  What is asked: the study, its grid of cells, typed specifications. */
#ifndef NTKLENS_STUDY_H
#define NTKLENS_STUDY_H

#include "ntklens/base.h"
#include "ntklens/data.h"
#include "ntklens/keys.h"
#include "ntklens/ntk.h"
#include "ntklens/par.h"

/*---------------------------------------------------------------------------------------------
 * Keys: one table (keys.c) describes every key of the study file; the parser, `ntklens keys`, the
 * resolved study.yaml and the key columns of results.csv are made from it
 *-------------------------------------------------------------------------------------------*/

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
    int kernels;
    nl_kernel_spec *kernel; /* owned */
    int per_decade;         /* log-spaced measurements; 0: none */
    int at_steps, at_losses;
    long *at_step;   /* owned; ascending */
    double *at_loss; /* owned; as given */
    bool validated;  /* `best` is chosen on the validation loss */
    int samples;     /* probe */
    int classes;
    int regression_train, regression_test; /* images of kernel regressions at most; 0: none */
    double ridge;
    nl_precision precision;
    bool auxiliary_full;   /* spectra of related kernels: of full and class kernels */
    bool auxiliary_traced; /* of traced ones */
    bool eigenvectors;
} nl_measure_plan;
NL_MUST_CHECK nl_status nl_measure_plan_create(const nl_study *study, int outputs,
                                               nl_measure_plan **out);
void nl_measure_plan_destroy(nl_measure_plan **plan);

/** Network of a cell. */
nl_net_spec nl_cell_net_spec(const nl_cell *cell, const nl_dataset_info *info);

/** Training of a cell. */
nl_train_spec nl_cell_train_spec(const nl_cell *cell);

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
