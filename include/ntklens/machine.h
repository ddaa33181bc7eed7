/** @file machine.h  What this job runs on: cores, memory limits, libraries. */
#ifndef NTKLENS_MACHINE_H
#define NTKLENS_MACHINE_H

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
NL_MUST_CHECK nl_status nl_machine_inspect(const nl_team *team, nl_machine *out);

/** What to change about ranks, cores and mixed libraries, one line a finding, in words; none where
 * all is well. */
void nl_machine_rank_findings(const nl_machine *machine, nl_text *lines);

/** These and what to change about the BLAS. */
void nl_machine_findings(const nl_machine *machine, nl_text *lines);

/** Event `machine` of the log. */
void nl_machine_log(const nl_machine *machine, nl_log *log);

enum { nl_library_facts = 4, nl_library_width = 64 };

/** Names of the facts, which are those of attributes in cells/<id>.h5 and of the provenance. */
extern const char *const nl_library_names[nl_library_facts];

/** What a process computes with.  Flat: it travels between ranks as bytes. */
typedef struct nl_libraries {
    char fact[nl_library_facts][nl_library_width]; /* empty: not known, which differs from none */
} nl_libraries;

/** Of this process.  Local. */
nl_libraries nl_libraries_here(void);

/** Append "blas_kernel Haswell, here SkylakeX; ..." for every fact in which other ones differ from
 *  those here; nothing where they do not. */
void nl_libraries_compare(const nl_libraries *other, nl_text *differences);

/** Do all ranks compute with the same ones?  Collective. */
bool nl_libraries_same(const nl_team *team);

/** What cgroups of either version leave this process: bytes, and cores' worth of time.  Infinite
 *  where they do not limit it.  root: "" for this machine, a folder with /proc and /sys for tests.
 *  Local. */
double nl_cgroup_memory(const char *root);
double nl_cgroup_cores(const char *root);

/** What of so much memory kernels may use: the rest is for MPI, libraries and the system's caches.
 */
double nl_usable_memory(double bytes);

/** What cgroup, SLURM and the machine leave each of the ranks of a node, bytes.  Local. */
double nl_memory_share(int ranks_of_node);

/** Memory budget of a rank: what is asked for, or (0) what cgroup, SLURM and the machine leave
 * it. Local; the job takes the least of all ranks. */
double nl_memory_budget(double asked, int ranks_of_node);

/**
 * Check the machine the team runs on, and what of it to change: cores, memory, BLAS and its speed,
 * every eigensolver against known eigenvalues.  The root prints.  Collective over the team.
 *
 * @return NL_ERR_NUMERIC where a solver is wrong
 */
NL_MUST_CHECK nl_status nl_doctor(const nl_team *team, bool json, FILE *stream);

#endif
