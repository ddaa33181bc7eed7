/** @file figures.c  Finds and runs ntklens-plot. */
#include "figures.h"

#include "ntklens/io.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char name[] = "ntklens-plot";

/* From the folder of the program upward: beside it (installed), or in tools/ (built in a tree). */
static char *find_beside(void)
{
    static const char *const places[] = {name, "tools/ntklens-plot"};
    char here[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);

    here[length > 0 ? length : 0] = '\0';
    for (char *slash = strrchr(here, '/'); slash != NULL && slash != here;
         slash = strrchr(here, '/')) {
        *slash = '\0';
        for (size_t k = 0; k < NL_COUNT(places); k++) {
            char *path = nl_path_join(here, places[k]);

            if (path != NULL && access(path, X_OK) == 0 && !nl_path_is_folder(path)) {
                return path;
            }
            free(path);
        }
    }
    return NULL;
}

/* Exit code of the program, -1 where it could not be run. */
static int run(const char *program, char *const argv[])
{
    pid_t child = 0;
    int state = 0;

    fflush(stdout);
    if (posix_spawnp(&child, program, NULL, NULL, argv, environ) != 0) {
        return -1;
    }
    while (waitpid(child, &state, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

void nl_figures_draw(const char *report, int count, const char *const folders[])
{
    char *beside = find_beside();
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
        code = run(beside != NULL ? beside : name, argv);
    }
    if (code == -1 || code == 126 || code == 127) {
        nl_warn("no figures: %s, which is in tools/ of the sources, cannot be run; it needs Python "
                "with matplotlib, pandas and h5py (tools/setup --plots)",
                name);
    }
    for (int k = 0; argv != NULL && k < count + 2; k++) {
        free(argv[k]);
    }
    free(argv);
    free(beside);
}
