/** @file test_dataset.c  One copy of the images a node; failures that reach every rank. */
#include "ntklens/splits.h"

#include "../unit/sample_files.h"
#include "expect.h"

typedef struct fixture {
    nl_team *team;
    char folder[64]; /* the same on every rank; removed by rank 0 */
} fixture;

static int setup(void **state)
{
    static fixture f;
    bool good = true;

    if (nl_team_create(MPI_COMM_WORLD, &f.team) != NL_OK) {
        return -1;
    }
    if (f.team->rank == 0) {
        good = sample_folder_create(f.folder);
    }
    MPI_Bcast(f.folder, sizeof f.folder, MPI_CHAR, 0, f.team->comm);
    *state = &f;
    return good ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;

    MPI_Barrier(f->team->comm);
    if (f->team->rank == 0) {
        sample_folder_remove(f->folder);
    }
    nl_team_destroy(&f->team);
    return 0;
}

/* All ranks see the same shape and bytes. */
static bool same_everywhere(const nl_team *team, const nl_dataset *data)
{
    const nl_dataset_info *info = nl_dataset_describe(data);
    const nl_images *sets[2] = {nl_dataset_train(data), nl_dataset_test(data)};
    uint64_t mine = crc32_z(0, (const uint8_t *)info, sizeof *info);
    uint64_t first = 0;

    for (int k = 0; k < 2; k++) {
        size_t count = (size_t)sets[k]->count;

        mine = crc32_z(mine, sets[k]->pixels, count * (size_t)info->inputs);
        mine = crc32_z(mine, (const uint8_t *)sets[k]->labels, count * sizeof *sets[k]->labels);
    }
    first = mine;
    MPI_Bcast(&first, 1, MPI_UINT64_T, 0, team->comm);
    return first == mine;
}

/* Every rank has the first one's fingerprint. */
static bool same_fingerprint(const nl_team *team, const nl_dataset *data)
{
    char first[nl_fingerprint_width] = "";

    snprintf(first, sizeof first, "%s", nl_dataset_fingerprint(data));
    MPI_Bcast(first, sizeof first, MPI_CHAR, 0, team->comm);
    return strncmp(first, "train=", 6) == 0 && strcmp(first, nl_dataset_fingerprint(data)) == 0;
}

static void every_rank_sees_the_same_files(void **state)
{
    const fixture *f = *state;
    nl_dataset *data = NULL;
    bool right = true;

    if (f->team->rank == 0) {
        right = write_idx_set(f->folder, 30, 12, ".gz");
    }
    expect_all(f->team->comm, right);
    expect_all(f->team->comm, nl_dataset_load(NL_MNIST, f->folder, f->team, &data) == NL_OK);
    expect_all(f->team->comm, same_everywhere(f->team, data));
    expect_all(f->team->comm, same_fingerprint(f->team, data));
    expect_all(f->team->comm, nl_dataset_describe(data)->train_count == 30);
    expect_all(f->team->comm,
               nl_dataset_train(data)->count == 30 && nl_dataset_test(data)->count == 12);
    for (int k = 0; k < 42; k++) {
        const nl_images *images = k < 30 ? nl_dataset_train(data) : nl_dataset_test(data);
        int at = k < 30 ? k : k - 30;

        right = right && images->labels[at] == sample_label(k);
        for (int p = 0; p < idx_image; p++) {
            right = right && images->pixels[at * idx_image + p] == sample_pixel(k, p);
        }
    }
    expect_all(f->team->comm, right);
    nl_dataset_destroy(&data);
    expect_all(f->team->comm, data == NULL);
    nl_dataset_destroy(&data);
}

static void every_rank_sees_the_same_glyphs(void **state)
{
    const fixture *f = *state;
    nl_dataset *data = NULL;
    nl_scaling scaling;
    uint8_t drawn[784];
    int label = nl_glyph_draw(true, 4999, drawn);

    expect_all(f->team->comm, nl_dataset_load(NL_GLYPHS, NULL, f->team, &data) == NL_OK);
    expect_all(f->team->comm, same_everywhere(f->team, data));
    expect_all(f->team->comm, same_fingerprint(f->team, data));
    expect_all(f->team->comm,
               memcmp(drawn, nl_dataset_test(data)->pixels + 4999 * 784, sizeof drawn) == 0);
    expect_all(f->team->comm, nl_dataset_test(data)->labels[4999] == label);
    expect_all(f->team->comm, nl_scaling_compute(data, true, &scaling) == NL_OK);
    expect_all(f->team->comm, scaling.mean[0] > 0.02 && scaling.mean[0] < 0.3);
    nl_dataset_destroy(&data);
}

