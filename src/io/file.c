/** @file file.c  Files that are whole or absent. */
#include "seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static nl_status write_failed(const char *path, const char *act)
{
    const int error = errno;
    char reason[192];

    return NL_FAIL(nl_write_status(error), "%s: %s failed: %s", path, act,
                   nl_write_reason(error, reason));
}

/*---------------------------------------------------------------------------------------------
 * Folders and names
 *-------------------------------------------------------------------------------------------*/

int nl_folder_open(const char *path)
{
    struct stat link;
    int folder = (int)NL_REPEAT(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));

    if (folder < 0 && (errno == ELOOP || errno == ENOTDIR) && lstat(path, &link) == 0 &&
        S_ISLNK(link.st_mode)) {
        if (link.st_uid != geteuid() && link.st_uid != 0) {
            errno = ELOOP;
            return -1;
        }
        folder = (int)NL_REPEAT(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    return folder;
}

/** A name in a folder that is open: what a path means cannot change while it is worked with. */
typedef struct place {
    int folder; /* owned; -1: closed */
    char *name; /* owned */
} place;

static void close_place(place *p)
{
    if (p->folder >= 0) {
        close(p->folder);
    }
    free(p->name);
    *p = (place){.folder = -1};
}

static nl_status open_place(const char *path, place *out)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    nl_status status = NL_OK;

    *out = (place){.folder = -1, .name = strdup(slash == NULL ? path : slash + 1)};
    if (folder == NULL || out->name == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    for (size_t end = strlen(folder); end > 1 && folder[end - 1] == '/'; end--) {
        folder[end - 1] = '\0'; /* behind a slash a link would be followed */
    }
    out->folder = nl_folder_open(folder);
    if (out->folder < 0) {
        status = write_failed(folder, "opening the folder");
    }

done:
    free(folder);
    if (status != NL_OK) {
        close_place(out);
    }
    return status;
}

enum { random_digits = 16 };

static const char temporary_end[] = ".tmp";

/* <name>.<16 random digits>.tmp, which nobody can have made before; NULL with errno. */
static char *temporary_name(const char *name)
{
    uint64_t random = 0;
    nl_text text = {0};

    if (NL_REPEAT(getrandom(&random, sizeof random, 0)) != (long)sizeof random) {
        return NULL;
    }
    nl_text_append(&text, "%s.%0*llx%s", name, random_digits, (unsigned long long)random,
                   temporary_end);
    errno = ENOMEM;
    return text.failed ? NULL : text.data;
}

bool nl_is_temporary(const char *name)
{
    const size_t length = strlen(name);
    const size_t end = sizeof temporary_end - 1;
    const char *digits = NULL;

    if (length < end + random_digits + 2 || strcmp(name + length - end, temporary_end) != 0) {
        return false;
    }
    digits = name + length - end - random_digits;
    return digits[-1] == '.' && strspn(digits, "0123456789abcdef") == random_digits;
}

/* In one folder.  An interrupted call may have been carried out: then `from` is gone. */
static bool rename_to(int folder, const char *from, int to_folder, const char *to)
{
    bool interrupted = false;

    while (renameat(folder, from, to_folder, to) != 0) {
        if (errno != EINTR) {
            return interrupted && errno == ENOENT;
        }
        interrupted = true;
    }
    return true;
}

/*---------------------------------------------------------------------------------------------
 * Writing
 *-------------------------------------------------------------------------------------------*/

/* A rename is only safe from a power cut once the folder's entry is on disk as well. */
static bool sync_folder(int folder)
{
    return NL_REPEAT(fsync(folder)) == 0 || errno == EINVAL; /* not on every file system */
}

/* Closed it is in any case: what an interrupted close() could tell, fsync() has told. */
static bool close_file(int file)
{
    return close(file) == 0 || errno == EINTR;
}

/** What becomes a file. */
typedef struct new_file {
    const char *path; /* for messages */
    const void *bytes;
    size_t length;
    nl_seal seal;
    nl_piece_fn *next; /* content in pieces; NULL: bytes */
    void *context;     /* of next */
} new_file;

/* Where `bytes` are all, the first piece is the last. */
static nl_status next_piece(const new_file *f, bool first, const void **bytes, size_t *length)
{
    nl_status status = NL_OK;

    if (f->next != NULL) {
        status = f->next(f->context, bytes, length);
    } else {
        *bytes = f->bytes;
        *length = first ? f->length : 0;
    }
    return status;
}

static nl_status write_content(int file, const new_file *f)
{
    const void *bytes = NULL;
    size_t length = 0;
    nl_sealing sealing = {0};
    bool first = true;
    nl_status status = next_piece(f, first, &bytes, &length);

    while (status == NL_OK && length > 0) {
        if (!nl_write_all(file, bytes, length)) {
            return write_failed(f->path, "writing");
        }
        if (f->seal == NL_SEALED) {
            nl_sealing_add(&sealing, bytes, length);
        }
        first = false;
        status = next_piece(f, first, &bytes, &length);
    }
    if (status == NL_OK && f->seal == NL_SEALED) {
        const nl_trailer end = nl_sealing_end(&sealing);

        status = nl_write_all(file, &end, sizeof end) ? NL_OK : write_failed(f->path, "writing");
    }
    return status;
}

/* Content and trailer into a new file of that name, on disk when it returns. */
static nl_status write_through(const place *p, const char *name, const new_file *f)
{
    nl_status status = NL_OK;
    const int file = (int)NL_REPEAT(
        openat(p->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));

    if (file < 0) {
        return write_failed(f->path, "creating it under a temporary name");
    }
    status = write_content(file, f);
    if (status == NL_OK && NL_REPEAT(fsync(file)) != 0) {
        status = write_failed(f->path, "fsync");
    }
    if (!close_file(file) && status == NL_OK) {
        status = write_failed(f->path, "closing");
    }
    return status;
}

/* The file at `path` gets a second name, so that one stands at `path` at any moment; it is moved
 * where the file system knows no links.  Fine where there is none. */
static bool keep_file(const place *p, const place *keep)
{
    char *temporary = temporary_name(keep->name);
    bool kept = false;
    int error = errno;

    if (temporary != NULL) {
        const bool linked =
            NL_REPEAT(linkat(p->folder, p->name, keep->folder, temporary, 0)) == 0 ||
            errno == EEXIST; /* carried out, and interrupted */

        kept = linked ? rename_to(keep->folder, temporary, keep->folder, keep->name)
                      : errno == ENOENT || rename_to(p->folder, p->name, keep->folder, keep->name);
        error = errno;
        unlinkat(keep->folder, temporary, 0); /* still there where both were names of one file */
    }
    free(temporary);
    errno = error;
    return kept;
}

/* A sealed file is read back before it takes the place of another. */
static nl_status verify(const place *p, const char *name, const new_file *f)
{
    uint64_t length = 0;
    nl_status status = NL_OK;
    int file = -1;

    if (f->seal != NL_SEALED) {
        return NL_OK;
    }
    file = (int)NL_REPEAT(openat(p->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (file < 0) {
        return write_failed(f->path, "reading it back");
    }
    status = nl_seal_check(file, f->path, &length);
    close(file);
    return status;
}

/* With both places open. */
static nl_status put_in_place(const place *p, const place *keep, const new_file *f)
{
    char *temporary = temporary_name(p->name);
    nl_status status = NL_OK;

    if (temporary == NULL) {
        return write_failed(f->path, "finding it a temporary name");
    }
    status = write_through(p, temporary, f);
    if (status == NL_OK) {
        status = verify(p, temporary, f);
    }
    if (status == NL_OK && keep != NULL && !keep_file(p, keep)) {
        status = write_failed(f->path, "keeping the previous one");
    }
    if (status == NL_OK &&
        (!rename_to(p->folder, temporary, p->folder, p->name) || !sync_folder(p->folder))) {
        status = write_failed(f->path, "renaming it into place");
    }
    if (status != NL_OK) {
        unlinkat(p->folder, temporary, 0);
    }
    free(temporary);
    return status;
}

static nl_status write_file(const char *path, const char *keep, const new_file *f)
{
    place p = {.folder = -1};
    place kept = {.folder = -1};
    nl_status status = open_place(path, &p);

    if (status == NL_OK && keep != NULL) {
        status = open_place(keep, &kept);
    }
    if (status == NL_OK) {
        status = put_in_place(&p, keep != NULL ? &kept : NULL, f);
    }
    close_place(&p);
    close_place(&kept);
    return status;
}

nl_status nl_file_write_kept(const char *path, const char *keep, const void *bytes, size_t length,
                             nl_seal seal)
{
    const new_file f = {.path = path, .bytes = bytes, .length = length, .seal = seal};

    return write_file(path, keep, &f);
}

nl_status nl_file_write_pieces(const char *path, nl_seal seal, nl_piece_fn *next, void *context)
{
    const new_file f = {.path = path, .seal = seal, .next = next, .context = context};

    return write_file(path, NULL, &f);
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
    nl_sealing sealing = {0};
    nl_trailer expected;

    if (*length < sizeof expected) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: damaged: %zu bytes, too short for its end mark", path,
                       *length);
    }
    *length -= sizeof expected;
    nl_sealing_add(&sealing, bytes, *length);
    expected = nl_sealing_end(&sealing);
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

    *file = (int)NL_REPEAT(
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (handed_over ? 0 : O_NONBLOCK)));
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
        got = NL_REPEAT(read(file, part, sizeof part));
        if (got < 0) {
            return NL_FAIL(NL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        }
        nl_text_append_bytes(content, part, (size_t)got); /* the NUL, in any case */
        if (content->length > limit) {
            return NL_FAIL(NL_ERR_DAMAGED, "%s: does not end after %zu bytes, expected no more",
                           path, limit);
        }
    }
    return content->failed
               ? NL_FAIL(NL_ERR_NOMEM, "%s: out of memory after %zu bytes", path, content->length)
               : NL_OK;
}

