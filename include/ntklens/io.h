/** @file io.h  Files that are whole or absent, strict YAML with marks, HDF5 images in memory.  No
 * MPI: all Local. */
#ifndef NTKLENS_IO_H
#define NTKLENS_IO_H

#include "ntklens/base.h"

/*---------------------------------------------------------------------------------------------
 * Files
 *-------------------------------------------------------------------------------------------*/

/** Does the file end with a trailer (magic, length, checksum) that nl_file_read() verifies?
 *  Binary images do; text that people and other programs read does not. */
typedef enum nl_seal { NL_PLAIN, NL_SEALED } nl_seal;

/**
 * Write a file so that at any moment, also after a kill or a full disk, `path` holds either its
 * old content or all of the new: temporary name in the same folder, content, trailer where sealed,
 * fsync, rename, fsync of the folder.  Names are new ones that cannot be guessed, and links are not
 * followed, so that others who may write there cannot choose what is overwritten.
 *
 * @return as nl_write_status(); nothing is left behind
 */
NL_MUST_CHECK nl_status nl_file_write_atomic(const char *path, const void *bytes, size_t length,
                                             nl_seal seal);

/** The same; the file that stood at `path` is kept as `keep` (NULL: not kept), in the same file
 * system.  A sealed file is read back and verified before it takes any other's place. */
NL_MUST_CHECK nl_status nl_file_write_kept(const char *path, const char *keep, const void *bytes,
                                           size_t length, nl_seal seal);

/** The next piece of a file's content; length 0: its end.  A failure ends the writing. */
typedef nl_status nl_piece_fn(void *context, const void **bytes, size_t *length);

/** The same for content that is not in memory as a whole: next(context, ...) is called until its
 *  end, and each piece is written before the next one is asked for. */
NL_MUST_CHECK nl_status nl_file_write_pieces(const char *path, nl_seal seal, nl_piece_fn *next,
                                             void *context);

/** The same for a text that grew, into `folder`/`name`; NL_ERR_NOMEM where it failed to. */
NL_MUST_CHECK nl_status nl_file_write_text(const char *folder, const char *name,
                                           const nl_text *text);

/**
 * Read a whole file.  Pipes and devices, which may not end, are refused at once.
 *
 * @param[out] bytes   owned by the caller, free(); content without the trailer, and one NUL after
 * it
 * @param[out] length  without trailer and NUL
 * @return NL_ERR_DAMAGED where a sealed file's trailer is missing or does not match, NL_ERR_IO
 *         where it cannot be read
 */
NL_MUST_CHECK nl_status nl_file_read(const char *path, nl_seal seal, unsigned char **bytes,
                                     size_t *length);

/** The same; NL_ERR_DAMAGED, before it is read, where the file has more than `limit` bytes. */
NL_MUST_CHECK nl_status nl_file_read_limited(const char *path, nl_seal seal, size_t limit,
                                             unsigned char **bytes, size_t *length);

/** Opaque.  A sealed file that is read from its beginning, piece by piece. */
typedef struct nl_sealed nl_sealed;

/** Open a sealed file once all of it was held against its trailer; links are not followed.
 *
 *  @param[out] length  of its content
 *  @return as nl_file_read() */
NL_MUST_CHECK nl_status nl_sealed_open(const char *path, nl_sealed **out, uint64_t *length);

/** The next `length` bytes; NL_ERR_DAMAGED where fewer are left. */
NL_MUST_CHECK nl_status nl_sealed_read(nl_sealed *sealed, void *bytes, size_t length);
void nl_sealed_close(nl_sealed **sealed);

/** nl_file_read_limited(), plain, for a file that a user named: also a pipe, where the shell hands
 * it over as /dev/stdin or /dev/fd/N. */
NL_MUST_CHECK nl_status nl_file_read_given(const char *path, size_t limit, unsigned char **bytes,
                                           size_t *length);

/** Create a folder and its parents; fine if it exists.  NL_ERR_USAGE where the name is a file's. */
NL_MUST_CHECK nl_status nl_folder_create(const char *path);

/**
 * open(2) a folder that is written to, for openat() and its like.  Where the path itself is a link
 * it is followed only if it is this user's or root's.
 *
 * @return -1 with errno, ELOOP for a link of another user
 */
int nl_folder_open(const char *path);

/** Is it a name that nl_file_write_atomic() gives a file while it writes? */
bool nl_is_temporary(const char *name);

/** `folder`/`name`, allocated; NULL when out of memory.  An absolute name stands for itself. */
char *nl_path_join(const char *folder, const char *name);

