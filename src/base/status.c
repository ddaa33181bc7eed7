/** @file status.c  Status codes and the one line in which an error is told. */
#include "ntklens/base.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int exit_code;
    const char *text;
} status_table[] = {
#define NL_STATUS_ROW(name, exit_code, text) {(exit_code), (text)},
    NL_STATUS_LIST(NL_STATUS_ROW)
#undef NL_STATUS_ROW
};

const char *nl_status_text(nl_status status)
{
    return (size_t)status < NL_COUNT(status_table) ? status_table[status].text : "unknown status";
}

int nl_status_exit_code(nl_status status)
{
    return (size_t)status < NL_COUNT(status_table) ? status_table[status].exit_code : 1;
}

nl_status nl_write_status(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return NL_ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ESTALE:
        return NL_ERR_DENIED;
    case ELOOP:
    case ENOTDIR:
        return NL_ERR_USAGE;
    default:
        return NL_ERR_IO;
    }
}

const char *nl_write_reason(int error, char out[192])
{
    const nl_status status = nl_write_status(error);

    snprintf(out, 192, "%s%s",
             error == ELOOP ? "it is a link, which is not followed, or no regular file"
                            : strerror(error),
             status == NL_ERR_FULL ? "; free some space and run the same command again"
             : status == NL_ERR_DENIED
                 ? "; run the same command again once the folder is there and writable"
                 : "");
    return out;
}

/* One write() per line: lines of several ranks on one terminal stay whole. */
static NL_PRINTF(2, 0) void write_line(const char *prefix, const char *format, va_list args)
{
    char told[2048] = "";
    char line[2048];
    size_t length = (size_t)snprintf(line, sizeof line, "%s", prefix);

    (void)vsnprintf(told, sizeof told, format, args);
    nl_escaped(told, line + length, sizeof line - length - 1);
    length += strlen(line + length);
    line[length] = '\n';
    fflush(stdout);
    if (write(STDERR_FILENO, line, length + 1) < 0) {
        return; /* nowhere left to complain */
    }
}

void nl_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line("ntklens: ", format, args);
    va_end(args);
}

void nl_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line("ntklens: warning: ", format, args);
    va_end(args);
}
