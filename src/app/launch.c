/** @file launch.c  What the launcher tells in the environment, and the start of MPI. */
#include "command.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

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

void nl_mpi_start(void)
{
    int level = 0; /* who needs threads asks for it (service.c) */

    if (is_on_one_machine()) {
        (void)setenv("OMPI_MCA_pml", "ob1", 0);
    }
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
}
