/** @file cell_files.h  cells/<id>.h5 and checkpoints: the file of one cell. */
#ifndef NTKLENS_CELL_FILES_H
#define NTKLENS_CELL_FILES_H

#include "ntklens/record.h"

/** What is stored beside the result. */
typedef struct nl_cell_context {
    const nl_study *study;
    const nl_cell *cell;
    const nl_net *net;
    const nl_measure_plan *plan;
    const nl_continuation *continuation; /* NULL: the cell cannot go on */
    bool unfinished;    /* a checkpoint: every snapshot there is, and the continuation */
    const float *probe; /* [plan->samples x inputs] */
    const int *probe_labels;
    int train, test, validation; /* sizes */
    const int *train_index, *test_index, *validation_index,
        *probe_index;         /* in the original files */
    const int *train_labels;  /* with label noise */
    const double *mean, *std; /* [channels] */
    int channels;
} nl_cell_context;

/** The file as an image, free(). */
NL_MUST_CHECK nl_status nl_cell_file_image(const nl_record *record, const nl_cell_context *context,
                                           unsigned char **image, size_t *length);

/** What to read of a cell's file. */
enum {
    NL_READ_MEASUREMENTS =
        1,              /* kernels' observables; the file must have been made under this plan */
    NL_READ_ARRAYS = 2, /* their spectra and matrices */
    NL_READ_THETA = 4,  /* snapshots */
};

/** What a cell's file is expected to hold.  All borrowed. */
typedef struct nl_cell_expected {
    const nl_study *study;
    const nl_cell *cell;
    const nl_net *net; /* NULL where neither snapshots nor the continuation are read */
    const nl_measure_plan *plan;
    int what; /* to read: sum of the above */
} nl_cell_expected;

/**
 * Read a cell's file back.
 *
 * @param[out] continuation  NULL where it is not read
 * @return NL_ERR_DAMAGED where something is missing or belongs to another cell; NL_ERR_OUTDATED
 *         where another version of the format wrote it; NL_ERR_STUDY,
 *         silently, where the file was measured under another plan; NL_ERR_OTHER_DATA where it was
 *         made from images other than the cell's
 */
NL_MUST_CHECK nl_status nl_cell_file_read(const unsigned char *image, size_t length,
                                          const nl_cell_expected *expected, nl_record **out,
                                          nl_continuation *continuation);

/** The images that a cell's file, of `limit` bytes at most, was made from: "" where it carries no
 *  fingerprint. */
NL_MUST_CHECK nl_status nl_cell_file_fingerprint(const char *path, size_t limit,
                                                 char out[nl_fingerprint_width]);

/** File of a cell in a results folder; below: "cells", "checkpoints", "checkpoints/previous".
 *  NULL: out of memory.  free(). */
char *nl_cell_path(const char *results, const char *below, const nl_cell *cell);

/**
 * Read the measurements of a finished cell, if its file serves the present study as it is.
 *
 * @param[out] out  NULL where it does not
 * @param[out] why  in words why it does not; NULL where it does
 * @return NL_ERR_NUMERIC where a spectrum is missing, NL_ERR_STUDY where other measurements were
 *         asked for, NL_ERR_OTHER_DATA, told, where it was made from other images, others where it
 *         cannot be read or belongs to another cell
 */
NL_MUST_CHECK nl_status nl_cell_file_read_finished(const char *path, const nl_study *study,
                                                   const nl_cell *cell, const nl_measure_plan *plan,
                                                   nl_record **out, const char **why);

/**
 * Bytes that the file of a cell may have: several times what the present plan makes of it with all
 * that a study can keep, or a quarter of the machine's memory if that is more, for other plans kept
 * more.  What is larger is not read: it would end as "out of memory" each time.
 */
size_t nl_cell_file_limit(const nl_cell *cell, const nl_measure_plan *plan);

#endif
