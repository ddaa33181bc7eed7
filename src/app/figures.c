/** @file figures.c  Finds and runs ntklens-plot. */
#include "figures.h"

#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char name[] = "ntklens-plot";

/* Places known when this program was built, and none that is guessed from where it lies: a folder
 * above it may be anyone's. */
static const char *find_program(void)
{
    static const char built[] = NTKLENS_BUILD_FOLDER "/";
    const char *named = getenv("NTKLENS_PLOT");
    char here[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);

    here[length > 0 ? length : 0] = '\0';
    if (named != NULL && named[0] != '\0') {
        return named;
    }
    return strncmp(here, built, sizeof built - 1) == 0 ? NTKLENS_SOURCE_FOLDER "/tools/ntklens-plot"
                                                       : NTKLENS_PROGRAM_FOLDER "/ntklens-plot";
}

/* Exit code of the program, -1 where it could not be run. */
static int run(const char *program, char *const argv[])
{
    pid_t child = 0;
    int state = 0;

    fflush(stdout);
    if (posix_spawnp(&child, program, NULL, NULL, argv, environ) != 0 ||
        NL_REPEAT(waitpid(child, &state, 0)) < 0) {
        return -1;
    }
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

void nl_figures_draw(const char *report, int count, const char *const folders[])
{
    const char *program = find_program();
    char **argv = calloc((size_t)count + 3, sizeof *argv);
    bool sound = argv != NULL;
    int code = -1;

    if (sound) {
        argv[0] = strdup(name);
        if (asprintf(&argv[1], "--output=%s", report) < 0) {
            argv[1] = NULL;
        }
        for (int k = 0; k < count; k++) {
            argv[2 + k] = strdup(folders[k]);
        }
        for (int k = 0; k < count + 2; k++) {
            sound = sound && argv[k] != NULL;
        }
    }
    if (sound) {
        code = run(program, argv);
    }
    if (code == -1 || code == 126 || code == 127) {
        nl_warn("no figures: %s cannot be run; it needs Python with matplotlib, pandas and h5py "
                "(tools/setup --plots); NTKLENS_PLOT names another %s",
                program, name);
    }
    for (int k = 0; argv != NULL && k < count + 2; k++) {
        free(argv[k]);
    }
    free(argv);
}
