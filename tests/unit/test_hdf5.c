/** @file test_hdf5.c  Images of one's own from HDF5 files: what is read, and what is refused. */
#include "../../src/data/fingerprint.h"
#include "../../src/data/hdf5.h"
#include "outcome.h"
#include "sample_files.h"

#include "ntklens/io.h"

#include <hdf5.h>

enum { train_count = 5, test_count = 3, height = 2, width = 3, channels = 2, inputs = 12 };

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    if (!sample_folder_create(folder)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/own.h5", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    sample_folder_remove(folder);
    return 0;
}

/** A dataset as it is to be written. */
typedef struct content {
    const char *name;
    hid_t type, memory;
    int rank;
    hsize_t dims[4];
    const void *values;
    bool packed; /* in chunks of two rows, shuffled, deflated, with checksums */
} content;

static void put(hid_t file, const content *c)
{
    hid_t space = H5Screate_simple(c->rank, c->dims, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hid_t link = H5Pcreate(H5P_LINK_CREATE);
    hid_t set = H5I_INVALID_HID;

    H5Pset_create_intermediate_group(link, 1);
    if (c->packed) {
        hsize_t chunk[4];

        for (int k = 0; k < c->rank; k++) {
            chunk[k] = c->dims[k] < 2 ? c->dims[k] : 2;
        }
        H5Pset_chunk(properties, c->rank, chunk);
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, 9);
        H5Pset_fletcher32(properties);
    }
    set = H5Dcreate2(file, c->name, c->type, space, link, properties, H5P_DEFAULT);
    assert_true(set >= 0 &&
                H5Dwrite(set, c->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->values) >= 0);
    H5Dclose(set);
    H5Pclose(link);
    H5Pclose(properties);
    H5Sclose(space);
}

/* Byte of image k (training images first), row y, column x, channel c: no two are alike. */
static int pixel(int k, int y, int x, int c)
{
    return k * inputs + (y * width + x) * channels + c;
}

/* Images [N x height x width x channels], stored as `type`, and labels 0, 2, 1, 0, ... as int16. */
static void write_file(hid_t type, bool packed)
{
    const int counts[2] = {train_count, test_count};
    const char *const names[2][2] = {{"/train/images", "/train/labels"},
                                     {"/test/images", "/test/labels"}};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    int first = 0;

    assert_true(file >= 0);
    for (int s = 0; s < 2; s++) {
        double images[train_count * inputs];
        int labels[train_count];

        for (int k = 0; k < counts[s]; k++) {
            labels[k] = (first + k) * 2 % 3;
            for (int p = 0; p < inputs; p++) {
                images[k * inputs + p] = (first + k) * inputs + p;
            }
        }
        put(file, &(content){names[s][0],
                             type,
                             H5T_NATIVE_DOUBLE,
                             4,
                             {(hsize_t)counts[s], height, width, channels},
                             images,
                             packed});
        put(file, &(content){names[s][1],
                             H5T_STD_I16BE,
                             H5T_NATIVE_INT,
                             1,
                             {(hsize_t)counts[s]},
                             labels,
                             packed});
        first += counts[s];
    }
    H5Fclose(file);
}

/* Planes of channels in memory, whatever the type in the file. */
static void check_content(bool real)
{
    nl_dataset_info info = {0};
    int first = 0;

    assert_int_equal(nl_hdf5_probe(path, &info), NL_OK);
    assert_int_equal(info.real, real);
    assert_false(info.vectors);
    assert_int_equal(info.channels, channels);
    assert_int_equal(info.height, height);
    assert_int_equal(info.width, width);
    assert_int_equal(info.inputs, inputs);
    assert_int_equal(info.classes, 3);
    assert_int_equal(info.train_count, train_count);
    assert_int_equal(info.test_count, test_count);
    for (int test = 0; test < 2; test++) {
        const int count = test ? test_count : train_count;
        float values[train_count * inputs];
        uint8_t bytes[train_count * inputs];
        uint16_t labels[train_count];

        assert_int_equal(nl_hdf5_read(&info, path, test, real ? (void *)values : bytes, labels),
                         NL_OK);
        for (int k = 0; k < count; k++) {
            assert_int_equal(labels[k], (first + k) * 2 % 3);
            for (int p = 0; p < inputs; p++) {
                const int c = p / (height * width);
                const int expected = pixel(first + k, p / width % height, p % width, c);
                const int place = k * inputs + p;

                assert_int_equal(real ? (int)values[place] : bytes[place], expected);
            }
        }
        first += count;
    }
}

static void channels_become_planes_for_every_type(void **state)
{
    const hid_t types[] = {H5T_STD_U8LE, H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE,
                           H5T_IEEE_F64BE};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(types); k++) {
        for (int packed = 0; packed < 2; packed++) {
            write_file(types[k], packed);
            check_content(k > 0);
        }
    }
}

static void other_types_are_refused(void **state)
{
    const hid_t types[] = {H5T_STD_I8LE, H5T_STD_U16LE, H5T_STD_I64LE};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(types); k++) {
        nl_dataset_info info;

        write_file(types[k], false);
        assert_int_equal(nl_hdf5_probe(path, &info), NL_ERR_DATA);
    }
}

