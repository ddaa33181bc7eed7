/** @file files.h  Private to the room: the original files, found, opened and checked.  No MPI. */
#ifndef NTKLENS_DATA_FILES_H
#define NTKLENS_DATA_FILES_H

#include "ntklens/data.h"

#include <zlib.h>

enum { nl_class_count = 10 }; /* of every source so far */

/*---------------------------------------------------------------------------------------------
 * Where the files are.  names: those that one file may have, ended by NULL; each may lie there as
 * it is or with .gz
 *-------------------------------------------------------------------------------------------*/

enum { nl_excuse_width = 512 };

/** Why a path could not be used, by errno; of a link that leads nowhere it says where to. */
const char *nl_path_excuse(const char *path, int error, char out[nl_excuse_width]);

/*---------------------------------------------------------------------------------------------
 * One file, plain or gzipped: what it is is told by its content, not by its name
 *-------------------------------------------------------------------------------------------*/

/** Zero-initialise; close with nl_data_file_close(). */
typedef struct nl_data_file {
    FILE *stream;      /* owned */
    char *path;        /* owned */
    uint64_t disk;     /* bytes on disk */
    uint64_t position; /* bytes of content read so far */
    bool plain;        /* not gzipped: `disk` is the length of its content */

    /* gzipped files only */
    uint8_t *packed; /* owned; bytes of the file that wait to be inflated */
    z_stream unpack; /* owned where `packed` is */
    bool in_member;  /* a gzip member has begun and not ended; a file may hold several */
} nl_data_file;

/** The path is copied. */
NL_MUST_CHECK nl_status nl_data_file_open(const char *path, nl_data_file *file);

/** NULL-safe in all parts: a zeroed file may be closed. */
void nl_data_file_close(nl_data_file *file);

/** Read up to `size` bytes of content; `got` is less only at its end.  Damaged or truncated gzip
 *  data, and other bytes after them (which gzread() would ignore), are errors. */
NL_MUST_CHECK nl_status nl_data_file_read(nl_data_file *file, void *out, size_t size, size_t *got);

/** Read `size` bytes; `expected` is the length the whole content should have, for the message. */
NL_MUST_CHECK nl_status nl_data_file_read_exact(nl_data_file *file, void *out, size_t size,
                                                uint64_t expected);

/** Check the content's length as far as it can be told before reading. */
NL_MUST_CHECK nl_status nl_data_file_check_size(const nl_data_file *file, uint64_t expected);

/** NL_ERR_DATA unless all content was read; also verifies the checksum of gzipped files. */
NL_MUST_CHECK nl_status nl_data_file_expect_end(nl_data_file *file);

/** Labels [count] are all below nl_class_count; `first` is the index of the first in the file. */
NL_MUST_CHECK nl_status nl_labels_check(const char *path, const uint8_t *labels, int count,
                                        int first);

#endif
