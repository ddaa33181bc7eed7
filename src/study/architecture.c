/** @file architecture.c  Keys of kinds of networks: what `auto` means, which networks fit images.
 */
#include "architecture.h"
#include "keys.h"

#include <math.h>
#include <string.h>

nl_net_kind nl_cell_kind(const nl_cell *cell)
{
    return (nl_net_kind)cell->value[NL_KEY_KIND].number;
}

bool nl_study_is_convolutional(const nl_study *study)
{
    return nl_study_is(study, NL_KEY_KIND, "cnn") || nl_study_is(study, NL_KEY_KIND, "resnet");
}

bool nl_key_concerns(const nl_study *study, nl_key key)
{
    const nl_values *kinds = &study->value[NL_KEY_KIND];

    for (int k = 0; k < kinds->count; k++) {
        if (nl_key_applies(key, (nl_net_kind)kinds->item[k].number)) {
            return true;
        }
    }
    return false;
}

nl_scalar nl_value_of_kind(nl_key key, nl_net_kind kind, const nl_scalar *value)
{
    static const nl_scalar average_pool = {.number = 1.0 + NL_AVERAGE_POOLING,
                                           .word = "average-pool"};
    static const nl_scalar stride = {.number = 1.0 + NL_STRIDE, .word = "stride"};
    const bool resolves = value->word != NULL && strcmp(value->word, "auto") == 0;

    if (!nl_key_applies(key, kind)) {
        return (nl_scalar){.number = NAN, .word = ""};
    }
    if (key == NL_KEY_CHANNEL_GROWTH && resolves) {
        return (nl_scalar){.number = kind == NL_RESNET ? 2.0 : 1.0};
    }
    if (key == NL_KEY_DOWNSAMPLING && resolves) {
        return kind == NL_RESNET ? stride : average_pool;
    }
    return *value;
}

/*---------------------------------------------------------------------------------------------
 * Networks
 *-------------------------------------------------------------------------------------------*/

static int whole(const nl_cell *cell, nl_key key)
{
    return (int)cell->value[key].number;
}

nl_convolutional_spec nl_cell_convolutional_spec(const nl_cell *cell, const nl_dataset_info *info)
{
    const nl_scalar *branch = &cell->value[NL_KEY_BRANCH_SCALE];
    nl_convolutional_spec spec = {0};

    if (nl_cell_kind(cell) == NL_MLP) {
        return spec;
    }
    spec = (nl_convolutional_spec){
        .image = {.height = info->height, .width = info->width, .channels = info->channels},
        .stages = nl_smaller(cell->stages->count, nl_most_stages),
        .channel_growth = whole(cell, NL_KEY_CHANNEL_GROWTH),
        .kernel_size = whole(cell, NL_KEY_KERNEL_SIZE),
        .downsampling = (nl_downsampling)(whole(cell, NL_KEY_DOWNSAMPLING) - 1), /* behind auto */
        .pool_last = cell->value[NL_KEY_POOL_LAST].number > 0.0,
        .head = (nl_head)whole(cell, NL_KEY_HEAD),
        .dense_multiple = whole(cell, NL_KEY_DENSE_MULTIPLE),
        .normalization = (nl_normalization)whole(cell, NL_KEY_NORMALIZATION),
        .branch_scale = branch->word != NULL ? 0.0 : branch->number,
        .biases = cell->value[NL_KEY_BIASES].number > 0.0,
    };
    for (int k = 0; k < spec.stages; k++) {
        spec.blocks[k] = (int)cell->stages->item[k].number;
    }
    return spec;
}

/* Sides behind all stages: pools floor, strides of padded convolutions round up. */
static nl_shape final_shape(const nl_convolutional_spec *spec, double channels)
{
    const int halvings = spec->stages - 1 + spec->pool_last;
    nl_shape shape = spec->image;

    for (int k = 0; k < halvings; k++) {
        shape.height = (shape.height + (spec->downsampling == NL_STRIDE)) / 2;
        shape.width = (shape.width + (spec->downsampling == NL_STRIDE)) / 2;
    }
    shape.channels = (int)fmin(channels, nl_most_channels);
    return shape;
}

static double blocks_of(const nl_convolutional_spec *spec, int depth)
{
    double blocks = 0.0;

    for (int k = 0; k < spec->stages; k++) {
        blocks += (double)depth * spec->blocks[k];
    }
    return blocks;
}

static nl_status check_sizes(const nl_study *study, const nl_cell *cell,
                             const nl_convolutional_spec *spec, nl_shape last)
{
    const double channels = cell->width * pow(spec->channel_growth, spec->stages - 1);
    const double units = (double)cell->width * spec->dense_multiple;
    const double features = (double)last.height * last.width * last.channels;
    char stages[48];

    if (channels > nl_most_channels) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: model.channel_growth: width %d grows to %.3g channels in %s: at "
                       "most %d",
                       study->file, cell->width, channels,
                       nl_format_count(spec->stages, "stage", stages), nl_most_channels);
    }
    if (units > nl_most_channels ||
        (spec->head == NL_FLATTEN_HEAD && features > nl_most_features)) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: model.%s: a dense layer of %.3g inputs and %.3g units: at most %d and "
                       "%d",
                       study->file, units > nl_most_channels ? "dense_multiple" : "head",
                       spec->head == NL_FLATTEN_HEAD ? features : (double)last.channels, units,
                       nl_most_features, nl_most_channels);
    }
    if (blocks_of(spec, cell->depth) > nl_most_blocks) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: model.stages: %.0f convolutions or blocks of depth %d: at most %d",
                       study->file, blocks_of(spec, cell->depth), cell->depth, nl_most_blocks);
    }
    return NL_OK;
}

static nl_status check_network(const nl_study *study, const nl_cell *cell,
                               const nl_dataset_info *info)
{
    const nl_convolutional_spec spec = nl_cell_convolutional_spec(cell, info);
    const double channels = cell->width * pow(spec.channel_growth, spec.stages - 1);
    char pools[48];
    char stages[48];
    nl_shape last;

    if (nl_cell_kind(cell) == NL_MLP) {
        return NL_OK;
    }
    if (info->height < 2 && info->width < 2) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: model.kind: a %s convolves images, and those of this source have no "
                       "positions (%d x %d x %d): only mlp takes them",
                       study->file, nl_net_kind_name(nl_cell_kind(cell)), info->channels,
                       info->height, info->width);
    }
    last = final_shape(&spec, channels);
    if (last.height < 1 || last.width < 1) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: model.stages: %s between %s%s would halve images of %d x %d to "
                       "nothing: fewer stages were expected, or downsampling: stride",
                       study->file,
                       nl_format_count(spec.stages - 1 + spec.pool_last, "pool", pools),
                       nl_format_count(spec.stages, "stage", stages),
                       spec.pool_last ? " and behind the last" : "", info->height, info->width);
    }
    return check_sizes(study, cell, &spec, last);
}

nl_status nl_study_check_networks(const nl_study *study, const nl_cell *cells, int count,
                                  const nl_dataset_info *info)
{
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < count; k++) {
        status = check_network(study, &cells[k], info);
    }
    return status;
}
