/** @file seal.c  The end mark of sealed files; files that are read piece by piece behind its check.
 */
#include "seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { part_bytes = 1 << 16 };

static const unsigned char trailer_magic[8] = {'N', 'T', 'K', 'L', 'E', 'N', 'S', '1'};

static void put_little_endian(unsigned char *to, int bytes, uint64_t value)
{
    for (int k = 0; k < bytes; k++) {
        to[k] = (unsigned char)(value >> (8 * k));
    }
}

void nl_sealing_add(nl_sealing *sealing, const void *bytes, size_t length)
{
    sealing->crc32 = crc32_z(sealing->crc32, bytes, length);
    sealing->length += length;
}

nl_trailer nl_sealing_end(const nl_sealing *sealing)
{
    nl_trailer end = {0};

    memcpy(end.magic, trailer_magic, sizeof trailer_magic);
    put_little_endian(end.length, 8, sealing->length);
    put_little_endian(end.crc32, 4, sealing->crc32);
    return end;
}

/* All of `length` bytes. */
static nl_status read_whole(int file, const char *path, void *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        const ssize_t got = NL_REPEAT(read(file, (char *)bytes + at, length - at));

        if (got < 0) {
            return NL_FAIL(NL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        }
        if (got == 0) {
            return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: it ends too early", path);
        }
        at += (size_t)got;
    }
    return NL_OK;
}

nl_status nl_seal_check(int file, const char *path, uint64_t *length)
{
    unsigned char part[part_bytes];
    struct stat entry;
    nl_sealing sealing = {0};
    nl_trailer found;
    nl_trailer expected;
    nl_status status = NL_OK;

    *length = 0;
    if (fstat(file, &entry) != 0) {
        return NL_FAIL(NL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (entry.st_size < (off_t)sizeof found) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: %jd bytes, too short for its end mark", path,
                       (intmax_t)entry.st_size);
    }
    *length = (uint64_t)entry.st_size - sizeof found;
    while (status == NL_OK && sealing.length < *length) {
        const uint64_t left = *length - sealing.length;
        const size_t count = left < part_bytes ? (size_t)left : part_bytes;

        status = read_whole(file, path, part, count);
        nl_sealing_add(&sealing, part, count);
    }
    expected = nl_sealing_end(&sealing);
    if (status == NL_OK) {
        status = read_whole(file, path, &found, sizeof found);
    }
    if (status == NL_OK && memcmp(&found, &expected, sizeof found) != 0) {
        status =
            NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: its content does not match its end mark", path);
    }
    if (status == NL_OK && lseek(file, 0, SEEK_SET) != 0) {
        status = NL_FAIL(NL_ERR_IO, "%s: cannot be read again: %s", path, strerror(errno));
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Piece by piece
 *-------------------------------------------------------------------------------------------*/

struct nl_sealed {
    int file;
    char *path;    /* owned; for messages */
    uint64_t left; /* of the content */
};

nl_status nl_sealed_open(const char *path, nl_sealed **out, uint64_t *length)
{
    nl_sealed *sealed = calloc(1, sizeof *sealed);
    struct stat entry;
    nl_status status = NL_OK;

    *out = NULL;
    *length = 0;
    if (sealed == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
    }
    sealed->path = strdup(path);
    sealed->file =
        (int)NL_REPEAT(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK));
    if (sealed->path == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
    } else if (sealed->file < 0 || fstat(sealed->file, &entry) != 0) {
        status = NL_FAIL(NL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (!S_ISREG(entry.st_mode)) {
        status = NL_FAIL(NL_ERR_IO, "%s: is no regular file", path);
    } else {
        status = nl_seal_check(sealed->file, path, length);
        sealed->left = *length;
    }
    if (status != NL_OK) {
        nl_sealed_close(&sealed);
    }
    *out = sealed;
    return status;
}

nl_status nl_sealed_read(nl_sealed *sealed, void *bytes, size_t length)
{
    if (length > sealed->left) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: it holds less than it says", sealed->path);
    }
    sealed->left -= length;
    return read_whole(sealed->file, sealed->path, bytes, length);
}

void nl_sealed_close(nl_sealed **sealed)
{
    if (*sealed != NULL) {
        if ((*sealed)->file >= 0) {
            close((*sealed)->file);
        }
        free((*sealed)->path);
        free(*sealed);
        *sealed = NULL;
    }
}