bool nl_path_exists(const char *path);
bool nl_path_is_folder(const char *path);

/*---------------------------------------------------------------------------------------------
 * Diagnostics: all complaints about an input, told together, in the order of its lines
 *-------------------------------------------------------------------------------------------*/

typedef struct nl_diagnostics nl_diagnostics;

NL_MUST_CHECK nl_status nl_diagnostics_create(nl_diagnostics **out);
void nl_diagnostics_destroy(nl_diagnostics **diagnostics);

/** A place in an input.  source: file name, or the `--set key=value` it came from (borrowed by the
 *  caller's promise to outlive the diagnostics); line and column count from 1, line 0: no line. */
typedef struct nl_mark {
    const char *source;
    int line, column;
} nl_mark;

void nl_diagnostics_add(nl_diagnostics *diagnostics, nl_mark mark, const char *format, ...)
    NL_PRINTF(3, 4);
int nl_diagnostics_count(const nl_diagnostics *diagnostics);

/** One stderr line each: `ntklens: file:line:column: text`, sorted by place. */
void nl_diagnostics_print(const nl_diagnostics *diagnostics);

/** Text of one complaint, sorted by place, as printed but without `ntklens: `; for tests. */
const char *nl_diagnostics_text(const nl_diagnostics *diagnostics, int index);

/*---------------------------------------------------------------------------------------------
 * YAML: a document as a tree that keeps its marks
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_yaml_kind {
    NL_YAML_SCALAR,
    NL_YAML_LIST,
    NL_YAML_MAP,
    NL_YAML_BROKEN /* the diagnostics know of it already: pass over it in silence */
} nl_yaml_kind;

typedef struct nl_yaml_node {
    nl_yaml_kind kind;
    nl_mark mark;
    const char *text;             /* scalar: its characters, UTF-8; else "" */
    bool quoted;                  /* scalar: written in quotes, so it is a string */
    int count;                    /* list: items; map: pairs */
    struct nl_yaml_node **keys;   /* map: key nodes, scalars, each text once */
    struct nl_yaml_node **values; /* map: value nodes; list: items */
} nl_yaml_node;

/** Opaque.  Owns every node of the tree. */
typedef struct nl_yaml nl_yaml;

/**
 * Parse one YAML document.  Syntax errors, several documents, an empty document, aliases, anchors,
 * tags, merge keys and duplicate keys are added to the diagnostics with their place.
 *
 * @param[in]  source  name for messages, borrowed, outlives the tree
 * @param[out] out     NULL where there is no tree to look at (the diagnostics say why)
 * @return NL_ERR_NOMEM, or NL_OK also where the diagnostics were given something
 */
NL_MUST_CHECK nl_status nl_yaml_parse(const char *source, const char *text, size_t length,
                                      nl_diagnostics *diagnostics, nl_yaml **out);

/** The same for a value from a command line: its marks have no line, and it may be empty. */
NL_MUST_CHECK nl_status nl_yaml_parse_value(const char *source, const char *text,
                                            nl_diagnostics *diagnostics, nl_yaml **out);
const nl_yaml_node *nl_yaml_root(const nl_yaml *yaml);
void nl_yaml_destroy(nl_yaml **yaml);

/*---------------------------------------------------------------------------------------------
 * What people write instead: YAML takes it for a text, or stumbles a line later
 *-------------------------------------------------------------------------------------------*/

enum { nl_advice_size = 160 /* bytes of an advice */ };

/** A character that people take for one of ASCII, or do not see at all. */
typedef struct nl_lookalike {
    const char *bytes; /* UTF-8 */
    const char *name;  /* "a no-break space (U+00A0)" */
    const char *meant; /* " "; "" where it is to be removed */
} nl_lookalike;

/** The one that a text of `length` bytes starts with, NULL where it starts with none. */
const nl_lookalike *nl_lookalike_at(const char *text, size_t length);

/** The first one in a text, NULL where there is none. */
const nl_lookalike *nl_lookalike_find(const char *text);

/** "there is a no-break space (U+00A0): type a plain space" */
void nl_lookalike_advise(const nl_lookalike *found, char out[nl_advice_size]);

/** A line such as `key:value`, `key = value`, or one with look-alikes of spaces and colons. */
typedef struct nl_yaml_slip {
    char key[64]; /* ASCII: what was meant as the key */
    int column;   /* of the guilty character, in characters from 0 */
    char advice[nl_advice_size];
} nl_yaml_slip;

