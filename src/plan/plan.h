/** @file plan.h  What a run would need. */
#ifndef NTKLENS_PLAN_PLAN_H
#define NTKLENS_PLAN_PLAN_H

#include "throughput.h"

#include "ntklens/measure.h"
#include "ntklens/plan.h"

/** A network of the study as it begins, and whether it begins below its own stability. */
typedef struct nl_plan_start {
    const nl_cell *cell;
    double stability_rate; /* as in results.csv, of `plan->start_samples` samples of the probe */
    double rate_ratio;     /* learning rate over it */
} nl_plan_start;

/** What the cells of one network take. */
typedef struct nl_plan_network {
    int cells;
    double steps;         /* over its cells */
    double step_flops;    /* of one, the largest */
    double state_flops;   /* of the fills of all kernels of a state */
    double seconds;       /* of one rank, over its cells */
    double train_seconds; /* of which training */
    double bytes;         /* peak of a rank beside program and images */
    int parts;            /* of the parameters in the fill that has most; 0: MLPs have none */
} nl_plan_network;

/** Everything `ntklens plan` says.  Owns its arrays. */
typedef struct nl_plan {
    const nl_study *study;
    int ranks;
    int ranks_per_node;
    nl_dataset_info info;
    nl_text remarks; /* on the images, lines as of nl_dataset_remarks(); owned */
    nl_measure_plan *measure;
    nl_cell *cells;
    int count;
    nl_solve_table solves;
    int team_size; /* ranks that share what is shared; 1: nothing is */
    double budget; /* for a kernel, bytes a rank */
    nl_throughputs throughputs;
    double single_rate;  /* the same in single precision */
    double product_rate; /* operations a second of large products */
    double flops[NL_EFFORT_KINDS];
    double seconds[NL_EFFORT_KINDS]; /* of one rank, over all cells */
    double other_seconds;            /* files, checks of states */
    double steps;                    /* over all cells */
    int states;
    double *kernel_seconds;   /* owned; [networks x kernels] of one fill and solve */
    nl_plan_network *network; /* owned; [networks] */
    bool helping;             /* ranks without work measure kernels of cells that others have */
    int teams;                /* that measure shared kernels side by side */
    int busy_ranks;           /* that have work at the same time, at most */
    double wall;              /* seconds on `ranks` ranks */
    double data_bytes;
    double process_bytes; /* program and libraries */
    double rank_bytes;    /* peak of the rank that needs most, as the system counts it */
    double all_bytes;     /* of all ranks, images once */
    double memory_per_rank;
    int least_ranks;      /* that fit in memory_per_rank; 0: none; -1: was not asked for */
    int starts;           /* of plain sgd; the narrowest and the widest network of each kind */
    nl_plan_start *start; /* owned */
    int start_samples;
    int files;
    double disk_bytes, running_bytes; /* left behind; at most while it runs */
} nl_plan;

NL_MUST_CHECK nl_status nl_plan_make(const nl_study *study, const nl_plan_options *options,
                                     nl_plan *out);
void nl_plan_free(nl_plan *plan);

#endif
