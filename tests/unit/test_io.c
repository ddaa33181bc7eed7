/** @file test_io.c  Atomic files, their trailer, and HDF5 images. */
#include "ntklens/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *not_to; /* a rename to this name fails */

/* Instead of the system's. */
int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    if (not_to != NULL && strcmp(to, not_to) == 0) {
        errno = EIO;
        return -1;
    }
    return renameat2(from_folder, from, to_folder, to, 0);
}

static int enter_scratch(void **state)
{
    char *folder = strdup("/tmp/ntklens-io-XXXXXX");

    *state = folder;
    return folder == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int leave_scratch(void **state)
{
    unlink("file");
    unlink("kept");
    rmdir("blocked");
    unlink("victim");
    unlink("link");
    unlink("full");
    rmdir("a/b");
    rmdir("a");
    if (chdir("/") != 0 || rmdir(*state) != 0) {
        return -1;
    }
    free(*state);
    return 0;
}

/* Names of the folder that end in ".tmp". */
static int temporaries(void)
{
    DIR *listing = opendir(".");
    int count = 0;

    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        const size_t length = strlen(entry->d_name);

        count += length > 4 && strcmp(entry->d_name + length - 4, ".tmp") == 0;
    }
    closedir(listing);
    return count;
}

static void what_was_written_is_read_and_no_temporary_stays(void **state)
{
    unsigned char *bytes = NULL;
    size_t length = 0;

    (void)state;
    assert_int_equal(nl_file_write_atomic("file", "abc", 3, NL_SEALED), NL_OK);
    assert_int_equal(nl_file_read("file", NL_SEALED, &bytes, &length), NL_OK);
    assert_int_equal(length, 3);
    assert_string_equal((char *)bytes, "abc");
    free(bytes);
    assert_int_equal(nl_file_write_atomic("file", "", 0, NL_PLAIN), NL_OK);
    assert_int_equal(nl_file_read("file", NL_PLAIN, &bytes, &length), NL_OK);
    assert_int_equal(length, 0);
    free(bytes);
    assert_int_equal(temporaries(), 0);
}

static void every_flipped_bit_and_every_truncation_is_seen(void **state)
{
    unsigned char *good = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;
    size_t got = 0;

    (void)state;
    assert_int_equal(nl_file_write_atomic("file", "network", 7, NL_SEALED), NL_OK);
    assert_int_equal(nl_file_read("file", NL_PLAIN, &good, &length), NL_OK);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        good[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(nl_file_write_atomic("file", good, length, NL_PLAIN), NL_OK);
        assert_int_equal(nl_file_read("file", NL_SEALED, &bytes, &got), NL_ERR_DAMAGED);
        assert_null(bytes);
        good[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t shorter = 0; shorter < length; shorter++) {
        assert_int_equal(nl_file_write_atomic("file", good, shorter, NL_PLAIN), NL_OK);
        assert_int_equal(nl_file_read("file", NL_SEALED, &bytes, &got), NL_ERR_DAMAGED);
    }
    free(good);
}

/** Content in pieces of 1, 2, 3 ... bytes. */
typedef struct pieces {
    const unsigned char *bytes;
    size_t at, length, last;
} pieces;

static nl_status next_bytes(void *context, const void **bytes, size_t *length)
{
    pieces *p = context;

    p->last = p->last + 1 < p->length - p->at ? p->last + 1 : p->length - p->at;
    *bytes = p->bytes + p->at;
    *length = p->last;
    p->at += p->last;
    return NL_OK;
}

/* The file is that of a single piece; the reader meets every flip and every cut. */
static void sealed_files_are_written_and_read_in_pieces(void **state)
{
    unsigned char content[200];
    unsigned char back[200] = {0};
    pieces p = {.bytes = content, .length = sizeof content};
    unsigned char *bytes = NULL;
    unsigned char *whole = NULL;
    size_t length = 0;
    size_t same = 0;
    uint64_t told = 0;
    nl_sealed *sealed = NULL;

    (void)state;
    for (size_t k = 0; k < sizeof content; k++) {
        content[k] = (unsigned char)(37 * k);
    }
    assert_int_equal(nl_file_write_pieces("pieces", NL_SEALED, next_bytes, &p), NL_OK);
    assert_int_equal(nl_file_write_atomic("whole", content, sizeof content, NL_SEALED), NL_OK);
    assert_int_equal(nl_file_read("pieces", NL_PLAIN, &bytes, &length), NL_OK);
    assert_int_equal(nl_file_read("whole", NL_PLAIN, &whole, &same), NL_OK);
    assert_int_equal(length, same);
    assert_memory_equal(bytes, whole, length);
    assert_int_equal(nl_sealed_open("pieces", &sealed, &told), NL_OK);
    assert_int_equal(told, sizeof content);
    assert_int_equal(nl_sealed_read(sealed, back, 150), NL_OK);
    assert_int_equal(nl_sealed_read(sealed, back + 150, 51), NL_ERR_DAMAGED);
    assert_int_equal(nl_sealed_read(sealed, back + 150, 50), NL_OK);
    assert_memory_equal(back, content, sizeof content);
    nl_sealed_close(&sealed);
    for (size_t k = 0; k < length; k++) {
        bytes[k] ^= 1;
        assert_int_equal(nl_file_write_atomic("pieces", bytes, length, NL_PLAIN), NL_OK);
        assert_int_equal(nl_sealed_open("pieces", &sealed, &told), NL_ERR_DAMAGED);
        bytes[k] ^= 1;
        assert_int_equal(nl_file_write_atomic("pieces", bytes, k, NL_PLAIN), NL_OK);
        assert_int_equal(nl_sealed_open("pieces", &sealed, &told), NL_ERR_DAMAGED);
    }
    free(bytes);
    free(whole);
}

static void a_write_that_fails_keeps_the_old_file(void **state)
{
    unsigned char *bytes = NULL;
    size_t length = 0;

    (void)state;
    assert_int_equal(nl_folder_create("blocked"), NL_OK);
    assert_int_equal(nl_file_write_atomic("blocked", "new", 3, NL_PLAIN), NL_ERR_IO);
    assert_true(nl_path_is_folder("blocked"));
    assert_int_equal(nl_file_write_atomic("missing/file", "new", 3, NL_PLAIN), NL_ERR_DENIED);
    assert_int_equal(nl_file_write_atomic("file", "old", 3, NL_PLAIN), NL_OK);
    not_to = "file";
    assert_int_equal(nl_file_write_atomic("file", "new", 3, NL_PLAIN), NL_ERR_IO);
    not_to = NULL;
    assert_int_equal(nl_file_read("file", NL_PLAIN, &bytes, &length), NL_OK);
    assert_string_equal((char *)bytes, "old");
    free(bytes);
    assert_int_equal(temporaries(), 0);
}

/* What stands under a name that is written, or could be, is never written through. */
static void links_are_not_followed(void **state)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct stat entry;
    nl_log *log = NULL;

    (void)state;
    assert_int_equal(nl_file_write_atomic("victim", "mine", 4, NL_PLAIN), NL_OK);
    assert_int_equal(symlink("victim", "link"), 0);
    assert_int_equal(symlink("victim", "link.tmp"), 0);
    assert_int_equal(nl_log_open("link", &log), NL_ERR_USAGE);
    assert_null(log);
    assert_int_equal(nl_open_plain("link", O_RDWR | O_CREAT), -1);
    assert_int_equal(nl_file_write_kept("link", "link.kept", "new", 3, NL_PLAIN), NL_OK);
    assert_int_equal(lstat("link", &entry), 0);
    assert_true(S_ISREG(entry.st_mode));
    assert_int_equal(nl_file_read("victim", NL_PLAIN, &bytes, &length), NL_OK);
    assert_string_equal((char *)bytes, "mine");
    free(bytes);
    assert_int_equal(mkfifo("full", 0600), 0);
    assert_int_equal(nl_open_plain("full", O_RDWR), -1); /* and does not wait */
    assert_int_equal(nl_open_plain("full", O_WRONLY), -1);
    unlink("link.tmp");
    unlink("link.kept");
}

