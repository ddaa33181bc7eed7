/** @file launch.c  What the launcher tells in the environment, and start and end of MPI. */
#include "launch.h"

#include "ntklens/base.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int nl_launched_rank(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                            "SLURM_PROCID"};

    for (size_t k = 0; k < NL_COUNT(variables); k++) {
        const char *text = getenv(variables[k]);

        if (text != NULL) {
            return atoi(text);
        }
    }
    return 0;
}

/* As mpirun tells it; srun does not, and then nobody knows. */
static bool is_on_one_machine(void)
{
    const char *all = getenv("OMPI_COMM_WORLD_SIZE");
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");

    return all != NULL && here != NULL && strcmp(all, here) == 0;
}

static bool is_in_path(const char *name)
{
    const char *folder = getenv("PATH");

    while (folder != NULL) {
        const int length = (int)strcspn(folder, ":");
        char path[PATH_MAX];

        if (snprintf(path, sizeof path, "%.*s/%s", length, folder, name) < (int)sizeof path &&
            access(path, X_OK) == 0) {
            return true;
        }
        folder = folder[length] == ':' ? folder + length + 1 : NULL;
    }
    return false;
}

/* A process without mpirun starts a daemon of its own, which up to Open MPI 4 fails where it has no
 * means to start others on other nodes, though nobody asks it to. */
static void stay_on_this_node(void)
{
    if (getenv("OMPI_MCA_plm_rsh_agent") == NULL && !is_in_path("ssh") && !is_in_path("rsh")) {
        (void)setenv("OMPI_MCA_plm", "isolated", 0);
    }
}

/* Open MPI 5 does not start without a home folder, which jobs of cron and containers may lack. */
static void start_with_a_home(void)
{
    const bool homeless = getenv("HOME") == NULL;
    int level = 0; /* who needs threads asks for it (service.c) */

    if (homeless) {
        (void)setenv("HOME", "/", 0);
    }
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
    if (homeless) {
        (void)unsetenv("HOME"); /* a ~ in a path does not stand for it */
    }
}

void nl_mpi_start(void)
{
    stay_on_this_node();
    if (is_on_one_machine()) {
        (void)setenv("OMPI_MCA_pml", "ob1", 0);
    }
    start_with_a_home();
}

/* Open MPI 4 unloads its libraries while a thread of its own may still run their code, which now
 * and then ends a process that had all done by a segmentation fault: they stay where they are. */
static void keep_libraries(void)
{
#ifdef __linux__
    void *program = dlopen(NULL, RTLD_LAZY);
    struct link_map *library = NULL;

    if (program != NULL && dlinfo(program, RTLD_DI_LINKMAP, &library) == 0) {
        for (; library != NULL; library = library->l_next) {
            if (library->l_name[0] != '\0') {
                (void)dlopen(library->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
            }
        }
    }
#endif
}

void nl_mpi_stop(void)
{
    keep_libraries();
    MPI_Finalize();
}
