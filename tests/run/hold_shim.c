/** @file hold_shim.c  For LD_PRELOAD: a file system that does not answer for a while.
 *
 * fsync() of a file, and opening one for reading, whose path matches the pattern NTKLENS_HOLD (as
 * of a shell) waits as long as the file NTKLENS_HOLD_WHILE exists.  NTKLENS_HOLD_MARK is created
 * when a call begins to wait.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* ISO C has no cast from an object to a function pointer: POSIX asks for this detour. */
#define NEXT(function, pointer)                                                                    \
    do {                                                                                           \
        *(void **)(&(pointer)) = dlsym(RTLD_NEXT, #function);                                      \
    } while (0)

static void mark(void)
{
    static int (*next)(const char *, int, ...);
    const char *path = getenv("NTKLENS_HOLD_MARK");
    int file = -1;

    NEXT(open, next);
    file = path != NULL ? next(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (file >= 0) {
        close(file);
    }
}

static void hold(const char *path)
{
    const char *pattern = getenv("NTKLENS_HOLD");
    const char *lasts = getenv("NTKLENS_HOLD_WHILE");
    const struct timespec pause = {.tv_nsec = 10000000};

    if (pattern == NULL || lasts == NULL || fnmatch(pattern, path, 0) != 0) {
        return;
    }
    for (mark(); access(lasts, F_OK) == 0;) {
        nanosleep(&pause, NULL);
    }
}

int fsync(int file)
{
    static int (*next)(int);
    char link[64];
    char path[4096];
    ssize_t length = 0;

    NEXT(fsync, next);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    hold(path);
    return next(file);
}

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*next)(const char *, const char *);

    NEXT(fopen, next);
    if (mode[0] == 'r') {
        hold(path);
    }
    return next(path, mode);
}

int open(const char *path, int flags, ...)
{
    static int (*next)(const char *, int, ...);
    mode_t mode = 0;

    NEXT(open, next);
    if ((flags & O_CREAT) != 0) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if ((flags & O_ACCMODE) == O_RDONLY) {
        hold(path);
    }
    return next(path, flags, mode);
}

/* What open() with flags that are no constant becomes under _FORTIFY_SOURCE; headers give it the
 * name for large files where they know it. */
int __open_2(const char *path, int flags);

int __open_2(const char *path, int flags)
{
    static int (*next)(const char *, int, ...);

    NEXT(open, next);
    if ((flags & O_ACCMODE) == O_RDONLY) {
        hold(path);
    }
    return next(path, flags, 0);
}
