/** @file blas_fix.c  Faster BLAS kernels where OpenBLAS does not know the CPU. */
#include "blas_fix.h"
#include "launch.h"

#include "ntklens/linalg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char nl_blas_fix_option[] = "no-blas-fix";

static const char core_type[] = "OPENBLAS_CORETYPE";
static const char guard[] = "NTKLENS_BLAS_FIX"; /* set by us: kernels before the new start */

static bool declined(int argc, char **argv)
{
    for (int k = 1; k < argc && strcmp(argv[k], "--") != 0; k++) {
        if (strncmp(argv[k], "--", 2) == 0 && strcmp(argv[k] + 2, nl_blas_fix_option) == 0) {
            return true;
        }
    }
    return false;
}

/* The second start: did it help? */
static void check_outcome(const char *before)
{
    const char *wanted = getenv(core_type);

    if (wanted != NULL && nl_launched_rank() == 0 &&
        nl_blas_better_kernel(nl_cpu_here(), nl_blas_kernel()) != NULL &&
        strcasecmp(before, nl_blas_kernel()) == 0) {
        nl_warn("BLAS kernels are still %s with %s=%s: this OpenBLAS has none for this CPU; a "
                "newer one may be several times faster",
                nl_blas_kernel(), core_type, wanted);
    }
}

/* By the path of the program where it can be told: the process keeps its name. */
static void start_anew(char **argv)
{
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

    if (length > 0) {
        path[length] = '\0';
        execv(path, argv);
    }
    execv("/proc/self/exe", argv); /* its file was replaced meanwhile */
}

void nl_blas_fix(int argc, char **argv)
{
    const char *before = getenv(guard);
    const char *better = nl_blas_better_kernel(nl_cpu_here(), nl_blas_kernel());

    if (before != NULL) {
        check_outcome(before);
        return;
    }
    if (better == NULL || !nl_blas_has_choice() || getenv(core_type) != NULL ||
        declined(argc, argv) || setenv(guard, nl_blas_kernel(), 1) != 0 ||
        setenv(core_type, better, 1) != 0) {
        return;
    }
    start_anew(argv);
    if (nl_launched_rank() == 0) {
        nl_warn("cannot start anew for faster BLAS kernels (%s); %s=%s in the environment does it",
                strerror(errno), core_type, better);
    }
    unsetenv(core_type); /* what is started from here shall not think that it was tried */
    unsetenv(guard);
}
