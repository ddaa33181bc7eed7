/** @file machine.c  What this job runs on, and what of it to change. */
#include "ntklens/machine.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const double slow_gflops = 4.0; /* no tuned BLAS on a CPU of today is slower in double */

/* Field "model name" of the first CPU. */
static void read_cpu_name(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];

    snprintf(name, size, "unknown CPU");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Cores that any rank of the node may run on.  Collective over the node. */
static int count_cores(const nl_team *team)
{
    cpu_set_t mine;
    cpu_set_t all;
    int cores = 0;

    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) { /* more than 1024 CPUs */
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    MPI_Allreduce(&mine, &all, sizeof mine, MPI_BYTE, MPI_BOR, team->node);
    return cores > 0 ? cores : (int)fmin(CPU_COUNT(&all), ceil(nl_cgroup_cores("")));
}

nl_status nl_machine_inspect(const nl_team *team, nl_machine *out)
{
    *out = (nl_machine){.cpu = nl_cpu_here(),
                        .cores = count_cores(team),
                        .cores_of_node = (int)fmin((double)sysconf(_SC_NPROCESSORS_ONLN),
                                                   ceil(nl_cgroup_cores(""))),
                        .ranks = team->node_size,
                        .ranks_in_all = team->size,
                        .memory_share = nl_memory_share(team->node_size),
                        .better_kernel = nl_blas_better_kernel(nl_cpu_here(), nl_blas_kernel())};
    if (team->rank == 0) { /* one rank per node at most: the others would slow it */
        read_cpu_name(out->cpu_name, sizeof out->cpu_name);
        out->gflops_double = nl_blas_speed(NL_DOUBLE);
        out->gflops_single = nl_blas_speed(NL_SINGLE);
    }
    return nl_agree(team->comm, NL_OK);
}

/* Did the start of the program, or the user, name these kernels in vain? */
static bool was_tried(const nl_machine *machine)
{
    const char *wanted = getenv("OPENBLAS_CORETYPE");

    return wanted != NULL && strcasecmp(wanted, machine->better_kernel) == 0;
}

void nl_machine_rank_findings(const nl_machine *machine, nl_text *lines)
{
    char cores[48];

    if (machine->ranks > 1 && machine->cores == 1 && machine->cores_of_node > 1) {
        nl_text_append(lines,
                       "all %d ranks of the node may use only one and the same core: bind them to "
                       "cores of their own (mpirun --bind-to core; srun --cpus-per-task=1)\n",
                       machine->ranks);
    } else if (machine->ranks > machine->cores) {
        nl_text_append(lines, "%d ranks share %s of the node: one rank per core is faster\n",
                       machine->ranks, nl_format_count(machine->cores, "core", cores));
    }
    if (nl_blas_is_mixed()) {
        char blas[64];

        nl_text_append(lines,
                       "BLAS and LAPACK are those of different libraries (%s; dgemm from %s): let "
                       "libblas.so.3 and liblapack.so.3 be the same, best OpenBLAS\n",
                       nl_blas_version(blas), nl_blas_file());
    }
}

void nl_machine_findings(const nl_machine *machine, nl_text *lines)
{
    nl_machine_rank_findings(machine, lines);
    if (machine->better_kernel != NULL && nl_blas_has_choice() && !was_tried(machine)) {
        nl_text_append(lines,
                       "the BLAS uses %s kernels on a CPU with %s: set OPENBLAS_CORETYPE=%s, or "
                       "leave it unset and do not give --no-blas-fix\n",
                       nl_blas_kernel(), nl_vectors_name(machine->cpu.vectors),
                       machine->better_kernel);
    } else if (machine->better_kernel != NULL) {
        nl_text_append(lines,
                       "the BLAS uses %s kernels on a CPU with %s: an OpenBLAS built for this CPU, "
                       "or with DYNAMIC_ARCH, is several times faster\n",
                       nl_blas_kernel(), nl_vectors_name(machine->cpu.vectors));
    } else if (machine->gflops_double < slow_gflops) {
        nl_text_append(lines,
                       "%.1f GFLOP/s is what an untuned BLAS does (%s): install OpenBLAS and let "
                       "libblas.so.3 be it (Debian: update-alternatives --config libblas.so.3-*), "
                       "unless the core is busy with something else\n",
                       machine->gflops_double, nl_blas_file() != NULL ? nl_blas_file() : "unknown");
    }
}

void nl_machine_log(const nl_machine *machine, nl_log *log)
{
    const char *before = getenv("NTKLENS_BLAS_FIX"); /* set by src/app/blas_fix.c */
    char blas[64];

    nl_log_event(log, "machine",
                 "cpu=\"%s\" vectors=%s cores=%d ranks=%d blas=\"%s\" blas_kernel=%s "
                 "gflops_double=%.1f gflops_single=%.1f memory_per_rank=%.0f%s%s",
                 machine->cpu_name, nl_vectors_name(machine->cpu.vectors), machine->cores,
                 machine->ranks, nl_blas_version(blas), nl_blas_kernel(), machine->gflops_double,
                 machine->gflops_single, machine->memory_share,
                 before != NULL ? " blas_kernel_before=" : "", before != NULL ? before : "");
}
