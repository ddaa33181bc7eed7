/** @file cores.h  Cores that the ranks of a node may run on. */
#ifndef NTKLENS_PAR_CORES_H
#define NTKLENS_PAR_CORES_H

#include "ntklens/par.h"

#include <sched.h>

/** Ranks of a node whose affinity is the same. */
typedef struct nl_core_group {
    cpu_set_t mask;
    int ranks;
    int cores; /* of the machine, whatever threads they run at a time; 0: nothing is known of them,
                  or ranks of other groups may run on some of them, too */
} nl_core_group;

/**
 * Collective over the node.
 *
 * @param[out] groups  [node_size], of which *count mean something
 * @param[out] group   [node_size] of each rank
 */
void nl_core_groups(const nl_team *team, nl_core_group *groups, int *count, int *group);

#endif
