/** @file files.c  Open and read original files; every way in which they can be broken. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    deflate_limit = 1032, /* no deflate stream expands more than this (zlib's technical notes) */
    packed_size = 1 << 18,
    inflate_limit = 1 << 30, /* zlib counts in unsigned int */
};

static const uint8_t gzip_magic[2] = {0x1f, 0x8b}; /* RFC 1952 */

/* Tell gzip by its first bytes and get ready to inflate it. */
static nl_status prepare_unpacking(nl_data_file *file)
{
    uint8_t magic[sizeof gzip_magic];
    size_t got = fread(magic, 1, sizeof magic, file->stream);

    rewind(file->stream);
    file->plain = got < sizeof magic || memcmp(magic, gzip_magic, sizeof magic) != 0;
    if (file->plain) {
        return NL_OK;
    }
    file->packed = nl_calloc(packed_size, 1);
    if (file->packed == NULL || inflateInit2(&file->unpack, 15 + 16) != Z_OK) { /* 16: gzip only */
        free(file->packed);
        file->packed = NULL;
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for decompression", file->path);
    }
    file->in_member = true;
    return NL_OK;
}

nl_status nl_data_file_open(const char *path, nl_data_file *file)
{
    char why[nl_excuse_width];
    struct stat status;
    int handle = -1;
    nl_status st = NL_OK;

    *file = (nl_data_file){.path = strdup(path)};
    if (file->path == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", path);
    }
    handle = (int)NL_REPEAT(
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)); /* no waiting for a pipe's writer */
    file->stream = handle >= 0 ? fdopen(handle, "rb") : NULL;
    if (file->stream == NULL || fstat(fileno(file->stream), &status) != 0) {
        st = NL_FAIL(NL_ERR_DATA, "%s: cannot be opened for reading: %s", path,
                     nl_path_excuse(path, errno, why));
        goto done;
    }
    if (!S_ISREG(status.st_mode)) {
        st = NL_FAIL(NL_ERR_DATA, "%s: expected a regular file", path);
        goto done;
    }
    file->disk = (uint64_t)status.st_size;
    st = prepare_unpacking(file);

done:
    if (st != NL_OK) {
        nl_data_file_close(file);
    }
    return st;
}

void nl_data_file_close(nl_data_file *file)
{
    if (file->packed != NULL) {
        inflateEnd(&file->unpack);
        free(file->packed);
    }
    if (file->stream != NULL) {
        fclose(file->stream);
    }
    free(file->path);
    *file = (nl_data_file){0};
}

/* Next bytes of the file itself; fewer than asked for only at its end. */
static nl_status read_stream(nl_data_file *file, void *out, size_t size, size_t *got)
{
    errno = 0;
    *got = fread(out, 1, size, file->stream);
    if (*got < size && ferror(file->stream)) {
        return NL_FAIL(NL_ERR_DATA, "%s: cannot be read: %s", file->path, strerror(errno));
    }
    return NL_OK;
}

/* Have packed bytes at hand; `ended` where the file ends, which it may only between members. */
static nl_status refill(nl_data_file *file, bool *ended)
{
    size_t got = 0;
    nl_status st = NL_OK;

    *ended = false;
    if (file->unpack.avail_in > 0) {
        return NL_OK;
    }
    st = read_stream(file, file->packed, packed_size, &got);
    file->unpack.next_in = file->packed;
    file->unpack.avail_in = (unsigned)got;
    *ended = got == 0;
    if (st == NL_OK && *ended && file->in_member) {
        st = NL_FAIL(NL_ERR_DATA,
                     "%s: its gzip data end too early, expected a whole gzip file: truncated, "
                     "fetch it again",
                     file->path);
    }
    return st;
}

/* Inflate what is at hand into at most `size` bytes. */
static nl_status unpack_some(nl_data_file *file, uint8_t *out, size_t size, size_t *got)
{
    z_stream *z = &file->unpack;
    unsigned room = (unsigned)(size < inflate_limit ? size : inflate_limit);
    int code = Z_OK;

    if (!file->in_member) { /* what follows a member must be another */
        if (z->next_in[0] != gzip_magic[0]) {
            return NL_FAIL(NL_ERR_DATA,
                           "%s: bytes too many at its end, expected none after its gzip data: "
                           "fetch it again",
                           file->path);
        }
        inflateReset(z);
        file->in_member = true;
    }
    z->next_out = out;
    z->avail_out = room;
    code = inflate(z, Z_NO_FLUSH);
    *got = room - z->avail_out;
    if (code == Z_STREAM_END) {
        file->in_member = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return NL_FAIL(code == Z_MEM_ERROR ? NL_ERR_NOMEM : NL_ERR_DATA,
                       "%s: damaged gzip data (%s), expected a whole gzip file: fetch it again",
                       file->path, z->msg != NULL ? z->msg : zError(code));
    }
    return NL_OK;
}

nl_status nl_data_file_read(nl_data_file *file, void *out, size_t size, size_t *got)
{
    bool ended = false;
    nl_status st = NL_OK;

    *got = 0;
    if (file->plain) {
        st = read_stream(file, out, size, got);
    }
    while (!file->plain && st == NL_OK && *got < size) {
        size_t more = 0;

        st = refill(file, &ended);
        if (st != NL_OK || ended) {
            break;
        }
        st = unpack_some(file, (uint8_t *)out + *got, size - *got, &more);
        *got += more;
    }
    file->position += *got;
    return st;
}

static nl_status wrong_length(const nl_data_file *file, uint64_t length, uint64_t expected)
{
    bool shorter = length < expected;

    return NL_FAIL(NL_ERR_DATA,
                   "%s: holds %s%" PRIu64 " bytes, expected %" PRIu64 ": %s, fetch it again",
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

/* The part of a path at which it ends, if that is a link: "a -> b"; false where it is none. */
static bool find_broken_link(char *path, char out[nl_excuse_width])
{
    char target[nl_excuse_width / 2];
    struct stat entry;

    while (lstat(path, &entry) != 0) {
        char *slash = strrchr(path, '/');

        if (slash == NULL || slash == path) {
            return false;
        }
        *slash = '\0';
    }
    if (S_ISLNK(entry.st_mode)) {
        const ssize_t length = readlink(path, target, sizeof target);

        snprintf(out, nl_excuse_width, "%.200s is a link to %.*s, which is not there", path,
                 length < 0 ? 0 : (int)length, target);
        return true;
    }
    return false;
}

const char *nl_path_excuse(const char *path, int error, char out[nl_excuse_width])
{
    char *copy = error == ENOENT ? strdup(path) : NULL;

    if (copy == NULL || !find_broken_link(copy, out)) {
        snprintf(out, nl_excuse_width, "%s", strerror(error));
    }
    free(copy);
    return out;
}
