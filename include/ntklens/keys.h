/** @file keys.h  The keys of the study file, their values, and how both are written: one table
 * (study/keys.c) describes every key; parser, `ntklens keys`, resolved study.yaml and the key
 * columns of results.csv are made from it. */
#ifndef NTKLENS_KEYS_H
#define NTKLENS_KEYS_H

#include "ntklens/base.h"

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
    NL_KEY_STAGES,
    NL_KEY_CHANNEL_GROWTH,
    NL_KEY_KERNEL_SIZE,
    NL_KEY_DOWNSAMPLING,
    NL_KEY_POOL_LAST,
    NL_KEY_HEAD,
    NL_KEY_DENSE_MULTIPLE,
    NL_KEY_NORMALIZATION,
    NL_KEY_BRANCH_SCALE,
    NL_KEY_BIASES,
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
    NL_KEY_SHARE_CORES,
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
    NL_KEY_METHOD,
    NL_KEY_RELATIVE_ERROR,
    NL_KEY_EXACT_OPERATIONS,
    NL_KEY_PROBE_PREFIXES,
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
    const char *refused, *reason; /* CHOICE: the beginning of words that are no choice though others
                                     have it, and why; NULL: none */
    double min, max;
    bool min_open, max_open; /* is the limit itself outside? */
    unsigned kinds; /* of networks that it is a key of, bits 1 << nl_net_kind; 0: of all.  A cell of
                       another kind has no value of it, in its hash neither */
    bool late;      /* its column stands behind all others */
    bool added;     /* it came when there were finished cells: its default enters no hash */
    bool repeats;   /* LIST: values may be the same */
    const char *help; /* one sentence, with the unit */
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

/** A value in its one spelling (results table, hashes, resolved file; texts there in quotes): a
 *  word, or digits in `buffer`. */
const char *nl_scalar_text(const nl_key_info *info, const nl_scalar *value, char buffer[32]);

/** Order of an axis: numbers upward, then words. */
int nl_scalar_compare(const nl_scalar *a, const nl_scalar *b);

/** Is one of the values this one? */
bool nl_values_hold(const nl_values *values, const nl_scalar *value);

/** All of them, in their one spelling, with commas between. */
void nl_values_append(nl_text *text, const nl_key_info *info, const nl_values *values);

#endif
