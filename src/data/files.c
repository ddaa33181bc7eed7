/** @file files.c  Find, open and read original files; every way in which they can be broken. */
#include "files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    deflate_limit = 1032,  /* no deflate stream expands more than this (zlib's technical notes) */
    buffer_size = 1 << 18, /* of zlib; its default of 8 KiB costs time */
    read_limit = 1 << 30,  /* gzread() counts in unsigned int */
};

nl_status nl_data_folder_check(nl_source source, const char *folder)
{
    const char *name = nl_source_name(source);
    struct stat status;

    if (folder == NULL || folder[0] == '\0') {
        return NL_FAIL(NL_ERR_DATA,
                       "no folder is named for the original files of %s: set data.path or "
                       "NTKLENS_DATA (`tools/fetch-data %s DIR` downloads them)",
                       name, name);
    }
    if (stat(folder, &status) != 0) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s, expected the folder with the original files of %s: "
                       "`tools/fetch-data %s %s` downloads them; or set data.path or NTKLENS_DATA",
                       folder, errno == ENOENT ? "no such folder" : strerror(errno), name, name,
                       folder);
    }
    if (!S_ISDIR(status.st_mode)) {
        return NL_FAIL(NL_ERR_DATA, "%s: is a file, expected the folder with the files of %s",
                       folder, name);
    }
    return NL_OK;
}

nl_status nl_data_file_missing(nl_source source, const char *folder, const char *name)
{
    return NL_FAIL(NL_ERR_DATA,
                   "%s/%s: no such file, plain or with .gz: `tools/fetch-data %s %s` downloads it; "
                   "or set data.path or NTKLENS_DATA",
                   folder, name, nl_source_name(source), folder);
}

nl_status nl_data_file_find(nl_source source, const char *folder, const char *const *names,
                            char **path)
{
    static const char *const suffixes[] = {"", ".gz"};

    *path = NULL;
    for (size_t k = 0; names[k] != NULL; k++) {
        for (size_t s = 0; s < NL_COUNT(suffixes); s++) {
            if (asprintf(path, "%s/%s%s", folder, names[k], suffixes[s]) < 0) {
                *path = NULL;
                return NL_FAIL(NL_ERR_NOMEM, "%s/%s: out of memory for the path", folder, names[k]);
            }
            if (access(*path, F_OK) == 0) {
                return NL_OK;
            }
            free(*path);
            *path = NULL;
        }
    }
    return nl_data_file_missing(source, folder, names[0]);
}

nl_status nl_data_file_open(const char *path, nl_data_file *file)
{
    struct stat status;
    nl_status st = NL_OK;

    *file = (nl_data_file){.path = strdup(path)};
    if (file->path == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", path);
    }
    if (stat(path, &status) != 0) {
        st = NL_FAIL(NL_ERR_DATA, "%s: cannot be looked at: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(status.st_mode)) {
        st = NL_FAIL(NL_ERR_DATA, "%s: expected a regular file", path);
        goto done;
    }
    file->disk = (uint64_t)status.st_size;
    errno = 0;
    file->stream = gzopen(path, "rb");
    if (file->stream == NULL) {
        st = NL_FAIL(NL_ERR_DATA, "%s: cannot be opened for reading: %s", path,
                     errno != 0 ? strerror(errno) : "out of memory");
        goto done;
    }
    gzbuffer(file->stream, buffer_size);
    file->plain = gzdirect(file->stream) != 0;

done:
    if (st != NL_OK) {
        nl_data_file_close(file);
    }
    return st;
}

void nl_data_file_close(nl_data_file *file)
{
    if (file->stream != NULL) {
        gzclose_r(file->stream);
    }
    free(file->path);
    *file = (nl_data_file){0};
}

/* Why zlib gave less than asked for; NL_OK at the plain end of the content. */
static nl_status explain_short_read(const nl_data_file *file)
{
    int code = Z_OK;
    const char *text = gzerror(file->stream, &code);
    size_t prefix = strlen(file->path) + 2; /* zlib puts "path: " in front */

    switch (code) {
    case Z_OK:
    case Z_STREAM_END:
        return NL_OK;
    case Z_BUF_ERROR:
        return NL_FAIL(NL_ERR_DATA,
                       "%s: the gzip data end too early, expected a whole gzip file: truncated, "
                       "fetch it again",
                       file->path);
    case Z_ERRNO:
        return NL_FAIL(NL_ERR_DATA, "%s: cannot be read: %s", file->path, strerror(errno));
    case Z_MEM_ERROR:
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for decompression", file->path);
    default:
        return NL_FAIL(NL_ERR_DATA,
                       "%s: damaged gzip data (%s), expected a whole gzip file: fetch it again",
                       file->path, strlen(text) > prefix ? text + prefix : text);
    }
}

nl_status nl_data_file_read(nl_data_file *file, void *out, size_t size, size_t *got)
{
    uint8_t *bytes = out;

    *got = 0;
    while (*got < size) {
        size_t left = size - *got;
        unsigned ask = (unsigned)(left < read_limit ? left : read_limit);
        int count = gzread(file->stream, bytes + *got, ask);

        if (count > 0) {
            *got += (size_t)count;
            file->position += (uint64_t)count;
        }
        if (count < 0 || (unsigned)count < ask) {
            return explain_short_read(file);
        }
    }
    return NL_OK;
}

static nl_status wrong_length(const nl_data_file *file, uint64_t length, uint64_t expected)
{
    bool shorter = length < expected;

    return NL_FAIL(NL_ERR_DATA,
                   "%s: holds %s%" PRIu64 " bytes, expected %" PRIu64
                   " from its header: %s, fetch it again",
                   file->path, shorter ? "only " : "", length, expected,
                   shorter ? "truncated" : "bytes too many at its end");
}

nl_status nl_data_file_read_exact(nl_data_file *file, void *out, size_t size, uint64_t expected)
{
    size_t got = 0;
    nl_status st = nl_data_file_read(file, out, size, &got);

    if (st == NL_OK && got < size) {
        st = wrong_length(file, file->position, expected);
    }
    return st;
}

nl_status nl_data_file_check_size(const nl_data_file *file, uint64_t expected)
{
    if (file->plain && file->disk != expected) {
        return wrong_length(file, file->disk, expected);
    }
    if (!file->plain && expected / deflate_limit > file->disk) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %" PRIu64 " gzipped bytes cannot hold the %" PRIu64
                       " bytes expected from its header: truncated or damaged, fetch it again",
                       file->path, file->disk, expected);
    }
    return NL_OK;
}

nl_status nl_data_file_expect_end(nl_data_file *file)
{
    uint64_t expected = file->position;
    uint8_t rest[4096];
    size_t got = 0;
    nl_status st = NL_OK;

    do { /* count what is too many, for the message */
        st = nl_data_file_read(file, rest, sizeof rest, &got);
    } while (st == NL_OK && got == sizeof rest);
    if (st == NL_OK && file->position != expected) {
        st = wrong_length(file, file->position, expected);
    }
    return st;
}

nl_status nl_labels_check(const char *path, const uint8_t *labels, int count, int first)
{
    for (int k = 0; k < count; k++) {
        if (labels[k] >= nl_class_count) {
            return NL_FAIL(NL_ERR_DATA, "%s: label %d of image %d (from 0), expected 0 to %d", path,
                           labels[k], first + k, nl_class_count - 1);
        }
    }
    return NL_OK;
}
