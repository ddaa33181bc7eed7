/** @file test_data.c  Original files: good ones, and every way in which they can be broken. */
#include "../../src/data/files.h"
#include "sample_files.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include "../../src/data/scaling.h"
#include "../../src/data/source.h"
#include <cmocka.h>

enum { train_count = 25, test_count = 11 };

static int setup(void **state)
{
    static char folder[64];

    if (!sample_folder_create(folder)) {
        return -1;
    }
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    sample_folder_remove(*state);
    return 0;
}

/* Probe and, where that succeeds, read all content, as nl_dataset_load() does on one rank. */
static nl_status probe_and_read(nl_source source, const char *folder, nl_dataset_info *info,
                                uint8_t **pixels, uint16_t **labels)
{
    nl_status st = nl_dataset_probe(source, folder, info);

    for (int test = 0; test < 2; test++) {
        int count = test ? info->test_count : info->train_count;

        pixels[test] = nl_calloc((size_t)count, (size_t)info->inputs);
        labels[test] = nl_calloc((size_t)count, sizeof **labels);
        if (st == NL_OK) {
            st = nl_source_read(info, folder, test, pixels[test], labels[test]);
        }
    }
    return st;
}

static void assert_made_up(const uint8_t *pixels, const uint16_t *labels, int first, int count,
                           int inputs)
{
    for (int k = 0; k < count; k++) {
        assert_int_equal(labels[k], sample_label(first + k));
        for (int p = 0; p < inputs; p++) {
            assert_int_equal(pixels[k * inputs + p], sample_pixel(first + k, p));
        }
    }
}

/* The folder holds the made-up set, whole, in order. */
static void assert_reads_back(nl_source source, const char *folder, int train, int test)
{
    nl_dataset_info info;
    uint8_t *pixels[2];
    uint16_t *labels[2];

    assert_int_equal(probe_and_read(source, folder, &info, pixels, labels), NL_OK);
    assert_int_equal(info.source, source);
    assert_int_equal(info.train_count, train);
    assert_int_equal(info.test_count, test);
    assert_int_equal(info.classes, 10);
    assert_int_equal(info.inputs, info.channels * info.height * info.width);
    assert_int_equal(info.inputs, source == NL_CIFAR10 ? cifar_image : idx_image);
    assert_made_up(pixels[0], labels[0], 0, train, info.inputs);
    assert_made_up(pixels[1], labels[1], train, test, info.inputs);
    for (int k = 0; k < 2; k++) {
        free(pixels[k]);
        free(labels[k]);
    }
}

/* Probe and read fail with NL_ERR_DATA and one line that holds both words. */
static void assert_refused(nl_source source, const char *folder, const char *file, const char *word)
{
    nl_dataset_info info;
    uint8_t *pixels[2];
    uint16_t *labels[2];
    char line[2048] = {0};
    FILE *capture = tmpfile();
    int kept = dup(STDERR_FILENO);
    nl_status st = NL_OK;

    dup2(fileno(capture), STDERR_FILENO);
    st = probe_and_read(source, folder, &info, pixels, labels);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(capture);
    line[fread(line, 1, sizeof line - 1, capture)] = '\0';
    fclose(capture);
    for (int k = 0; k < 2; k++) {
        free(pixels[k]);
        free(labels[k]);
    }
    print_message("%s", line); /* for the reader of the test's log to judge */
    assert_int_equal(st, NL_ERR_DATA);
    assert_non_null(strstr(line, file));
    assert_non_null(strstr(line, word));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1); /* one line */
}

static void patch_file(const char *folder, const char *name, long at, uint8_t byte)
{
    char path[256];
    FILE *file = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    assert_int_equal(fputc(byte, file), byte);
    fclose(file);
}

/* Make a file shorter (change < 0) or, with zeros, longer. */
static void resize_file(const char *folder, const char *name, long change)
{
    char path[256];
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size + change), 0);
}

