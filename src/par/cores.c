/** @file cores.c  Cores that the ranks of a node may run on. */
#include "cores.h"

#include <stdio.h>

/* The first of the CPUs that are one core; the CPU itself, where the system does not tell. */
static size_t first_sibling(int cpu)
{
    char path[96];
    FILE *file = NULL;
    int first = cpu;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%d", &first) != 1) {
            first = cpu;
        }
        fclose(file);
    }
    return (size_t)(first >= 0 && first < CPU_SETSIZE ? first : cpu);
}

static int count_cores(const cpu_set_t *mask)
{
    cpu_set_t cores;

    CPU_ZERO(&cores);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, mask)) {
            CPU_SET(first_sibling((int)cpu), &cores);
        }
    }
    return CPU_COUNT(&cores);
}

static bool overlap(const cpu_set_t *a, const cpu_set_t *b)
{
    cpu_set_t both;

    CPU_AND(&both, a, b);
    return CPU_COUNT(&both) > 0;
}

/* Collective over the node: its ranks' masks, one after the other. */
static cpu_set_t mask_of(const nl_team *team, int rank, const cpu_set_t *mine)
{
    cpu_set_t mask = *mine;

    MPI_Bcast(&mask, sizeof mask, MPI_BYTE, rank, team->node);
    return mask;
}

void nl_core_groups(const nl_team *team, nl_core_group *groups, int *count, int *group)
{
    cpu_set_t mine;

    *count = 0;
    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) {
        CPU_ZERO(&mine); /* more CPUs than a mask has */
    }
    for (int rank = 0; rank < team->node_size; rank++) {
        const cpu_set_t mask = mask_of(team, rank, &mine);
        int g = 0;

        while (g < *count && !CPU_EQUAL(&groups[g].mask, &mask)) {
            g++;
        }
        if (g == *count) {
            groups[(*count)++] = (nl_core_group){.mask = mask, .cores = count_cores(&mask)};
        }
        groups[g].ranks++;
        group[rank] = g;
    }
    for (int g = 0; g < *count; g++) {
        for (int other = 0; other < *count; other++) {
            if (other != g && overlap(&groups[g].mask, &groups[other].mask)) {
                groups[g].cores = 0;
            }
        }
    }
}
