/** @file splits.c  Test, validation and probe sets, training subsets. */
#include "ntklens/splits.h"

#include <stdlib.h>

bool nl_probe_depends_on_seed(const nl_split_spec *spec)
{
    return spec->probe_from_train && spec->subset_per_seed;
}

double nl_probe_bytes(const nl_split_spec *spec, const nl_dataset_info *info)
{
    return (double)sizeof(float) * spec->probe * info->inputs;
}

/* Images of the test file that are the probe. */
static int probe_of_test(const nl_split_spec *spec)
{
    return spec->probe_from_train ? 0 : spec->probe;
}

nl_status nl_splits_check(const nl_split_spec *spec, const nl_dataset_info *info)
{
    const char *source = nl_source_name(info->source);
    const int probe = probe_of_test(spec);
    char images[48];

    if (spec->largest_train > info->train_count) {
        return NL_FAIL(NL_ERR_STUDY, "%s: data.train_sizes: %d is more than the %s of %s",
                       spec->file, spec->largest_train,
                       nl_format_count(info->train_count, "training image", images), source);
    }
    if ((double)spec->test + spec->validation + probe > info->test_count) {
        return NL_FAIL(
            NL_ERR_STUDY,
            "%s: data.test_size %d + data.validation_size %d + data.probe_size %d is more than "
            "the %s of %s; make one of them smaller",
            spec->file, spec->test, spec->validation, probe,
            nl_format_count(info->test_count, "test image", images), source);
    }
    return NL_OK;
}

/* A slice of an order of images, with the file's labels. */
static nl_status slice(const nl_images *images, const int *order, int first, int count,
                       nl_subset *out)
{
    *out = (nl_subset){.images = images, .count = count, .index = order + first};
    out->labels = nl_calloc((size_t)count, sizeof *out->labels);
    if (out->labels == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d labels", count);
    }
    for (int k = 0; k < count; k++) {
        out->labels[k] = images->labels[out->index[k]];
    }
    return NL_OK;
}

/* Test first, then validation, then probe: a study with another probe keeps its test set, so that
 * its trained networks can be measured anew. */
static nl_status draw_sets(const nl_split_spec *spec, nl_splits *s)
{
    const nl_images *images = nl_dataset_test(s->dataset);
    const int ready = spec->test + spec->validation;
    nl_status status = NL_OK;

    s->test_order = nl_calloc((size_t)images->count, sizeof *s->test_order);
    if (s->test_order == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the order of %d test images",
                       images->count);
    }
    status = nl_images_permute(images, s->info->classes, spec->seed, NL_PURPOSE_TEST_DRAW,
                               s->test_order);
    if (status == NL_OK) {
        status = slice(images, s->test_order, 0, spec->test, &s->test);
    }
    if (status == NL_OK) {
        status = slice(images, s->test_order, spec->test, spec->validation, &s->validation);
    }
    if (status == NL_OK) {
        status = slice(images, s->test_order, ready, probe_of_test(spec), &s->probe);
    }
    return status;
}

/* Inputs of the probe of all cells.  Each rank of the node fills a slice of them.  index: the
 * images.  Collective over the node. */
static void fill_probe(const nl_split_spec *spec, const nl_team *team, const nl_images *images,
                       const int *index, nl_splits *s)
{
    const int from = nl_share_begin(spec->probe, team->node_rank, team->node_size);
    const int to = nl_share_begin(spec->probe, team->node_rank + 1, team->node_size);
    float *inputs = s->probe_inputs.bytes;

    nl_images_gather(s->info, images, &s->scaling, to - from, index + from,
                     inputs + (size_t)from * (size_t)s->info->inputs);
    nl_node_memory_fence(&s->probe_inputs);
}

/* The order of which every training set is the beginning, and a probe of training images, too.
 * Of the caller. */
static nl_status draw_order(const nl_splits *s, uint32_t seed, int **order)
{
    const nl_images *images = nl_dataset_train(s->dataset);

    *order = nl_calloc((size_t)images->count, sizeof **order);
    if (*order == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the order of %d training images",
                       images->count);
    }
    return nl_images_permute(images, s->info->classes, seed, NL_PURPOSE_SUBSET, *order);
}

/* One copy a node, as a probe of a whole training set takes more than its pixels.  Collective over
 * the team. */
