/** @file machine.h  What this job runs on. */
#ifndef NTKLENS_STUDY_MACHINE_H
#define NTKLENS_STUDY_MACHINE_H

#include "ntklens/linalg.h"
#include "ntklens/par.h"

/** Of the root's node, but where it says otherwise. */
typedef struct nl_machine {
    char cpu_name[128];
    nl_cpu cpu;
    int cores;            /* that the ranks of the node may run on, together */
    int cores_of_node;    /* that there are */
    int ranks;            /* of the node */
    int ranks_in_all;     /* of the job */
    double memory_share;  /* bytes per rank */
    double gflops_double; /* of this thread */
    double gflops_single;
    const char *better_kernel; /* NULL: the BLAS uses what the CPU has */
} nl_machine;

/** Look at the machine; takes some 20 ms.  Collective over the team; *out means something on the
 *  root only. */
NL_MUST_CHECK nl_status nl_machine_look(const nl_team *team, nl_machine *out);

/** What to change about ranks, cores and mixed libraries, one line a finding, in words; none where
 * all is well. */
void nl_machine_rank_findings(const nl_machine *machine, nl_text *lines);

/** These and what to change about the BLAS. */
void nl_machine_findings(const nl_machine *machine, nl_text *lines);

/** Event `machine` of the log. */
void nl_machine_log(const nl_machine *machine, nl_log *log);

#endif
