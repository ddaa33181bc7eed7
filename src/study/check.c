/** @file check.c  What keys say together: missing ones, contradictions, a grid beyond reason. */
#include "check.h"
#include "architecture.h"
#include "keys.h"

#include <math.h>

/* Most cells of a grid: each needs a file and a training. */
static const double most_cells = 1e5;

void nl_reading_check_missing(nl_reading *reading)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (info->fallback == NULL && !reading->given[key]) {
            nl_reading_complain(reading, reading->place[key], info->path,
                                "missing; %s  For example %s: %s", info->help,
                                nl_path_last(info->path), info->example);
        }
    }
}

static double extreme(const nl_values *values, double sign)
{
    double most = values->item[0].number;

    for (int k = 1; k < values->count; k++) {
        most = sign * values->item[k].number > sign * most ? values->item[k].number : most;
    }
    return most;
}

static void check_probe(nl_reading *reading)
{
    const nl_study *study = reading->study;
    nl_key blamed = reading->given[NL_KEY_PROBE_SIZE] ? NL_KEY_PROBE_SIZE : NL_KEY_PROBE_FROM;

    if (reading->sound[NL_KEY_PROBE_FROM] && reading->sound[NL_KEY_PROBE_SIZE] &&
        reading->sound[NL_KEY_TRAIN_SIZES] && nl_study_is(study, NL_KEY_PROBE_FROM, "train")) {
        double probe = nl_study_number(study, NL_KEY_PROBE_SIZE);
        double least = extreme(&study->value[NL_KEY_TRAIN_SIZES], -1.0);

        if (probe > least) {
            nl_reading_complain(reading, reading->place[blamed], nl_key_describe(blamed)->path,
                                "a probe of %.0f images does not fit in the smallest training set "
                                "(%.0f), from which probe_from: train draws it",
                                probe, least);
        }
    }
}

static void check_steps(nl_reading *reading)
{
    const nl_values *steps = &reading->study->value[NL_KEY_AT_STEPS];

    if (reading->sound[NL_KEY_AT_STEPS] && reading->sound[NL_KEY_MAX_STEPS] && steps->count > 0) {
        double last = extreme(steps, 1.0);
        double most = extreme(&reading->study->value[NL_KEY_MAX_STEPS], 1.0);

        if (last > most) {
            nl_reading_complain(
                reading, reading->place[NL_KEY_AT_STEPS], nl_key_describe(NL_KEY_AT_STEPS)->path,
                "step %.0f is never reached: training.max_steps is %.0f", last, most);
        }
    }
}

/* Each is a part of the next, the last of the probe. */
static void check_prefixes(nl_reading *reading)
{
    const nl_values *prefixes = &reading->study->value[NL_KEY_PROBE_PREFIXES];
    const char *path = nl_key_describe(NL_KEY_PROBE_PREFIXES)->path;
    const double probe = reading->sound[NL_KEY_PROBE_SIZE]
                             ? nl_study_number(reading->study, NL_KEY_PROBE_SIZE)
                             : INFINITY;

    for (int k = 0; reading->sound[NL_KEY_PROBE_PREFIXES] && k < prefixes->count; k++) {
        const double prefix = prefixes->item[k].number;

        if (k > 0 && prefix < prefixes->item[k - 1].number) {
            nl_reading_complain(reading, reading->place[NL_KEY_PROBE_PREFIXES], path,
                                "%.0f after %.0f: rising numbers were expected", prefix,
                                prefixes->item[k - 1].number);
            return;
        }
        if (prefix >= probe) {
            nl_reading_complain(reading, reading->place[NL_KEY_PROBE_PREFIXES], path,
                                "the first %.0f images of a probe of %.0f (data.probe_size): fewer "
                                "than that were expected",
                                prefix, probe);
            return;
        }
    }
}

static void check_grid(nl_reading *reading)
{
    double cells = 1.0;
    int longest = NL_KEY_SEEDS;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_values *values = &reading->study->value[key];

        if (nl_key_describe((nl_key)key)->shape == NL_SHAPE_AXIS && reading->sound[key]) {
            cells *= values->count;
            if (values->count > reading->study->value[longest].count) {
                longest = key;
            }
        }
    }
    if (cells > most_cells) {
        nl_reading_complain(
            reading, reading->place[longest], nl_key_describe((nl_key)longest)->path,
            "the grid has %.0f cells, the product of all axes: at most %.0f", cells, most_cells);
    }
}

