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

/** NL_ERR_DATA unless `folder` is one that can be searched.  Says how to get the files of `source`.
 */
NL_MUST_CHECK nl_status nl_data_folder_check(nl_source source, const char *folder);

/** An error for a file that is nowhere; says how to get the files of `source`. */
nl_status nl_data_file_missing(nl_source source, const char *folder, const char *name);

/**
 * The folder itself, or the first of its subfolders `below` (ended by NULL), that holds a file of
 * one of the names; the folder itself where none does.
 *
 * @param[out] found  owned by the caller, NULL on failure
 */
NL_MUST_CHECK nl_status nl_data_folder_find(const char *folder, const char *const *below,
                                            const char *const *names, char **found);

/**
 * The file of these names: the first that is there, and where none is but for a link that leads
 * nowhere or a folder that cannot be searched, that one: opening it will say so.
 *
 * @param[out] path  owned by the caller, NULL on failure
 */
NL_MUST_CHECK nl_status nl_data_file_find(nl_source source, const char *folder,
                                          const char *const *names, char **path);

/** Append a line for every further file of these names with other content than the one that
 *  nl_data_file_find() gives. */
void nl_data_file_compare_copies(const char *folder, const char *const *names, nl_text *lines);

/** Append a line where two files, plain or gzipped, differ in content, or `other` is damaged. */
void nl_data_files_compare(const char *taken, const char *other, nl_text *lines);

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

/*---------------------------------------------------------------------------------------------
 * File formats.  Read: `count` is that of the probe; pixels and labels are the caller's.
 *-------------------------------------------------------------------------------------------*/

NL_MUST_CHECK nl_status nl_idx_probe(nl_source source, const char *folder, bool test, int *count);
NL_MUST_CHECK nl_status nl_idx_read(nl_source source, const char *folder, bool test, int count,
                                    uint8_t *pixels, uint8_t *labels);

/** Append a line for every file that lies there twice with different content. */
void nl_idx_compare_copies(nl_source source, const char *folder, nl_text *lines);

NL_MUST_CHECK nl_status nl_cifar_probe(const char *folder, bool test, int *count);
NL_MUST_CHECK nl_status nl_cifar_read(const char *folder, bool test, int count, uint8_t *pixels,
                                      uint8_t *labels);

void nl_cifar_compare_copies(const char *folder, nl_text *lines);

/** nl_idx_compare_copies() or nl_cifar_compare_copies(). */
void nl_source_compare_copies(nl_source source, const char *folder, nl_text *lines);

/** Read (or generate) the training or test images of a source whose `info` a probe has given. */
NL_MUST_CHECK nl_status nl_source_read(const nl_dataset_info *info, const char *folder, bool test,
                                       uint8_t *pixels, uint8_t *labels);

/** Every `shares`-th glyph of a set, from number `share` on; arrays are those of the whole set. */
void nl_glyphs_draw(const nl_dataset_info *info, bool test, int share, int shares, uint8_t *pixels,
                    uint8_t *labels);

/** nl_scaling_compute() of these training images. */
NL_MUST_CHECK nl_status nl_scaling_of_images(const nl_dataset_info *info, const nl_images *train,
                                             bool standardize, nl_scaling *out);

#endif