/* The copy is one a node: what one rank would write, the others would see. */
static void ranks_of_a_node_share_one_copy(void **state)
{
    const fixture *f = *state;
    nl_dataset *data = NULL;
    uint8_t *pixel = NULL;
    uint8_t kept = 0;

    expect_all(f->team->comm, nl_dataset_load(NL_GLYPHS, NULL, f->team, &data) == NL_OK);
    pixel = (uint8_t *)(uintptr_t)nl_dataset_train(data)->pixels; /* for once, not read-only */
    kept = *pixel;
    MPI_Barrier(f->team->node);
    if (f->team->node_rank == f->team->node_size - 1) {
        *(volatile uint8_t *)pixel = (uint8_t)(kept + 1);
    }
    MPI_Barrier(f->team->node);
    expect_all(f->team->comm, *(volatile uint8_t *)pixel == (uint8_t)(kept + 1));
    nl_dataset_destroy(&data);
}

/* A probe of images of the test file, or of a fixed training set: one copy a node, which all cells
 * see; where each seed has its training set, a copy of each. */
static void cells_share_the_probe(void **state)
{
    const fixture *f = *state;
    const bool from_train[] = {false, true, true};
    const bool per_seed[] = {true, false, true};

    for (size_t k = 0; k < NL_COUNT(from_train); k++) {
        const nl_split_spec spec = {.file = "study.yaml",
                                    .source = NL_GLYPHS,
                                    .largest_train = 40,
                                    .test = 10,
                                    .probe = 13,
                                    .probe_from_train = from_train[k],
                                    .subset_per_seed = per_seed[k]};
        const bool own = nl_probe_depends_on_seed(&spec);
        nl_splits *splits = NULL;
        nl_cell_data *cells[2] = {NULL, NULL};
        float seen[13 * 784];

        expect_all(f->team->comm, nl_splits_create(&spec, "", f->team, &splits) == NL_OK);
        for (int j = 0; j < 2; j++) {
            const nl_cell_data *cell = NULL;

            expect_all(f->team->comm, nl_cell_data_create(&spec, splits, 20 + 20 * j, (uint32_t)j,
                                                          &cells[j]) == NL_OK);
            cell = cells[j];
            nl_images_gather(splits->info, cell->probe.images, &splits->scaling, 13,
                             cell->probe.index, seen);
            expect_all(f->team->comm, memcmp(cell->probe_inputs, seen, sizeof seen) == 0);
        }
        expect_all(f->team->comm, (cells[0]->probe_inputs == cells[1]->probe_inputs) == !own);
        for (int j = 0; j < 2; j++) {
            nl_cell_data_destroy(&cells[j]);
        }
        nl_splits_destroy(&splits);
    }
}

static void a_bad_file_is_the_same_failure_on_every_rank(void **state)
{
    const fixture *f = *state;
    nl_dataset *data = NULL;
    nl_text labels = {0};
    bool good = true;

    expect_all(f->team->comm, /* before reading: nothing there */
               nl_dataset_load(NL_CIFAR10, f->folder, f->team, &data) == NL_ERR_DATA);
    if (f->team->rank == 0) {
        labels = idx_labels(0, 30);
        labels.data[8 + 29] = 77;
        good = write_idx_set(f->folder, 30, 12, "") &&
               sample_write(f->folder, "train-labels-idx1-ubyte", &labels);
    }
    expect_all(f->team->comm, good);
    expect_all(f->team->comm, /* while reading, with the shared copy in place */
               nl_dataset_load(NL_MNIST, f->folder, f->team, &data) == NL_ERR_DATA);
    expect_all(f->team->comm, data == NULL);
}

/* A cluster is made up here: every rank plays a node of its own, with files of its own. */
static void nodes_with_different_files_are_refused(void **state)
{
    const fixture *f = *state;
    nl_team lonely = *f->team;
    nl_dataset *data = NULL;
    char folder[96];
    nl_text images = {0};
    bool differ = lonely.size > 1;
    nl_status st = NL_OK;

    lonely.node = MPI_COMM_SELF;
    lonely.node_rank = 0;
    lonely.node_size = 1;
    snprintf(folder, sizeof folder, "%s/node%d", f->folder, lonely.rank);
    expect_all(lonely.comm, mkdir(folder, 0700) == 0);
    expect_all(lonely.comm, write_idx_set(folder, 30, 12, ""));
    expect_all(lonely.comm, nl_dataset_load(NL_MNIST, folder, &lonely, &data) == NL_OK);
    expect_all(lonely.comm, same_fingerprint(&lonely, data));
    nl_dataset_destroy(&data);
    images = idx_images(0, 30);
    images.data[images.length - 1] ^= differ && lonely.rank == lonely.size - 1;
    expect_all(lonely.comm, sample_write(folder, "train-images-idx3-ubyte", &images));
    st = nl_dataset_load(NL_MNIST, folder, &lonely, &data);
    expect_all(lonely.comm, st == (differ ? NL_ERR_DATA : NL_OK));
    nl_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rank_sees_the_same_files),
        cmocka_unit_test(every_rank_sees_the_same_glyphs),
        cmocka_unit_test(ranks_of_a_node_share_one_copy),
        cmocka_unit_test(cells_share_the_probe),
        cmocka_unit_test(a_bad_file_is_the_same_failure_on_every_rank),
        cmocka_unit_test(nodes_with_different_files_are_refused),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    failed = cmocka_run_group_tests(tests, setup, teardown);
    MPI_Finalize();
    return failed;
}
