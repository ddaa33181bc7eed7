/** @file memory_limit.c  How much memory a rank may use. */
#include "ntklens/io.h"
#include "ntklens/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { line_size = 1024 };

/* A file of a folder; NULL where there is none. */
static FILE *open_in(const char *folder, const char *name)
{
    char *path = nl_path_join(folder, name);
    FILE *file = path != NULL ? fopen(path, "re") : NULL;

    free(path);
    return file;
}

/* First number in a small text file; negative where there is none ("max"). */
static double number_in(const char *folder, const char *name)
{
    FILE *file = open_in(folder, name);
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

/* Path of this process's group, below where groups are mounted; false: it is in none. */
static bool find_group(const char *root, const char *controller, char out[line_size])
{
    FILE *list = open_in(root, "proc/self/cgroup");
    char line[line_size];
    bool found = false;

    while (list != NULL && !found && fgets(line, sizeof line, list) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found =
            controller[0] == '\0' ? strncmp(line, "0::", 3) == 0 : has_controller(line, controller);
        if (found) {
            snprintf(out, line_size, "%s", strchr(strchr(line, ':') + 1, ':') + 1);
        }
    }
    if (list != NULL) {
        fclose(list);
    }
    return found;
}

/** What a group, a folder, is limited to by itself; not positive where it is not limited. */
typedef double limit_fn(const char *group);

/* The least limit of this process's group and of all those above it, which bind as well: a batch
 * system limits the job's.  In a container the path may be that of the host, of which only the
 * mount point is seen.  Version 2 for controller "", else 1; infinite where nothing limits. */
static double least_limit(const char *root, const char *controller, limit_fn *limit_of)
{
    char group[line_size];
    nl_text path = {0};
    double least = INFINITY;
    char *end = NULL;

    if (!find_group(root, controller, group)) {
        return INFINITY;
    }
    do {
        double limit = 0.0;

        path.length = 0;
        nl_text_append(&path, "%s/sys/fs/cgroup%s%s%s", root, controller[0] != '\0' ? "/" : "",
                       controller, group);
        limit = path.failed ? 0.0 : limit_of(path.data);
        least = limit > 0.0 && limit < least ? limit : least;
        end = strrchr(group, '/');
        if (end != NULL) {
            *end = '\0';
        }
    } while (end != NULL);
    nl_text_free(&path);
    return least;
}

static double memory_of(const char *group)
{
    return number_in(group, "memory.max");
}

static double memory_of_version_1(const char *group)
{
    return number_in(group, "memory.limit_in_bytes");
}

static double cores_of(const char *group)
{
    FILE *file = open_in(group, "cpu.max");
    double used = 0.0;
    double period = 0.0;
    bool limited = false;

    if (file != NULL) {
        limited = fscanf(file, "%lf %lf", &used, &period) == 2 && period > 0.0;
        fclose(file);
    }
    return limited ? used / period : -1.0;
}

static double cores_of_version_1(const char *group)
{
    const double used = number_in(group, "cpu.cfs_quota_us"); /* -1: not limited */

    return used > 0.0 ? used / number_in(group, "cpu.cfs_period_us") : -1.0;
}

double nl_cgroup_memory(const char *root)
{
    return fmin(least_limit(root, "", memory_of), least_limit(root, "memory", memory_of_version_1));
}

double nl_cgroup_cores(const char *root)
{
    return fmin(least_limit(root, "", cores_of), least_limit(root, "cpu", cores_of_version_1));
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

double nl_usable_memory(double bytes)
{
    return 0.8 * bytes;
}

double nl_memory_share(int ranks_of_node)
{
    const char *cpus = getenv("SLURM_CPUS_ON_NODE");
    double node = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    lower(&node, nl_cgroup_memory(""));
    lower(&node, megabytes_in("SLURM_MEM_PER_NODE"));
    if (cpus != NULL) {
        lower(&node, megabytes_in("SLURM_MEM_PER_CPU") * strtod(cpus, NULL));
    }
    return nl_usable_memory(node) / ranks_of_node;
}

double nl_memory_budget(double asked, int ranks_of_node)
{
    return asked > 0.0 ? asked : nl_memory_share(ranks_of_node);
}