static void a_line_of_the_log_that_broke_off_is_ended(void **state)
{
    struct rlimit limit;
    struct rlimit small;
    nl_log *log = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;

    (void)state;
    unlink("torn");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(nl_log_open("torn", &log), NL_OK);
    small = limit;
    small.rlim_cur = 5; /* bytes, as a disk that is full */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    nl_log_event(log, "first", "a=1");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    nl_log_event(log, "second", "b=2");
    nl_log_close(&log);
    assert_int_equal(nl_file_read("torn", NL_PLAIN, &bytes, &length), NL_OK);
    assert_memory_equal(bytes, "first\nsecond time=", 18);
    free(bytes);
    unlink("torn");
}

static void folders_that_are_links_are_followed_where_they_are_ours(void **state)
{
    (void)state;
    unlink("link");
    assert_int_equal(nl_folder_create("a"), NL_OK);
    assert_int_equal(symlink("a", "link"), 0);
    assert_int_equal(nl_folder_create("link"), NL_OK);
    assert_int_equal(nl_file_write_atomic("link/file", "x", 1, NL_PLAIN), NL_OK);
    assert_int_equal(unlink("a/file"), 0);
    if (lchown("link", 12345, 12345) == 0) { /* root alone may */
        assert_int_equal(nl_folder_create("link"), NL_ERR_USAGE);
        assert_int_equal(nl_file_write_atomic("link/file", "x", 1, NL_PLAIN), NL_ERR_USAGE);
        assert_int_equal(nl_file_write_atomic("link//file", "x", 1, NL_PLAIN), NL_ERR_USAGE);
        assert_false(nl_path_exists("a/file"));
    }
}

static void temporary_names_are_known(void **state)
{
    (void)state;
    assert_true(nl_is_temporary("results.csv.0123456789abcdef.tmp"));
    assert_false(nl_is_temporary("results.csv.0123456789abcdeg.tmp"));
    assert_false(nl_is_temporary("0123456789abcdef.tmp"));
    assert_false(nl_is_temporary("results.csv.tmp"));
    assert_false(nl_is_temporary("results.csv.0123456789abcdef"));
    assert_false(nl_is_temporary(".tmp"));
}

