/** @file files.c  System calls on files, whole and in spite of signals. */
#include "ntklens/base.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int nl_open_plain(const char *path, int flags)
{
    struct stat entry;
    int error = ELOOP;
    /* Without O_NONBLOCK a pipe of that name would be waited for. */
    const int file = (int)NL_REPEAT(open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666));

    if (file < 0) {
        errno = errno == ENXIO ? ELOOP : errno; /* a pipe, or a socket */
        return -1;
    }
    if (fstat(file, &entry) == 0) {
        if (S_ISREG(entry.st_mode)) {
            return file;
        }
    } else {
        error = errno;
    }
    close(file);
    errno = error;
    return -1;
}

bool nl_write_all(int file, const void *bytes, size_t length)
{
    const char *from = bytes;

    while (length > 0) {
        const ssize_t wrote = NL_REPEAT(write(file, from, length));

        if (wrote < 0) {
            return false;
        }
        from += wrote;
        length -= (size_t)wrote;
    }
    return true;
}
