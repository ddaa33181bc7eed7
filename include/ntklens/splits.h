/** @file splits.h  The images of a study: test, validation and probe sets, training subsets. */
#ifndef NTKLENS_SPLITS_H
#define NTKLENS_SPLITS_H

#include "ntklens/data.h"
#include "ntklens/par.h"

/** Which images a study wants; keys of its section `data`. */
typedef struct nl_split_spec {
    const char *file; /* the study's, borrowed: begins complaints */
    nl_source source;
    uint32_t seed;               /* of test, validation and probe draws, of a fixed subset */
    int largest_train;           /* training images of the largest cell */
    int test, validation, probe; /* sizes */
    bool probe_from_train;       /* the probe is the beginning of the training subset */
    bool subset_per_seed;        /* each seed has a training subset of its own */
    bool standardize;
    double label_noise;
} nl_split_spec;

/** Some images of one file, with their labels. */
typedef struct nl_subset {
    const nl_images *images; /* borrowed */
    int count;
    const int *index; /* [count] in the original file; borrowed, or owned by whoever made it */
    int *labels;      /* owned; [count], training labels with noise */
} nl_subset;

/** What all cells of a study share.  Each rank has one; pixels and probe are shared by the node. */
typedef struct nl_splits {
    nl_dataset *dataset; /* owned */
    const nl_dataset_info *info;
    nl_scaling scaling;
    int *test_order;                   /* owned; stratified permutation of the test file */
    nl_subset test, validation, probe; /* slices of it; probe: only with probe_from: test */
    nl_node_memory probe_inputs; /* owned; [probe x inputs] floats; none: seeds have their own */
} nl_splits;

/** Do the sets that the study asks for fit into the files?  Complaints name the key.  Local. */
NL_MUST_CHECK nl_status nl_splits_check(const nl_split_spec *spec, const nl_dataset_info *info);

/** Load the data and draw the sets.  Collective over the team. */
NL_MUST_CHECK nl_status nl_splits_create(const nl_split_spec *spec, const char *folder,
                                         const nl_team *team, nl_splits **out);
void nl_splits_destroy(nl_splits **splits);

/** Do cells of different seeds have different probes?  Pure. */
bool nl_probe_depends_on_seed(const nl_split_spec *spec);

/** Bytes of a probe, as the network sees it.  Each cell at work has its own where they differ by
 * seed, else each node has one.  Pure. */
double nl_probe_bytes(const nl_split_spec *spec, const nl_dataset_info *info);

/** Training subset and probe of a cell.  Owns index and labels. */
typedef struct nl_cell_data {
    nl_subset train;
    int *order; /* owned: what train.index points at */
    nl_subset probe;
    const float *probe_inputs; /* borrowed; [probe.count x inputs], as the network sees them */
    float *own_inputs;         /* owned; these, where seeds differ */
} nl_cell_data;
NL_MUST_CHECK nl_status nl_cell_data_create(const nl_split_spec *spec, const nl_splits *splits,
                                            int n_train, uint32_t seed, nl_cell_data **out);
void nl_cell_data_destroy(nl_cell_data **data);

#endif