static nl_status share_probe(const nl_split_spec *spec, const nl_team *team, nl_splits *s)
{
    const size_t bytes = (size_t)nl_probe_bytes(spec, s->info);
    const nl_images *images =
        spec->probe_from_train ? nl_dataset_train(s->dataset) : s->probe.images;
    int *order = NULL;
    nl_status status = NL_OK;

    if (nl_probe_depends_on_seed(spec)) {
        return NL_OK;
    }
    status = nl_node_memory_create(team, bytes, "the probe", &s->probe_inputs);
    if (status == NL_OK && spec->probe_from_train) {
        status = draw_order(s, spec->seed, &order);
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        fill_probe(spec, team, images, spec->probe_from_train ? order : s->probe.index, s);
    }
    free(order);
    return status;
}

nl_status nl_splits_create(const nl_split_spec *spec, const char *folder, const nl_team *team,
                           nl_splits **out)
{
    nl_splits *s = calloc(1, sizeof *s);
    nl_status status =
        s == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the study's images") : NL_OK;

    *out = NULL;
    status = nl_agree(team->comm, status);
    if (status != NL_OK) {
        free(s);
        return status;
    }
    status = nl_dataset_load(spec->source, folder, team, &s->dataset);
    if (status == NL_OK) {
        s->info = nl_dataset_describe(s->dataset);
        status = nl_splits_check(spec, s->info);
        if (status == NL_OK) {
            status = nl_scaling_compute(s->dataset, spec->standardize, &s->scaling);
        }
        if (status == NL_OK) {
            status = draw_sets(spec, s);
        }
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        status = share_probe(spec, team, s);
    }
    if (status != NL_OK) {
        nl_splits_destroy(&s);
        return status;
    }
    *out = s;
    return NL_OK;
}

void nl_splits_destroy(nl_splits **splits)
{
    if (*splits != NULL) {
        free((*splits)->test.labels);
        free((*splits)->validation.labels);
        free((*splits)->probe.labels);
        free((*splits)->test_order);
        nl_scaling_free(&(*splits)->scaling);
        nl_node_memory_free(&(*splits)->probe_inputs);
        nl_dataset_destroy(&(*splits)->dataset);
        free(*splits);
        *splits = NULL;
    }
}

static nl_status draw_training(const nl_split_spec *spec, const nl_splits *splits, int n_train,
                               uint32_t cell_seed, nl_cell_data *data)
{
    const uint32_t seed = spec->subset_per_seed ? cell_seed : spec->seed;
    nl_status status = draw_order(splits, seed, &data->order);

    if (status == NL_OK) {
        status = slice(nl_dataset_train(splits->dataset), data->order, 0, n_train, &data->train);
    }
    for (int k = 0; status == NL_OK && k < n_train; k++) {
        data->train.labels[k] = nl_noisy_label(data->train.labels[k], data->train.index[k],
                                               splits->info->classes, spec->label_noise, seed);
    }
    return status;
}

static nl_status draw_probe(const nl_split_spec *spec, const nl_splits *splits, nl_cell_data *data)
{
    const nl_subset *from = spec->probe_from_train ? &data->train : &splits->probe;
    const int count = spec->probe;

    data->probe = (nl_subset){.images = from->images, .count = count, .index = from->index};
    data->probe.labels = nl_calloc((size_t)count, sizeof *data->probe.labels);
    data->probe_inputs = splits->probe_inputs.bytes;
    if (nl_probe_depends_on_seed(spec)) {
        data->own_inputs = nl_calloc((size_t)nl_probe_bytes(spec, splits->info), 1);
        data->probe_inputs = data->own_inputs;
    }
    if (data->probe.labels == NULL || data->probe_inputs == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a probe of %d images", count);
    }
    for (int k = 0; k < count; k++) {
        data->probe.labels[k] = from->labels[k];
    }
    if (data->own_inputs != NULL) {
        nl_images_gather(splits->info, from->images, &splits->scaling, count, from->index,
                         data->own_inputs);
    }
    return NL_OK;
}

nl_status nl_cell_data_create(const nl_split_spec *spec, const nl_splits *splits, int n_train,
                              uint32_t seed, nl_cell_data **out)
{
    nl_cell_data *data = calloc(1, sizeof *data);
    nl_status status = NL_OK;

    *out = NULL;
    if (data == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's images");
    }
    status = draw_training(spec, splits, n_train, seed, data);
    if (status == NL_OK) {
        status = draw_probe(spec, splits, data);
    }
    if (status != NL_OK) {
        nl_cell_data_destroy(&data);
        return status;
    }
    *out = data;
    return NL_OK;
}

void nl_cell_data_destroy(nl_cell_data **data)
{
    if (*data != NULL) {
        free((*data)->train.labels);
        free((*data)->order);
        free((*data)->probe.labels);
        free((*data)->own_inputs);
        free(*data);
        *data = NULL;
    }
}
