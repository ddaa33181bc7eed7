/** @file file.c  Files that are whole or absent. */
#include "ntklens/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/** Ends a sealed file, behind its content.  Little-endian on disk; every bit is checked. */
typedef struct trailer {
    unsigned char magic[8];
    unsigned char length[8]; /* of the content, bytes */
    unsigned char crc32[4];  /* of the content, zlib's */
    unsigned char zero[4];
} trailer;

static const unsigned char trailer_magic[8] = {'N', 'T', 'K', 'L', 'E', 'N', 'S', '1'};

static void put_little_endian(unsigned char *to, int bytes, uint64_t value)
{
    for (int k = 0; k < bytes; k++) {
        to[k] = (unsigned char)(value >> (8 * k));
    }
}

static trailer make_trailer(const void *bytes, size_t length)
{
    trailer end = {0};

    memcpy(end.magic, trailer_magic, sizeof trailer_magic);
    put_little_endian(end.length, 8, length);
    put_little_endian(end.crc32, 4, crc32_z(0, bytes, length));
    return end;
}

static nl_status write_failed(const char *path, const char *act)
{
    const int error = errno;
    const nl_status status = nl_write_status(error);

    return NL_FAIL(status, "%s: %s failed: %s%s", path, act, strerror(error),
                   nl_write_advice(status));
}

static bool write_all(int file, const void *bytes, size_t length)
{
    const char *from = bytes;

    while (length > 0) {
        ssize_t wrote = write(file, from, length);

        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        if (wrote > 0) {
            from += wrote;
            length -= (size_t)wrote;
        }
    }
    return true;
}

/* A rename is only safe from a power cut once the folder's entry is on disk as well. */
static bool sync_folder_of(const char *path)
{
    char *copy = strdup(path);
    int folder = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool synced =
        folder >= 0 && (fsync(folder) == 0 || errno == EINVAL); /* not on every file system */

    if (folder >= 0) {
        close(folder);
    }
    free(copy);
    return synced;
}

/* Content and trailer into a file of that name, on disk when it returns. */
static nl_status write_through(const char *name, const char *path, const void *bytes, size_t length,
                               nl_seal seal)
{
    const trailer end = make_trailer(bytes, length);
    nl_status status = NL_OK;
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (file < 0) {
        return write_failed(name, "creating it");
    }
    if (!write_all(file, bytes, length) ||
        (seal == NL_SEALED && !write_all(file, &end, sizeof end))) {
        status = write_failed(path, "writing");
    } else if (fsync(file) != 0) {
        status = write_failed(path, "fsync");
    }
    if (close(file) != 0 && status == NL_OK) {
        status = write_failed(path, "closing");
    }
    return status;
}

/* A sealed file is read back before it takes the place of another. */
static nl_status verify(const char *name, nl_seal seal)
{
    unsigned char *back = NULL;
    size_t length = 0;
    nl_status status = seal == NL_SEALED ? nl_file_read(name, seal, &back, &length) : NL_OK;

    free(back);
    return status == NL_ERR_IO && !nl_path_exists(name) ? NL_ERR_DENIED : status; /* removed */
}

/* The file at `path` gets a second name, so that one stands at `path` at any moment; it is moved
 * where the file system knows no links.  Fine where there is none. */
static bool keep_file(const char *path, const char *keep)
{
    nl_text temporary = {0};
    bool kept = false;
    int error = ENOMEM;

    nl_text_append(&temporary, "%s.tmp", keep);
    if (!temporary.failed) {
        unlink(temporary.data);
        kept = link(path, temporary.data) == 0 ? rename(temporary.data, keep) == 0
                                               : errno == ENOENT || rename(path, keep) == 0;
        error = errno;
        unlink(temporary.data); /* still there where both were names of one file */
    }
    nl_text_free(&temporary);
    errno = error;
    return kept;
}

nl_status nl_file_write_kept(const char *path, const char *keep, const void *bytes, size_t length,
                             nl_seal seal)
{
    nl_text temporary = {0};
    nl_status status = NL_OK;

    nl_text_append(&temporary, "%s.tmp", path);
    if (temporary.failed) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
    }
    status = write_through(temporary.data, path, bytes, length, seal);
    if (status == NL_OK) {
        status = verify(temporary.data, seal);
    }
    if (status == NL_OK && keep != NULL && !keep_file(path, keep)) {
        status = write_failed(path, "keeping the previous one");
    }
    if (status == NL_OK && (rename(temporary.data, path) != 0 || !sync_folder_of(path))) {
        status = write_failed(path, "renaming it into place");
    }
    if (status != NL_OK) {
        unlink(temporary.data);
    }
    nl_text_free(&temporary);
    return status;
}

nl_status nl_file_write_atomic(const char *path, const void *bytes, size_t length, nl_seal seal)
{
    return nl_file_write_kept(path, NULL, bytes, length, seal);
}

nl_status nl_file_write_text(const char *folder, const char *name, const nl_text *text)
{
    char *path = nl_path_join(folder, name);
    nl_status status = path == NULL || text->failed
                           ? NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for %s", folder, name)
                           : nl_file_write_atomic(path, text->data, text->length, NL_PLAIN);

    free(path);
    return status;
}

