/** @file fault_shim.c  For LD_PRELOAD: the k-th change of a file below a folder fails.
 *
 * Counted are open(), openat() and fopen() for writing, write(), pwrite(), fsync(), ftruncate(),
 * rename(), renameat() and mkdir() of paths below NTKLENS_FAULT_FOLDER.  The
 * NTKLENS_FAULT_CALL-th fails with NTKLENS_FAULT_ACTION: ENOSPC, EDQUOT, EIO, EACCES, or KILL (the
 * process dies by SIGKILL instead).  INTERRUPT: every other one of these, of linkat(), read()
 * and close() fails with EINTR, as if a signal had come, close() having closed the file.
 * The count is one for all processes of a run: it lives in the file NTKLENS_FAULT_COUNT, where it
 * can be read afterwards.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Prototypes of what is replaced come from the system; dlsym() gives what would have been called.
 * ISO C has no cast from an object to a function pointer: POSIX asks for this detour. */
#define NEXT(function, pointer)                                                                    \
    do {                                                                                           \
        *(void **)(&(pointer)) = dlsym(RTLD_NEXT, #function);                                      \
    } while (0)

static bool is_below(const char *path)
{
    const char *folder = getenv("NTKLENS_FAULT_FOLDER");
    const size_t length = folder != NULL ? strlen(folder) : 0;

    return length > 0 && strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static bool is_file_below(int file)
{
    char link[64];
    char path[4096];
    ssize_t length = 0;

    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return false;
    }
    path[length] = '\0';
    return is_below(path);
}

/* `path` as openat() and its like take it. */
static bool is_below_at(int folder, const char *path)
{
    return path[0] == '/' || folder == AT_FDCWD ? is_below(path) : is_file_below(folder);
}

static bool interrupts(void)
{
    const char *action = getenv("NTKLENS_FAULT_ACTION");

    return action != NULL && strcmp(action, "INTERRUPT") == 0;
}

/* One more call of all processes; its number, from 1. */
static long count_call(void)
{
    static _Atomic long *shared;
    static int (*next_open)(const char *, int, ...);
    const char *path = getenv("NTKLENS_FAULT_COUNT");

    if (shared == NULL) {
        int file = -1;
        void *page = MAP_FAILED;

        NEXT(open, next_open);
        file = path != NULL ? next_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
        if (file < 0 || posix_fallocate(file, 0, sizeof *shared) != 0) {
            abort();
        }
        page = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page == MAP_FAILED) {
            abort();
        }
        close(file);
        shared = page;
    }
    return ++*shared;
}

/* True: this call fails, errno is set. */
static bool fails(void)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EACCES", EACCES}};
    const char *call = getenv("NTKLENS_FAULT_CALL");
    const char *action = getenv("NTKLENS_FAULT_ACTION");

    if (interrupts()) {
        static _Thread_local bool interrupted;

        interrupted = !interrupted;
        errno = interrupted ? EINTR : errno;
        return interrupted && count_call() > 0;
    }
    if (count_call() != (call != NULL ? atol(call) : 0) || action == NULL) {
        return false;
    }
    if (strcmp(action, "KILL") == 0) {
        kill(getpid(), SIGKILL);
    }
    for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++) {
        if (strcmp(action, errors[k].name) == 0) {
            errno = errors[k].error;
            return true;
        }
    }
    return false;
}

int open(const char *path, int flags, ...)
{
    static int (*next)(const char *, int, ...);
    mode_t mode = 0;
    va_list arguments;

    NEXT(open, next);
    if ((flags & O_CREAT) != 0) {
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (((flags & O_ACCMODE) != O_RDONLY || interrupts()) && is_below(path) && fails()) {
        return -1;
    }
    return next(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    static int (*next)(int, const char *, int, ...);
    mode_t mode = 0;
    va_list arguments;

    NEXT(openat, next);
    if ((flags & O_CREAT) != 0) {
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (((flags & O_ACCMODE) != O_RDONLY || interrupts()) && is_below_at(folder, path) && fails()) {
        return -1;
    }
    return next(folder, path, flags, mode);
}

ssize_t read(int file, void *bytes, size_t length)
{
    static ssize_t (*next)(int, void *, size_t);

    NEXT(read, next);
    return interrupts() && is_file_below(file) && fails() ? -1 : next(file, bytes, length);
}

int close(int file)
{
    static int (*next)(int);
    bool failed = false;

    NEXT(close, next);
    failed = interrupts() && is_file_below(file) && fails();
    if (next(file) != 0) {
        return -1;
    }
    errno = failed ? EINTR : errno;
    return failed ? -1 : 0;
}

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*next)(const char *, const char *);

    NEXT(fopen, next);
    return mode[0] != 'r' && is_below(path) && fails() ? NULL : next(path, mode);
}

ssize_t write(int file, const void *bytes, size_t length)
{
    static ssize_t (*next)(int, const void *, size_t);

    NEXT(write, next);
    if (is_file_below(file) && fails()) {
        const int error = errno;
        ssize_t half = 0;

        if (error == EINTR) {
            return -1;
        }
        half = next(file, bytes, length / 2); /* as a full disk does */
        errno = half < 0 ? errno : error;
        return -1;
    }
    return next(file, bytes, length);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off_t);

    NEXT(pwrite, next);
    return is_file_below(file) && fails() ? -1 : next(file, bytes, length, offset);
}

int fsync(int file)
{
    static int (*next)(int);

    NEXT(fsync, next);
    return is_file_below(file) && fails() ? -1 : next(file);
}

int ftruncate(int file, off_t length)
{
    static int (*next)(int, off_t);

    NEXT(ftruncate, next);
    return is_file_below(file) && fails() ? -1 : next(file, length);
}

int rename(const char *from, const char *to)
{
    static int (*next)(const char *, const char *);

    NEXT(rename, next);
    return is_below(to) && fails() ? -1 : next(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    static int (*next)(int, const char *, int, const char *);

    NEXT(renameat, next);
    return is_below_at(to_folder, to) && fails() ? -1 : next(from_folder, from, to_folder, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    static int (*next)(int, const char *, int, const char *, int);

    NEXT(linkat, next);
    return interrupts() && is_below_at(to_folder, to) && fails()
               ? -1
               : next(from_folder, from, to_folder, to, flags);
}

int mkdir(const char *path, mode_t mode)
{
    static int (*next)(const char *, mode_t);

    NEXT(mkdir, next);
    return is_below(path) && fails() ? -1 : next(path, mode);
}
