/** @file cifar.c  CIFAR-10, binary version: records of a label byte and 3 x 32 x 32 pixel bytes.
 *  Format: Krizhevsky, "The CIFAR-10 dataset".  Any number of training files, any whole number of
 *  records a file. */
#include "cifar.h"
#include "files.h"
#include "find.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    image_size = 3 * 32 * 32,
    record_size = 1 + image_size,
    chunk = 32, /* records read at a time: fits the second-level cache */
};

static const char *const test_names[] = {"test_batch.bin", NULL};

typedef struct batch {
    char *path; /* owned */
    unsigned long number;
    bool gzipped;
} batch;

typedef struct batch_list {
    batch *items; /* owned, numbers ascending */
    size_t count;
} batch_list;

/* The number in data_batch_<number>.bin or .bin.gz; false for other names. */
static bool batch_number(const char *name, unsigned long *number, bool *gzipped)
{
    static const char prefix[] = "data_batch_";
    const char *digits = name + sizeof prefix - 1;
    char *end = NULL;

    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || *digits < '0' || *digits > '9') {
        return false;
    }
    errno = 0;
    *number = strtoul(digits, &end, 10);
    *gzipped = strcmp(end, ".bin.gz") == 0;
    return errno == 0 && (*gzipped || strcmp(end, ".bin") == 0);
}

static int by_number(const void *left, const void *right)
{
    const batch *a = left;
    const batch *b = right;

    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    return (int)a->gzipped - (int)b->gzipped;
}

static void free_batches(batch_list *list)
{
    for (size_t k = 0; k < list->count; k++) {
        free(list->items[k].path);
    }
    free(list->items);
    *list = (batch_list){0};
}

static nl_status append_batch(batch_list *list, const char *folder, const char *name, batch item)
{
    batch *items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items != NULL) {
        list->items = items;
    }
    if (items == NULL || asprintf(&item.path, "%s/%s", folder, name) < 0) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the list of its files", folder);
    }
    items[list->count++] = item;
    return NL_OK;
}

/* Of a file that lies there plain and gzipped, the plain one is taken, as elsewhere.
 * differing: told of those that are not the same; NULL: nobody is */
static void drop_repeated(batch_list *list, nl_text *differing)
{
    size_t kept = 0;

    for (size_t k = 0; k < list->count; k++) {
        if (kept > 0 && list->items[kept - 1].number == list->items[k].number) {
            if (differing != NULL) {
                nl_data_files_compare(list->items[kept - 1].path, list->items[k].path, differing);
            }
            free(list->items[k].path);
        } else {
            list->items[kept++] = list->items[k];
        }
    }
    list->count = kept;
}

/* All training files of a folder in the order of their numbers; an empty list is no error. */
static nl_status list_training(const char *folder, batch_list *list, nl_text *differing)
{
    DIR *stream = opendir(folder);
    nl_status st = NL_OK;

    *list = (batch_list){0};
    if (stream == NULL) {
        return NL_FAIL(NL_ERR_DATA, "%s: cannot be listed: %s", folder, strerror(errno));
    }
    for (struct dirent *entry = readdir(stream); st == NL_OK && entry != NULL;
         entry = readdir(stream)) {
        batch item = {0};

        if (batch_number(entry->d_name, &item.number, &item.gzipped)) {
            st = append_batch(list, folder, entry->d_name, item);
        }
    }
    closedir(stream);
    if (st != NL_OK) {
        free_batches(list);
        return st;
    }
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof *list->items, by_number);
        drop_repeated(list, differing);
    }
    return NL_OK;
}

static nl_status list_test(const char *folder, batch_list *list)
{
    nl_status st = NL_OK;

    *list = (batch_list){.items = calloc(1, sizeof *list->items), .count = 1};
    if (list->items == NULL) {
        list->count = 0;
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the list of its files", folder);
    }
    st = nl_data_file_find(NL_CIFAR10, folder, test_names, &list->items[0].path);
    if (st != NL_OK) {
        free_batches(list);
    }
    return st;
}

/* The Python version of the set, which torchvision downloads, holds the same in other files. */
static bool holds_python_version(const char *folder)
{
    static const char *const names[] = {"cifar-10-batches-py", "data_batch_1"};
    bool found = false;

    for (size_t k = 0; k < NL_COUNT(names); k++) {
        char *path = NULL;

        if (asprintf(&path, "%s/%s", folder, names[k]) >= 0) {
            found = found || access(path, F_OK) == 0;
            free(path);
        }
    }
    return found;
}

static nl_status training_missing(const char *folder)
{
    if (holds_python_version(folder)) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: holds the Python version of CIFAR-10, expected the binary version "
                       "(data_batch_1.bin, ...): `tools/fetch-data cifar10 %s` downloads it",
                       folder, folder);
    }
    return nl_data_file_missing(NL_CIFAR10, folder, "data_batch_1.bin");
}

/* Training files of the folder, or of the subfolder of the original archive, and which of the two
 * it is.  differing: as in drop_repeated */