static void expect_content(const char *path, const char *content)
{
    unsigned char *bytes = NULL;
    size_t length = 0;

    assert_int_equal(nl_file_read(path, NL_SEALED, &bytes, &length), NL_OK);
    assert_string_equal((char *)bytes, content);
    free(bytes);
}

static void a_file_stands_in_its_place_at_any_moment(void **state)
{
    (void)state;
    unlink("file");
    assert_int_equal(nl_file_write_kept("file", "kept", "1", 1, NL_SEALED), NL_OK);
    assert_false(nl_path_exists("kept"));
    not_to = "file";
    for (int again = 0; again < 2; again++) {
        assert_int_equal(nl_file_write_kept("file", "kept", "2", 1, NL_SEALED), NL_ERR_IO);
        expect_content("file", "1");
        expect_content("kept", "1");
    }
    not_to = NULL;
    assert_int_equal(nl_file_write_kept("file", "kept", "2", 1, NL_SEALED), NL_OK);
    expect_content("file", "2");
    expect_content("kept", "1");
    assert_int_equal(nl_file_write_kept("file", "kept", "3", 1, NL_SEALED), NL_OK);
    expect_content("kept", "2");
    assert_int_equal(temporaries(), 0);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    assert_int_equal(nl_folder_create("a/b"), NL_OK);
    assert_int_equal(nl_folder_create("a/b"), NL_OK);
    assert_true(nl_path_is_folder("a/b"));
    assert_int_equal(nl_file_write_atomic("file", "", 0, NL_PLAIN), NL_OK);
    assert_int_equal(nl_folder_create("file"), NL_ERR_USAGE);
    assert_int_equal(nl_folder_create("file/x"), NL_ERR_USAGE);
}

static void hdf5_images_keep_datasets_and_attributes(void **state)
{
    const double numbers[6] = {1, 2, 3, 4, 5, 6};
    const size_t dims[2] = {2, 3};
    double back[6] = {0};
    size_t shape[2] = {0};
    unsigned char *image = NULL;
    size_t length = 0;
    int64_t width = 0;
    char *name = NULL;
    nl_h5 *file = NULL;
    nl_h5_reader read;

    (void)state;
    assert_int_equal(nl_h5_create(&file), NL_OK);
    assert_int_equal(nl_h5_put(file, "/spectra/full/12", NL_H5_DOUBLE, 2, dims, numbers), NL_OK);
    assert_int_equal(nl_h5_put_deflated(file, "/probe", NL_H5_DOUBLE, 2, dims, numbers), NL_OK);
    assert_int_equal(nl_h5_put_int(file, "/", "width", 64), NL_OK);
    assert_int_equal(nl_h5_put_int(file, "/", "width", 128), NL_OK);
    assert_int_equal(nl_h5_put_text(file, "/spectra", "kernel", "full"), NL_OK);
    assert_int_equal(nl_h5_image(file, &image, &length), NL_OK);
    nl_h5_close(&file);
    assert_null(file);

    assert_int_equal(nl_h5_open_image(image, length, "image", &read), NL_OK);
    assert_int_equal(nl_h5_shape(&read, "/spectra/full/12", 2, shape), NL_OK);
    assert_memory_equal(shape, dims, sizeof dims);
    assert_int_equal(nl_h5_get(&read, "/spectra/full/12", NL_H5_DOUBLE, 6, back), NL_OK);
    assert_memory_equal(back, numbers, sizeof numbers);
    assert_int_equal(nl_h5_get(&read, "/probe", NL_H5_DOUBLE, 6, back), NL_ERR_DAMAGED);
    assert_int_equal(nl_h5_get_int(&read, "/", "width", &width), NL_OK);
    assert_int_equal(width, 128);
    assert_int_equal(nl_h5_get_text(&read, "/spectra", "kernel", &name), NL_OK);
    assert_string_equal(name, "full");
    assert_true(nl_h5_exists(&read, "/spectra/full"));
    assert_false(nl_h5_exists(&read, "/spectra/traced/12"));
    assert_int_equal(nl_h5_get(&read, "/spectra/full/12", NL_H5_DOUBLE, 5, back), NL_ERR_DAMAGED);
    assert_int_equal(nl_h5_shape(&read, "/nothing", 1, shape), NL_ERR_DAMAGED);
    free(name);
    assert_int_equal(nl_h5_open_image("not hdf5", 8, "no image", &read), NL_ERR_DAMAGED);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_and_no_temporary_stays),
        cmocka_unit_test(every_flipped_bit_and_every_truncation_is_seen),
        cmocka_unit_test(sealed_files_are_written_and_read_in_pieces),
        cmocka_unit_test(a_write_that_fails_keeps_the_old_file),
        cmocka_unit_test(a_file_stands_in_its_place_at_any_moment),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(a_line_of_the_log_that_broke_off_is_ended),
        cmocka_unit_test(folders_that_are_links_are_followed_where_they_are_ours),
        cmocka_unit_test(temporary_names_are_known),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(hdf5_images_keep_datasets_and_attributes),
    };

    return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