static void a_file_that_changes_meanwhile_is_noticed(void **state)
{
    nl_dataset_info info;
    float values[train_count * inputs];
    uint16_t labels[train_count];

    (void)state;
    write_file(H5T_IEEE_F32LE, false);
    assert_int_equal(nl_hdf5_probe(path, &info), NL_OK);
    write_file(H5T_STD_U8LE, false);
    assert_int_equal(nl_hdf5_read(&info, path, false, values, labels), NL_ERR_DATA);
    write_file(H5T_IEEE_F32LE, false);
    info.classes = 2;
    assert_int_equal(nl_hdf5_read(&info, path, false, values, labels), NL_ERR_DATA);
}

/* What a run writes into a folder tells status and merge the shape. */
static void shapes_come_back_from_fingerprints(void **state)
{
    static const nl_dataset_info shapes[] = {
        {.source = NL_HDF5, .channels = 3, .height = 5, .width = 7, .inputs = 105, .classes = 10},
        {.source = NL_HDF5, .channels = 1, .height = 1, .width = 9, .inputs = 9, .classes = 1000},
        {.source = NL_HDF5,
         .channels = 2147483647,
         .height = 1,
         .width = 1,
         .inputs = 2147483647,
         .vectors = true,
         .classes = 2},
    };
    const nl_set_sum sums[2] = {{2147483647, 0xffffffff, 0xffffffff}, {2147483647, 1, 2}};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(shapes); k++) {
        char text[nl_fingerprint_width];
        nl_dataset_info info;

        nl_fingerprint_write(&shapes[k], sums, text);
        assert_true(nl_images_is_fingerprint(text));
        assert_int_equal(nl_dataset_shape(NL_HDF5, text, "here", &info), NL_OK);
        assert_int_equal(info.channels, shapes[k].channels);
        assert_int_equal(info.height, shapes[k].height);
        assert_int_equal(info.width, shapes[k].width);
        assert_int_equal(info.inputs, shapes[k].inputs);
        assert_int_equal(info.vectors, shapes[k].vectors);
        assert_int_equal(info.classes, shapes[k].classes);
    }
}

static void other_texts_tell_no_shape(void **state)
{
    static const char *const texts[] = {
        "",
        "train=",
        "train=60000",
        "train=60000x1x28",
        "train=60000x0x28x28",
        "train=60000x-1x28x28",
        "train=60000x99999x99999x1",
        "train=60000x99999999999999999999x1x1",
        "test=60000x1x28x28",
        "train=60000x1x28x28:0:0 classes=",
        "train=60000x1x28x28:0:0 classes=0",
        "train=60000x1x28x28:0:0 classes=1001",
    };
    nl_dataset_info info;

    (void)state;
    assert_int_equal(nl_dataset_shape(NL_HDF5, NULL, "here", &info), NL_ERR_DATA);
    for (size_t k = 0; k < NL_COUNT(texts); k++) {
        assert_int_equal(nl_dataset_shape(NL_HDF5, texts[k], "here", &info), NL_ERR_DATA);
    }
    assert_int_equal(nl_dataset_shape(NL_CIFAR10, NULL, "here", &info), NL_OK);
    assert_int_equal(info.inputs, 3072);
    assert_int_equal(info.classes, 10);
}

/* Pixels have few values: twice as many bytes come out where bytes are sorted before. */
static void images_of_a_large_probe_are_packed_small_and_read_by_others(void **state)
{
    enum { images = 7000, pixels = 784 };
    const size_t dims[2] = {images, pixels};
    float *x = calloc((size_t)images * pixels, sizeof *x);
    float *back = calloc((size_t)images * pixels, sizeof *back);
    unsigned char *image = NULL;
    size_t length = 0;
    nl_h5 *file = NULL;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t again = H5I_INVALID_HID;
    hid_t set = H5I_INVALID_HID;
    uint32_t draw = 1;

    (void)state;
    for (size_t k = 0; k < (size_t)images * pixels; k++) {
        draw = draw * 1664525U + 1013904223U;
        x[k] = ((float)(draw >> 24) / 255.0F - 0.1307F) / 0.3081F; /* incompressible bytes */
    }
    assert_int_equal(nl_h5_create(&file), NL_OK);
    assert_int_equal(nl_h5_put_deflated(file, "/probe/inputs", NL_H5_FLOAT, 2, dims, x), NL_OK);
    assert_int_equal(nl_h5_image(file, &image, &length), NL_OK);
    nl_h5_close(&file);
    assert_true((double)length < 0.45 * images * pixels * sizeof *x); /* shuffled: 0.8 */
    H5Pset_fapl_core(access, 1 << 20, false);
    assert_true(H5Pset_file_image(access, image, length) >= 0);
    again = H5Fopen("image", H5F_ACC_RDONLY, access);
    set = H5Dopen2(again, "/probe/inputs", H5P_DEFAULT);
    assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    assert_memory_equal(x, back, (size_t)images * pixels * sizeof *x);
    H5Dclose(set);
    H5Fclose(again);
    H5Pclose(access);
    free(image);
    free(back);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_become_planes_for_every_type),
        cmocka_unit_test(other_types_are_refused),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_noticed),
        cmocka_unit_test(shapes_come_back_from_fingerprints),
        cmocka_unit_test(other_texts_tell_no_shape),
        cmocka_unit_test(images_of_a_large_probe_are_packed_small_and_read_by_others),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