static void remove_file(const char *folder, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static void sources_have_the_names_of_the_study_file(void **state)
{
    (void)state;
    assert_string_equal(nl_source_name(NL_MNIST), "mnist");
    assert_string_equal(nl_source_name(NL_FASHION_MNIST), "fashion-mnist");
    assert_string_equal(nl_source_name(NL_CIFAR10), "cifar10");
    assert_string_equal(nl_source_name(NL_GLYPHS), "glyphs");
}

static void idx_files_read_back_plain_and_gzipped(void **state)
{
    const char *folder = *state;

    assert_true(write_idx_set(folder, train_count, test_count, ".gz"));
    assert_reads_back(NL_MNIST, folder, train_count, test_count);
    assert_true(write_idx_set(folder, train_count + 1, test_count, ""));
    assert_reads_back(NL_FASHION_MNIST, folder, train_count + 1, test_count); /* plain goes first */
}

static void idx_files_may_be_named_with_a_dot(void **state)
{
    const char *folder = *state;
    nl_text parts[4] = {idx_images(0, 3), idx_labels(0, 3), idx_images(3, 2), idx_labels(3, 2)};

    assert_true(sample_write(folder, "train-images.idx3-ubyte", &parts[0]));
    assert_true(sample_write(folder, "train-labels.idx1-ubyte.gz", &parts[1]));
    assert_true(sample_write(folder, "t10k-images.idx3-ubyte.gz", &parts[2]));
    assert_true(sample_write(folder, "t10k-labels.idx1-ubyte", &parts[3]));
    assert_reads_back(NL_MNIST, folder, 3, 2);
}

static void a_missing_folder_is_refused_with_advice(void **state)
{
    const char *folder = *state;
    char path[256];
    nl_text bytes = {0};

    snprintf(path, sizeof path, "%s/nowhere", folder);
    assert_refused(NL_FASHION_MNIST, path, path, "tools/fetch-data fashion-mnist");
    assert_refused(NL_MNIST, path, "no such folder", "NTKLENS_DATA");
    assert_refused(NL_MNIST, NULL, "no folder", "NTKLENS_DATA");
    assert_refused(NL_MNIST, "", "no folder", "NTKLENS_DATA");
    nl_text_append(&bytes, "a file");
    assert_true(sample_write(folder, "nowhere", &bytes));
    assert_refused(NL_MNIST, path, path, "is a file");
}

static void a_missing_file_is_refused_with_advice(void **state)
{
    const char *folder = *state;

    assert_true(write_idx_set(folder, train_count, test_count, ""));
    remove_file(folder, "t10k-labels-idx1-ubyte");
    assert_refused(NL_MNIST, folder, "t10k-labels-idx1-ubyte", "tools/fetch-data mnist");
    assert_refused(NL_CIFAR10, folder, "data_batch_1.bin", "tools/fetch-data cifar10");
}

/* One broken IDX file of an otherwise good set. */
typedef struct broken {
    const char *name; /* of the broken file; with .gz the whole set is gzipped */
    long at;          /* patch: where, from the end if negative; resize: by how much */
    int byte;         /* patch: with what; -1: resize instead */
    const char *word; /* that the line must hold */
} broken;

static void broken_idx_files_are_refused_in_one_line(void **state)
{
    static const broken cases[] = {
        {"train-images-idx3-ubyte", -1, -1, "truncated"},
        {"train-images-idx3-ubyte", 1, -1, "bytes too many"},
        {"t10k-labels-idx1-ubyte", -1, -1, "truncated"},
        {"t10k-labels-idx1-ubyte", 5, -1, "bytes too many"},
        {"train-labels-idx1-ubyte", -train_count - 3, -1, "truncated"}, /* within the header */
        {"train-labels-idx1-ubyte", -train_count - 8, -1, "truncated"}, /* empty */
        {"train-images-idx3-ubyte", 3, 1, "expected 0x00000803"},
        {"train-labels-idx1-ubyte", 3, 3, "expected 0x00000801"},
        {"train-images-idx3-ubyte", 7, 0, "expected 1 to"},      /* no images */
        {"train-images-idx3-ubyte", 4, 0x80, "expected 1 to"},   /* 2^31 images */
        {"train-images-idx3-ubyte", 11, 32, "expected 28 x 28"}, /* rows */
        {"t10k-images-idx3-ubyte", 15, 32, "expected 28 x 28"},  /* columns */
        {"train-labels-idx1-ubyte", 20, 10, "label 10 of image 12"},
        {"t10k-labels-idx1-ubyte", -1, 200, "label 200 of image 10"},
        {"train-images-idx3-ubyte.gz", -9, -1, "truncated"},
        {"train-images-idx3-ubyte.gz", -4, -1, "truncated"},                /* only its trailer */
        {"train-images-idx3-ubyte.gz", -6, 0x5a, "damaged gzip data"},      /* its CRC */
        {"train-images-idx3-ubyte.gz", -1, 0x5a, "damaged gzip data"},      /* its length */
        {"train-images-idx3-ubyte.gz", 500, 0xff, "damaged gzip data"},     /* its content */
        {"train-images-idx3-ubyte.gz", 1, -1, "bytes too many at its end"}, /* a zero after it */
        {"train-images-idx3-ubyte.gz", 0, 'P', "expected 0x00000803"},      /* not gzip at all */
    };

    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        const broken *c = &cases[k];
        const char *folder = *state;
        const char *gz = strstr(c->name, ".gz");

        assert_true(write_idx_set(folder, train_count, test_count, gz != NULL ? gz : ""));
        if (c->byte < 0) {
            resize_file(folder, c->name, c->at);
        } else {
            patch_file(folder, c->name, c->at, (uint8_t)c->byte);
        }
        assert_refused(NL_MNIST, folder, c->name, c->word);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

/* So that a study ends before it begins, not while it reads. */
static void the_probe_alone_sees_the_length_of_plain_files(void **state)
{
    const char *folder = *state;
    nl_dataset_info info;

    assert_true(write_idx_set(folder, train_count, test_count, ""));
    resize_file(folder, "t10k-images-idx3-ubyte", 1);
    assert_int_equal(nl_dataset_probe(NL_MNIST, folder, &info), NL_ERR_DATA);
    resize_file(folder, "t10k-images-idx3-ubyte", -2);
    assert_int_equal(nl_dataset_probe(NL_MNIST, folder, &info), NL_ERR_DATA);
    resize_file(folder, "t10k-images-idx3-ubyte", 1);
    assert_int_equal(nl_dataset_probe(NL_MNIST, folder, &info), NL_OK);
}

/* What only a gzipped file can hide until it is read: content that differs from its header. */
static void gzipped_idx_files_of_another_length_are_refused(void **state)
{
    const char *folder = *state;
    nl_text bytes = {0};

    assert_true(write_idx_set(folder, train_count, test_count, ".gz"));
    bytes = idx_images(0, train_count);
    nl_text_append(&bytes, "more");
    assert_true(sample_write(folder, "train-images-idx3-ubyte.gz", &bytes));
    assert_refused(NL_MNIST, folder, "train-images-idx3-ubyte.gz", "bytes too many");
    bytes = idx_images(0, train_count);
    bytes.length -= 100;
    assert_true(sample_write(folder, "train-images-idx3-ubyte.gz", &bytes));
    assert_refused(NL_MNIST, folder, "train-images-idx3-ubyte.gz", "truncated");
    bytes = idx_images(0, train_count);
    bytes.data[4] = 0x70; /* a header that promises 1.5e12 bytes must not be believed */
    assert_true(sample_write(folder, "train-images-idx3-ubyte.gz", &bytes));
    assert_refused(NL_MNIST, folder, "train-images-idx3-ubyte.gz", "cannot hold");
}

static void image_and_label_counts_must_match(void **state)
{
    const char *folder = *state;
    nl_text labels = idx_labels(0, train_count - 1);

    assert_true(write_idx_set(folder, train_count, test_count, ""));
    assert_true(sample_write(folder, "train-labels-idx1-ubyte", &labels));
    assert_refused(NL_MNIST, folder, "train-labels-idx1-ubyte", "24 labels, expected 25");
}

static void an_idx_file_must_be_a_file(void **state)
{
    const char *folder = *state;
    char path[256];

    assert_true(write_idx_set(folder, train_count, test_count, ""));
    remove_file(folder, "train-images-idx3-ubyte");
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(NL_MNIST, folder, "train-images-idx3-ubyte", "regular file");
}

/* Training files 1, 2 and 10 of 40, 1 and 3 records, then 5 test records. */
static void write_cifar_set(const char *folder)
{
    nl_text parts[4] = {cifar_records(0, 40), cifar_records(40, 1), cifar_records(41, 3),
                        cifar_records(44, 5)};

    assert_true(sample_write(folder, "data_batch_10.bin.gz", &parts[2]));
    assert_true(sample_write(folder, "data_batch_1.bin", &parts[0]));
    assert_true(sample_write(folder, "data_batch_2.bin.gz", &parts[1]));
    assert_true(sample_write(folder, "test_batch.bin", &parts[3]));
}

static void cifar_files_read_back_in_the_order_of_their_numbers(void **state)
{
    const char *folder = *state;
    nl_text other = cifar_records(7, 2);
    nl_text readme = {0};

    nl_text_append(&readme, "not records");
    write_cifar_set(folder);
    assert_true(sample_write(folder, "data_batch_1.bin.gz", &other)); /* the plain one is taken */
    assert_true(sample_write(folder, "data_batch_2.bin.part", &readme));
    assert_reads_back(NL_CIFAR10, folder, 44, 5);
}

static void cifar_files_may_lie_in_the_folder_of_their_archive(void **state)
{
    char inner[128];

    snprintf(inner, sizeof inner, "%s/cifar-10-batches-bin", (const char *)*state);
    assert_int_equal(mkdir(inner, 0700), 0);
    write_cifar_set(inner);
    assert_reads_back(NL_CIFAR10, *state, 44, 5);
}

static void gzip_files_joined_end_to_end_are_read_whole(void **state)
{
    const char *folder = *state;
    char command[256];
    nl_text rest = cifar_records(44, 2);

    write_cifar_set(folder);
    assert_true(sample_write(folder, "more.gz", &rest));
    snprintf(command, sizeof command, "cat %s/more.gz >> %s/data_batch_10.bin.gz", folder, folder);
    assert_int_equal(system(command), 0);
    rest = cifar_records(46, 1);
    assert_true(sample_write(folder, "test_batch.bin", &rest));
    assert_reads_back(NL_CIFAR10, folder, 46, 1);
}

static void broken_cifar_files_are_refused_in_one_line(void **state)
{
    static const broken cases[] = {
        {"data_batch_1.bin", -1, -1, "whole number of records"},
        {"data_batch_1.bin", 1, -1, "whole number of records"},
        {"test_batch.bin", -5 * cifar_record, -1, "whole number of records"}, /* empty */
        {"data_batch_1.bin", 39 * cifar_record, 10, "label 10 of image 39"},
        {"test_batch.bin", cifar_record, 255, "label 255 of image 1 "},
        {"data_batch_10.bin.gz", -5, -1, "truncated"},
        {"data_batch_10.bin.gz", -6, 0x5a, "damaged gzip data"},
        {"data_batch_2.bin.gz", 0, 'P', "whole number of records"},
    };

    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        const broken *c = &cases[k];
        const char *folder = *state;

        write_cifar_set(folder);
        if (c->byte < 0) {
            resize_file(folder, c->name, c->at);
        } else {
            patch_file(folder, c->name, c->at, (uint8_t)c->byte);
        }
        assert_refused(NL_CIFAR10, folder, c->name, c->word);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

static void a_missing_cifar_test_file_is_refused(void **state)
{
    write_cifar_set(*state);
    remove_file(*state, "test_batch.bin");
    assert_refused(NL_CIFAR10, *state, "test_batch.bin", "tools/fetch-data cifar10");
}

/* The figures everyone quotes for MNIST. */
static void mnist_has_its_published_counts_and_moments(void **state)
{
    const char *root = getenv("NTKLENS_DATA");
    char folder[4096];
    nl_dataset_info info;
    uint8_t *pixels[2];
    uint16_t *labels[2];
    nl_scaling scaling;

    (void)state;
    snprintf(folder, sizeof folder, "%s/mnist", root != NULL ? root : "");
    if (root == NULL || access(folder, F_OK) != 0) {
        print_message("skipped: NTKLENS_DATA names no folder with the original files in mnist/\n");
        skip();
    }
    assert_int_equal(probe_and_read(NL_MNIST, folder, &info, pixels, labels), NL_OK);
    assert_int_equal(info.train_count, 60000);
    assert_int_equal(info.test_count, 10000);
    assert_int_equal(labels[0][0], 5); /* the first digits of MNIST: 5 0 4 1; of its test: 7 2 */
    assert_int_equal(labels[0][1], 0);
    assert_int_equal(labels[1][0], 7);
    assert_int_equal(labels[1][1], 2);
    assert_int_equal(nl_scaling_of_images(&info, &(nl_images){60000, pixels[0], labels[0], NULL},
                                          true, &scaling),
                     NL_OK);
    assert_true(fabs(scaling.mean[0] - 0.1307) < 5e-5);
    assert_true(fabs(scaling.std[0] - 0.3081) < 5e-5);
    nl_scaling_free(&scaling);
    for (int k = 0; k < 2; k++) {
        free(pixels[k]);
        free(labels[k]);
    }
}

#define in_a_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_have_the_names_of_the_study_file),
        in_a_folder(idx_files_read_back_plain_and_gzipped),
        in_a_folder(idx_files_may_be_named_with_a_dot),
        in_a_folder(a_missing_folder_is_refused_with_advice),
        in_a_folder(a_missing_file_is_refused_with_advice),
        in_a_folder(broken_idx_files_are_refused_in_one_line),
        in_a_folder(the_probe_alone_sees_the_length_of_plain_files),
        in_a_folder(gzipped_idx_files_of_another_length_are_refused),
        in_a_folder(image_and_label_counts_must_match),
        in_a_folder(an_idx_file_must_be_a_file),
        in_a_folder(cifar_files_read_back_in_the_order_of_their_numbers),
        in_a_folder(cifar_files_may_lie_in_the_folder_of_their_archive),
        in_a_folder(gzip_files_joined_end_to_end_are_read_whole),
        in_a_folder(broken_cifar_files_are_refused_in_one_line),
        in_a_folder(a_missing_cifar_test_file_is_refused),
        cmocka_unit_test(mnist_has_its_published_counts_and_moments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