static nl_status find_training(const char *folder, batch_list *list, char **found,
                               nl_text *differing)
{
    nl_status st = list_training(folder, list, differing);

    *found = NULL;
    if (st == NL_OK &&
        asprintf(found, "%s%s", folder, list->count == 0 ? "/cifar-10-batches-bin" : "") < 0) {
        *found = NULL;
        free_batches(list);
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", folder);
    }
    if (st == NL_OK && list->count == 0 && access(*found, F_OK) == 0) {
        st = list_training(*found, list, differing);
    }
    if (st == NL_OK && list->count == 0) {
        st = training_missing(folder);
    }
    return st;
}

static nl_status list_files(const char *folder, bool test, batch_list *list)
{
    char *found = NULL;
    nl_status st = find_training(folder, list, &found, NULL);

    if (st == NL_OK && test) { /* beside the training files */
        free_batches(list);
        st = list_test(found, list);
    }
    free(found);
    return st;
}

/* Records in one file: from its size where it is plain, else by decompressing it. */
static nl_status count_records(const char *path, uint64_t *records)
{
    uint8_t *buffer = nl_calloc(chunk, record_size);
    nl_data_file file = {0};
    uint64_t size = 0;
    size_t got = 0;
    nl_status st = NL_OK;

    if (buffer == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for reading", path);
    }
    st = nl_data_file_open(path, &file);
    if (st != NL_OK) {
        goto done;
    }
    size = file.disk;
    if (!file.plain) {
        do {
            st = nl_data_file_read(&file, buffer, (size_t)chunk * record_size, &got);
        } while (st == NL_OK && got > 0);
        size = file.position;
    }
    *records = size / record_size;
    if (st == NL_OK && (size == 0 || size % record_size != 0)) {
        st = NL_FAIL(NL_ERR_DATA,
                     "%s: holds %" PRIu64 " bytes, expected a whole number of records of %d bytes "
                     "(label and 3 x 32 x 32 pixels): truncated, or not the binary version",
                     path, size, record_size);
    }

done:
    nl_data_file_close(&file);
    free(buffer);
    return st;
}

nl_status nl_cifar_probe(const char *folder, bool test, int *count)
{
    batch_list list;
    uint64_t total = 0;
    nl_status st = list_files(folder, test, &list);

    *count = 0;
    for (size_t k = 0; st == NL_OK && k < list.count; k++) {
        uint64_t records = 0;

        st = count_records(list.items[k].path, &records);
        total += records;
    }
    if (st == NL_OK && total > INT_MAX) {
        st = NL_FAIL(NL_ERR_DATA, "%s: holds %" PRIu64 " images, expected at most %d", folder,
                     total, INT_MAX);
    }
    if (st == NL_OK) {
        *count = (int)total;
    }
    free_batches(&list);
    return st;
}

/* Images of one file, from `*done` of `count` on. */
static nl_status read_records(const char *path, uint8_t *buffer, int count, int *done,
                              uint8_t *pixels, uint8_t *labels)
{
    const int first = *done;
    nl_data_file file = {0};
    size_t got = 0;
    nl_status st = nl_data_file_open(path, &file);

    while (st == NL_OK) {
        int records = 0;

        st = nl_data_file_read(&file, buffer, (size_t)chunk * record_size, &got);
        records = (int)(got / record_size);
        if (st != NL_OK || got == 0) {
            break;
        }
        if (got % record_size != 0 || records > count - *done) {
            st = NL_FAIL(NL_ERR_DATA, "%s: its length differs from that of a moment ago", path);
            break;
        }
        for (int k = 0; k < records; k++) {
            const uint8_t *record = buffer + (size_t)k * record_size;

            labels[*done + k] = record[0];
            memcpy(pixels + (size_t)(*done + k) * image_size, record + 1, image_size);
        }
        st = nl_labels_check(path, labels + *done, records, *done - first);
        *done += records;
    }
    nl_data_file_close(&file);
    return st;
}

nl_status nl_cifar_read(const char *folder, bool test, int count, uint8_t *pixels, uint8_t *labels)
{
    uint8_t *buffer = nl_calloc(chunk, record_size);
    batch_list list = {0};
    int done = 0;
    nl_status st = NL_OK;

    if (buffer == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for reading", folder);
    }
    st = list_files(folder, test, &list);
    for (size_t k = 0; st == NL_OK && k < list.count; k++) {
        st = read_records(list.items[k].path, buffer, count, &done, pixels, labels);
    }
    if (st == NL_OK && done != count) {
        st = NL_FAIL(NL_ERR_DATA, "%s: now holds %d images, expected %d as a moment ago", folder,
                     done, count);
    }
    free_batches(&list);
    free(buffer);
    return st;
}

void nl_cifar_compare_copies(const char *folder, nl_text *lines)
{
    batch_list list = {0};
    char *found = NULL;

    if (find_training(folder, &list, &found, lines) == NL_OK) {
        nl_data_file_compare_copies(found, test_names, lines);
    }
    free_batches(&list);
    free(found);
}