/** Does a line (without its end), or a plain scalar, start with such a slip? */
bool nl_yaml_find_slip(const char *line, size_t length, nl_yaml_slip *out);

/*---------------------------------------------------------------------------------------------
 * HDF5 files built in memory (core driver, no backing store): disk errors never reach the library.
 *-------------------------------------------------------------------------------------------*/

/** Opaque.  An HDF5 file that is built in memory. */
typedef struct nl_h5 nl_h5;

typedef enum nl_h5_type {
    NL_H5_INT32,
    NL_H5_INT64,
    NL_H5_FLOAT,
    NL_H5_DOUBLE,
    NL_H5_UINT8
} nl_h5_type;

/** Version of the library, as "1.10.8"; out holds 32 bytes. */
const char *nl_h5_version(char out[32]);

NL_MUST_CHECK nl_status nl_h5_create(nl_h5 **out);
void nl_h5_close(nl_h5 **file);

/** The file as bytes, owned by the caller, free(). */
NL_MUST_CHECK nl_status nl_h5_image(nl_h5 *file, unsigned char **bytes, size_t *length);

/** Write a dataset at an absolute path; groups on the way are created.  Shape: rank (1..4), dims.
 */
NL_MUST_CHECK nl_status nl_h5_put(nl_h5 *file, const char *path, nl_h5_type type, int rank,
                                  const size_t dims[], const void *data);

/** The same, deflated: for what compresses well (images, indices), not for weights.  Other programs
 *  read it, nl_h5_get() does not. */
NL_MUST_CHECK nl_status nl_h5_put_deflated(nl_h5 *file, const char *path, nl_h5_type type, int rank,
                                           const size_t dims[], const void *data);

/** Attributes of a group or dataset ("/" for the file's); a repeated name replaces the value. */
NL_MUST_CHECK nl_status nl_h5_put_int(nl_h5 *file, const char *path, const char *name,
                                      int64_t value);
NL_MUST_CHECK nl_status nl_h5_put_double(nl_h5 *file, const char *path, const char *name,
                                         double value);
NL_MUST_CHECK nl_status nl_h5_put_text(nl_h5 *file, const char *path, const char *name,
                                       const char *value);

/** A list of short texts, as strings of fixed size: texts [count][width], NUL-padded. */
NL_MUST_CHECK nl_status nl_h5_put_texts(nl_h5 *file, const char *path, size_t count, size_t width,
                                        const char *texts);

/*---------------------------------------------------------------------------------------------
 * The same files read, without the library: they may be a stranger's.  What is not as the functions
 * above write it, is NL_ERR_DAMAGED, told in a line; nothing outside the image is looked at.
 *-------------------------------------------------------------------------------------------*/

/** An image that is read.  Borrows all; nothing to close. */
typedef struct nl_h5_reader {
    const unsigned char *bytes;
    size_t length;
    const char *name; /* for messages */
    uint64_t root;    /* address of the root group */
} nl_h5_reader;

/** Look at an image; bytes and name must outlive *out. */
NL_MUST_CHECK nl_status nl_h5_open_image(const void *bytes, size_t length, const char *name,
                                         nl_h5_reader *out);

/** Shape of a dataset, all of whose elements are there: the image bounds what it says. */
NL_MUST_CHECK nl_status nl_h5_shape(const nl_h5_reader *file, const char *path, int rank,
                                    size_t dims[]);

/** Read a dataset whole into `data`: of just this type and number of elements. */
NL_MUST_CHECK nl_status nl_h5_get(const nl_h5_reader *file, const char *path, nl_h5_type type,
                                  size_t count, void *data);
NL_MUST_CHECK nl_status nl_h5_get_int(const nl_h5_reader *file, const char *path, const char *name,
                                      int64_t *value);
NL_MUST_CHECK nl_status nl_h5_get_double(const nl_h5_reader *file, const char *path,
                                         const char *name, double *value);
/** Text attribute, owned by the caller, free(). */
NL_MUST_CHECK nl_status nl_h5_get_text(const nl_h5_reader *file, const char *path, const char *name,
                                       char **value);
/** As nl_h5_put_texts() wrote them. */
NL_MUST_CHECK nl_status nl_h5_get_texts(const nl_h5_reader *file, const char *path, size_t count,
                                        size_t width, char *texts);

/** Is there an object, or an attribute?  True also where the way to it is damaged: reading it then
 *  says so. */
bool nl_h5_exists(const nl_h5_reader *file, const char *path);
bool nl_h5_has_attribute(const nl_h5_reader *file, const char *path, const char *name);

#endif