static void check_path(nl_reading *reading)
{
    const nl_study *study = reading->study;
    const nl_key blamed = reading->given[NL_KEY_PATH] ? NL_KEY_PATH : NL_KEY_SOURCE;

    if (reading->sound[NL_KEY_SOURCE] && reading->sound[NL_KEY_PATH] &&
        nl_study_is(study, NL_KEY_SOURCE, "hdf5") && nl_study_word(study, NL_KEY_PATH)[0] == '\0') {
        nl_reading_complain(reading, reading->place[blamed], nl_key_describe(NL_KEY_PATH)->path,
                            "missing; source: hdf5 needs the file.  For example path: images.h5");
    }
}

/*---------------------------------------------------------------------------------------------
 * Convolutional networks
 *-------------------------------------------------------------------------------------------*/

static void check_stages(nl_reading *reading)
{
    const nl_values *stages = &reading->study->value[NL_KEY_STAGES];

    if (reading->sound[NL_KEY_STAGES] && stages->count > nl_most_stages) {
        nl_reading_complain(reading, reading->place[NL_KEY_STAGES],
                            nl_key_describe(NL_KEY_STAGES)->path, "%d stages: at most %d",
                            stages->count, nl_most_stages);
    }
}

static void check_kernel_size(nl_reading *reading)
{
    const nl_values *sizes = &reading->study->value[NL_KEY_KERNEL_SIZE];

    for (int k = 0; reading->sound[NL_KEY_KERNEL_SIZE] && k < sizes->count; k++) {
        const double size = sizes->item[k].number;

        if (fmod(size, 2.0) == 0.0) {
            nl_reading_complain(reading, reading->place[NL_KEY_KERNEL_SIZE],
                                nl_key_describe(NL_KEY_KERNEL_SIZE)->path,
                                "an odd number was expected, this is %.0f: an even kernel has no "
                                "middle, so images would not keep their sides",
                                size);
            return;
        }
    }
}

static bool are_sound(const nl_reading *reading, nl_key a, nl_key b)
{
    return reading->sound[NL_KEY_KIND] && reading->sound[a] && reading->sound[b];
}

static bool holds(const nl_study *study, nl_key key, double number)
{
    return nl_values_hold(&study->value[key], &(nl_scalar){.number = number});
}

static void check_pool_last(nl_reading *reading)
{
    const nl_study *study = reading->study;
    const bool strides = nl_study_is(study, NL_KEY_DOWNSAMPLING, "stride") ||
                         (nl_study_is(study, NL_KEY_KIND, "resnet") &&
                          nl_study_is(study, NL_KEY_DOWNSAMPLING, "auto"));

    if (are_sound(reading, NL_KEY_POOL_LAST, NL_KEY_DOWNSAMPLING) && strides &&
        nl_study_is_convolutional(study) && holds(study, NL_KEY_POOL_LAST, 1.0)) {
        nl_reading_complain(reading, reading->place[NL_KEY_POOL_LAST],
                            nl_key_describe(NL_KEY_POOL_LAST)->path,
                            "with downsampling: stride (auto of resnet) there is no pool to stand "
                            "behind the last stage: false, average-pool or max-pool was expected");
    }
}

static void check_biases(nl_reading *reading)
{
    const nl_study *study = reading->study;

    if (are_sound(reading, NL_KEY_BIASES, NL_KEY_BIAS_VARIANCE) &&
        nl_study_is_convolutional(study) && holds(study, NL_KEY_BIASES, 0.0) &&
        extreme(&study->value[NL_KEY_BIAS_VARIANCE], 1.0) > 0.0) {
        nl_reading_complain(reading, reading->place[NL_KEY_BIASES],
                            nl_key_describe(NL_KEY_BIASES)->path,
                            "biases: false and bias_variance %g contradict each other: "
                            "bias_variance: 0 was expected",
                            extreme(&study->value[NL_KEY_BIAS_VARIANCE], 1.0));
    }
}

void nl_reading_check(nl_reading *reading)
{
    check_path(reading);
    check_stages(reading);
    check_kernel_size(reading);
    check_pool_last(reading);
    check_biases(reading);
    check_probe(reading);
    check_prefixes(reading);
    check_steps(reading);
    check_grid(reading);
}
