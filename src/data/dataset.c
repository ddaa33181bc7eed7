/** @file dataset.c  One copy of the images per node, read by one rank and shared by all. */
#include "fingerprint.h"
#include "scaling.h"
#include "source.h"

#include <stdlib.h>
#include <string.h>

struct nl_dataset {
    nl_dataset_info info;
    nl_images train, test;
    nl_set_sum sums[2]; /* training, test */
    char fingerprint[nl_fingerprint_width];
    nl_node_memory memory; /* owned; the node's copy */
};

/* Where the four parts lie in the shared bytes. */
typedef struct layout {
    size_t train_pixels, train_labels, test_pixels, test_labels, size;
} layout;

static layout layout_of(const nl_dataset_info *info)
{
    enum { line = 64 }; /* parts begin at cache lines */
    const size_t image = (size_t)info->inputs * nl_pixel_bytes(info);
    const size_t parts[4] = {
        (size_t)info->train_count * image,
        (size_t)info->train_count * sizeof(uint16_t),
        (size_t)info->test_count * image,
        (size_t)info->test_count * sizeof(uint16_t),
    };
    size_t start[5] = {0};

    for (int k = 0; k < 4; k++) {
        start[k + 1] = (start[k] + parts[k] + line - 1) / line * line;
    }
    return (layout){start[0], start[1], start[2], start[3], start[4]};
}

/* Wait for the readers, then agree: the others sleep meanwhile and leave their cores alone. */
static nl_status settle(const nl_team *team, nl_status mine)
{
    nl_team_wait(team);
    return nl_agree(team->comm, mine);
}

/* Fill the node's copy: one rank reads the training files, the next one the test files; all draw
 * glyphs. */
static nl_status read_all(const nl_dataset_info *info, const char *folder, const nl_team *team,
                          const layout *at, uint8_t *bytes)
{
    const bool drawn = info->source == NL_GLYPHS;
    nl_status st = NL_OK;

    for (int test = 0; test < 2 && st == NL_OK; test++) {
        uint8_t *pixels = bytes + (test ? at->test_pixels : at->train_pixels);
        uint16_t *labels =
            (uint16_t *)(void *)(bytes + (test ? at->test_labels : at->train_labels));

        if (drawn) {
            nl_glyphs_draw(info, test, team->node_rank, team->node_size, pixels, labels);
        } else if (team->node_rank == test % team->node_size) {
            st = nl_source_read(info, folder, test, pixels, labels);
        }
    }
    return st;
}

/* Checksums of the node's copy, by the ranks that read it.  Collective over the node. */
static void sum_up(const nl_team *team, nl_dataset *data)
{
    const nl_images *images[2] = {&data->train, &data->test};

    for (int test = 0; test < 2; test++) {
        if (team->node_rank == test % team->node_size) {
            data->sums[test] = nl_set_sum_of(&data->info, images[test]);
        }
    }
    for (int test = 0; test < 2; test++) {
        MPI_Bcast(&data->sums[test], sizeof data->sums[test], MPI_BYTE, test % team->node_size,
                  team->node);
    }
    nl_fingerprint_write(&data->info, data->sums, data->fingerprint);
}

/* Every node must hold the same images, for it may read files of its own (node-local disks).
 * Collective over the team. */
static nl_status compare_nodes(const nl_team *team, const nl_dataset *data)
{
    char first[nl_fingerprint_width];
    nl_status st = NL_OK;

    if (team->node_size == team->size) {
        return NL_OK; /* there is one node */
    }
    memcpy(first, data->fingerprint, sizeof first);
    nl_team_broadcast(team, first, sizeof first, 0);
    if (team->node_rank == 0 && strcmp(first, data->fingerprint) != 0) {
        st = NL_FAIL(NL_ERR_DATA,
                     "%s: the images on the node of rank %d (%s) differ from those of rank 0 (%s): "
                     "expected the same files on every node",
                     nl_source_name(data->info.source), team->rank, data->fingerprint, first);
    }
    return settle(team, st);
}

/* A set that lies in the node's copy. */
static nl_images images_at(const nl_dataset *data, int count, size_t pixels, size_t labels)
{
    const uint8_t *bytes = data->memory.bytes;
    const void *first = bytes + pixels;

    return (nl_images){.count = count,
                       .pixels = data->info.real ? NULL : first,
                       .values = data->info.real ? first : NULL,
                       .labels = (const uint16_t *)(const void *)(bytes + labels)};
}

/* Probe on the node's reader, room for what it found, read.  Collective over the team. */
static nl_status load(nl_source source, const char *folder, const nl_team *team, nl_dataset *data)
{
    const bool reader = team->node_rank == 0;
    nl_dataset_info *info = &data->info;
    layout at;
    nl_status st = settle(team, reader ? nl_dataset_probe(source, folder, info) : NL_OK);

    if (st != NL_OK) {
        return st;
    }
    MPI_Bcast(info, sizeof *info, MPI_BYTE, 0, team->node);
    at = layout_of(info);
    st = nl_agree(team->comm, nl_node_memory_create(team, at.size, "the images", &data->memory));
    if (st != NL_OK) {
        return st;
    }
    data->train = images_at(data, info->train_count, at.train_pixels, at.train_labels);
    data->test = images_at(data, info->test_count, at.test_pixels, at.test_labels);
    st = settle(team, read_all(info, folder, team, &at, data->memory.bytes));
    nl_node_memory_fence(&data->memory);
    if (st == NL_OK) {
        sum_up(team, data);
        st = compare_nodes(team, data);
    }
    return st;
}

nl_status nl_dataset_load(nl_source source, const char *folder, const nl_team *team,
                          nl_dataset **out)
{
    nl_dataset *data = calloc(1, sizeof *data);
    nl_status st = NL_OK;

    *out = NULL;
    if (data == NULL) {
        st = NL_FAIL(NL_ERR_NOMEM, "out of memory for a data set");
    }
    st = nl_agree(team->comm, st);
    if (st != NL_OK) {
        free(data);
        return st;
    }
    st = load(source, folder, team, data);
    if (st != NL_OK) {
        nl_dataset_destroy(&data);
        return st;
    }
    *out = data;
    return NL_OK;
}

void nl_dataset_destroy(nl_dataset **dataset)
{
    if (*dataset == NULL) {
        return;
    }
    nl_node_memory_free(&(*dataset)->memory);
    free(*dataset);
    *dataset = NULL;
}

const nl_dataset_info *nl_dataset_describe(const nl_dataset *dataset)
{
    return &dataset->info;
}

const nl_images *nl_dataset_train(const nl_dataset *dataset)
{
    return &dataset->train;
}

const nl_images *nl_dataset_test(const nl_dataset *dataset)
{
    return &dataset->test;
}

const char *nl_dataset_fingerprint(const nl_dataset *dataset)
{
    return dataset->fingerprint;
}

void nl_dataset_remarks(const nl_dataset *dataset, const char *folder, nl_text *lines)
{
    const nl_source source = dataset->info.source;

    nl_fingerprint_remark(source, dataset->sums, lines);
    if (source != NL_GLYPHS) {
        nl_source_compare_copies(source, folder, lines);
    }
}

nl_status nl_scaling_compute(const nl_dataset *dataset, bool standardize, nl_scaling *out)
{
    return nl_scaling_of_images(&dataset->info, &dataset->train, standardize, out);
}