static nl_status read_open(int file, const char *path, nl_seal seal, size_t limit, nl_text *content)
{
    nl_status status = read_all(file, path, limit, content);

    if (status == NL_OK && seal == NL_SEALED) {
        status = unseal(path, (const unsigned char *)content->data, &content->length);
    }
    return status;
}

static nl_status read_file(const char *path, nl_seal seal, size_t limit, bool handed_over,
                           nl_text *content)
{
    int file = -1;
    nl_status status = open_to_read(path, limit, handed_over, &file);

    if (status == NL_OK) {
        status = read_open(file, path, seal, limit, content);
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
    if (NL_REPEAT(mkdir(path, 0777)) != 0 && errno != EEXIST) {
        return write_failed(path, "creating the folder");
    }
    return NL_OK;
}

/* May files be put there? */
static nl_status check_folder(const char *path)
{
    struct stat entry;
    const int folder = nl_folder_open(path);

    if (folder < 0) {
        if (errno == ENOTDIR || (stat(path, &entry) == 0 && !S_ISDIR(entry.st_mode))) {
            return NL_FAIL(NL_ERR_USAGE, "%s: is no folder, expected one or a name that is free",
                           path);
        }
        return errno == ELOOP
                   ? NL_FAIL(NL_ERR_USAGE,
                             "%s: is a link of another user, expected a folder; name the one that "
                             "it leads to",
                             path)
                   : write_failed(path, "opening the folder");
    }
    close(folder);
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
    if (status == NL_OK) {
        status = check_folder(path);
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
