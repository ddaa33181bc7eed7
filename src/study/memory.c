/** @file memory.c  How much memory a rank may use. */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double usable = 0.8; /* the rest is for MPI, libraries and the system's caches */

/* First number in a small text file, negative where there is none ("max"). */
static double number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    double number = -1.0;

    if (file != NULL) {
        if (fscanf(file, "%lf", &number) != 1) {
            number = -1.0;
        }
        fclose(file);
    }
    return number;
}

/* Limit of this process's cgroup (version 2, then 1), negative where there is none. */
static double cgroup_limit(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1024];
    char path[1200];
    double limit = -1.0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0) {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", line + 3);
            limit = number_in(path);
        } else if (strstr(line, ":memory:") != NULL) {
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes",
                     strstr(line, ":memory:") + strlen(":memory:"));
            limit = number_in(path);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return limit;
}

static void lower(double *limit, double other)
{
    if (other > 0.0 && other < *limit) {
        *limit = other;
    }
}

static double megabytes_in(const char *variable)
{
    const char *text = getenv(variable);

    return text != NULL ? strtod(text, NULL) * 1024.0 * 1024.0 : -1.0;
}

double nl_memory_share(int ranks_of_node)
{
    const char *cpus = getenv("SLURM_CPUS_ON_NODE");
    double node = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    lower(&node, cgroup_limit());
    lower(&node, megabytes_in("SLURM_MEM_PER_NODE"));
    if (cpus != NULL) {
        lower(&node, megabytes_in("SLURM_MEM_PER_CPU") * strtod(cpus, NULL));
    }
    return usable * node / ranks_of_node;
}

double nl_memory_budget(const nl_study *study, int ranks_of_node)
{
    return nl_study_word(study, NL_KEY_MEMORY_PER_RANK) == NULL
               ? nl_study_number(study, NL_KEY_MEMORY_PER_RANK)
               : nl_memory_share(ranks_of_node);
}
