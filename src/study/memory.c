/** @file memory.c  How much memory a rank may use. */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double usable = 0.8; /* the rest is for MPI, libraries and the system's caches */

double nl_number_in(const char *path)
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

/* Is `controller` one of the names, joined by commas, up to the second colon of a line? */
static bool has_controller(const char *line, const char *controller)
{
    const char *names = strchr(line, ':');
    const char *end = names != NULL ? strchr(names + 1, ':') : NULL;
    const size_t length = strlen(controller);

    for (const char *name = names; name != NULL && end != NULL && name < end;
         name = strpbrk(name + 1, ",:")) {
        if (strncmp(name + 1, controller, length) == 0 && strchr(",:", name[1 + length]) != NULL) {
            return true;
        }
    }
    return false;
}

bool nl_cgroup_path(const char *controller, const char *file, char out[nl_cgroup_path_size])
{
    FILE *list = fopen("/proc/self/cgroup", "re");
    char line[1024];
    bool found = false;

    while (list != NULL && !found && fgets(line, sizeof line, list) != NULL) {
        const char *group = NULL;

        line[strcspn(line, "\n")] = '\0';
        found =
            controller[0] == '\0' ? strncmp(line, "0::", 3) == 0 : has_controller(line, controller);
        if (found) {
            group = strchr(strchr(line, ':') + 1, ':') + 1;
            snprintf(out, nl_cgroup_path_size, "/sys/fs/cgroup%s%s%s/%s",
                     controller[0] != '\0' ? "/" : "", controller, group, file);
        }
    }
    if (list != NULL) {
        fclose(list);
    }
    return found;
}

/* Limit of this process's cgroup (version 2, then 1), negative where there is none. */
static double cgroup_limit(void)
{
    char path[nl_cgroup_path_size];
    double limit = nl_cgroup_path("", "memory.max", path) ? nl_number_in(path) : -1.0;

    if (limit < 0.0 && nl_cgroup_path("memory", "memory.limit_in_bytes", path)) {
        limit = nl_number_in(path);
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