/* Check the trailer and take it off. */
static nl_status unseal(const char *path, const unsigned char *bytes, size_t *length)
{
    trailer expected;

    if (*length < sizeof expected) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: %zu bytes, too short for its end mark", path,
                       *length);
    }
    *length -= sizeof expected;
    expected = make_trailer(bytes, *length);
    if (memcmp(bytes + *length, &expected, sizeof expected) != 0) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: its content does not match its end mark",
                       path);
    }
    return NL_OK;
}

/* Is it what a shell hands over, <(command) or a pipe into /dev/stdin? */
static bool is_handed_over(const char *path)
{
    return strcmp(path, "/dev/stdin") == 0 || strncmp(path, "/dev/fd/", 8) == 0 ||
           strncmp(path, "/proc/self/fd/", 14) == 0;
}

/* Open for reading what ends and is no larger than `limit`: neither a pipe that nobody writes to
 * nor a device can hold the program up. */
static nl_status open_to_read(const char *path, size_t limit, bool handed_over, int *file)
{
    struct stat entry;
    const char *kind = NULL;

    *file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (handed_over ? 0 : O_NONBLOCK));
    if (*file < 0 || fstat(*file, &entry) != 0) {
        return NL_FAIL(NL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (S_ISDIR(entry.st_mode)) {
        kind = "a folder";
    } else if (!S_ISREG(entry.st_mode) && !handed_over) {
        kind = S_ISFIFO(entry.st_mode) ? "a pipe" : "a device or socket";
    }
    if (kind != NULL) {
        return NL_FAIL(NL_ERR_IO, "%s: is %s, expected a file", path, kind);
    }
    if (S_ISREG(entry.st_mode) && (uintmax_t)entry.st_size > limit) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: has %jd bytes, expected %zu at most", path,
                       (intmax_t)entry.st_size, limit);
    }
    return NL_OK;
}

/* All that is left in a file. */
static nl_status read_all(int file, const char *path, size_t limit, nl_text *content)
{
    char part[65536];
    ssize_t got = 1;

    while (got != 0 && !content->failed) {
        got = read(file, part, sizeof part);
        if (got < 0 && errno != EINTR) {
            return NL_FAIL(NL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        }
        nl_text_append_bytes(content, part, got > 0 ? (size_t)got : 0); /* the NUL, in any case */
        if (content->length > limit) {
            return NL_FAIL(NL_ERR_DAMAGED, "%s: does not end after %zu bytes, expected no more",
                           path, limit);
        }
    }
    return content->failed
               ? NL_FAIL(NL_ERR_NOMEM, "%s: out of memory after %zu bytes", path, content->length)
               : NL_OK;
}

static nl_status read_file(const char *path, nl_seal seal, size_t limit, bool handed_over,
                           nl_text *content)
{
    int file = -1;
    nl_status status = open_to_read(path, limit, handed_over, &file);

    if (status == NL_OK) {
        status = read_all(file, path, limit, content);
    }
    if (status == NL_OK && seal == NL_SEALED) {
        status = unseal(path, (const unsigned char *)content->data, &content->length);
    }
    if (file >= 0) {
        close(file);
    }
    if (status != NL_OK) {
        nl_text_free(content);
        return status;
    }
    content->data[content->length] = '\0';
    return NL_OK;
}

nl_status nl_file_read_limited(const char *path, nl_seal seal, size_t limit, unsigned char **bytes,
                               size_t *length)
{
    nl_text content = {0};
    nl_status status = read_file(path, seal, limit, false, &content);

    *bytes = (unsigned char *)content.data;
    *length = content.length;
    return status;
}

nl_status nl_file_read(const char *path, nl_seal seal, unsigned char **bytes, size_t *length)
{
    return nl_file_read_limited(path, seal, SIZE_MAX, bytes, length);
}

nl_status nl_file_read_given(const char *path, size_t limit, unsigned char **bytes, size_t *length)
{
    nl_text content = {0};
    nl_status status = read_file(path, NL_PLAIN, limit, is_handed_over(path), &content);

    *bytes = (unsigned char *)content.data;
    *length = content.length;
    return status;
}

static nl_status create_one(const char *path)
{
    if (nl_path_is_folder(path)) {
        return NL_OK; /* most are there: what is not tried cannot fail */
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return write_failed(path, "creating the folder");
    }
    return NL_OK;
}

nl_status nl_folder_create(const char *path)
{
    char *copy = strdup(path);
    nl_status status = NL_OK;

    if (copy == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
    }
    for (char *slash = strchr(copy + 1, '/'); status == NL_OK && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = create_one(copy);
        *slash = '/';
    }
    if (status == NL_OK) {
        status = create_one(path);
    }
    if (status == NL_OK && !nl_path_is_folder(path)) {
        status = NL_FAIL(NL_ERR_IO, "%s: is not a folder", path);
    }
    free(copy);
    return status;
}

char *nl_path_join(const char *folder, const char *name)
{
    nl_text path = {0};

    if (name[0] == '/') {
        return strdup(name);
    }
    nl_text_append(&path, "%s/%s", folder, name);
    return path.failed ? NULL : path.data;
}

bool nl_path_exists(const char *path)
{
    struct stat entry;

    return stat(path, &entry) == 0;
}

bool nl_path_is_folder(const char *path)
{
    struct stat entry;

    return stat(path, &entry) == 0 && S_ISDIR(entry.st_mode);
}
