/**
 * @file cell_file.h  What writing and reading of cells/<id>.h5 share.
 *
 * /                    attributes: the cell's keys, hashes, format, best_step, final_step, diverged
 * /                    attribute data_fingerprint: nl_dataset_fingerprint() of its images
 * /curve/<column>      evaluated states
 * /states/<column>     measured states; /measurements/<kernel>/<column>: one entry a state
 * /spectra, /kernels   <kernel>/<step>, where the study asks for them
 * <kernel>             traced, full, class<a>; of the first N images of the probe full@N
 * /rank_curve          <kernel>/<step> [points x 2]: place in the spectrum, from 1, and eigenvalue;
 *                      by quadrature, whose spectrum is short: eigenvalues that are right to 1e-3
 * /target_power        <kernel>/<step>, C(rho); /gradient_power: |u_i^T g|^2; with eigenvectors
 * /snapshots/<step>    weight<k>, bias<k>, k from 0 over layers with parameters, as PyTorch has
 * them: dense [units x inputs], convolution [channels x inputs x rows x columns], layer norm
 * [channels]; attribute `layers` of /snapshots: snapshots.h /training            what the training
 * goes on from /probe, /indices     what the network was shown
 */
#ifndef NTKLENS_RESULTS_CELL_FILE_H
#define NTKLENS_RESULTS_CELL_FILE_H

#include "ntklens/base.h"
#include "ntklens/observables.h"

#include <stddef.h>

enum {
    nl_file_format = 2,
    nl_file_text_width = 16,
    nl_method_bit = 4 /* of a measurement's bits: those of its nl_method begin here */
};

/** The first failure of a series of calls; later ones are skipped. */
#define THEN(status, call)                                                                         \
    do {                                                                                           \
        if ((status) == NL_OK) {                                                                   \
            (status) = (call);                                                                     \
        }                                                                                          \
    } while (0)

/** A double in a struct as a column: one table serves writing and reading. */
typedef struct nl_member {
    const char *name;
    size_t offset;
} nl_member;

#define NL_ENUMERATE(name, meaning) nl_member_##name,
enum { NL_OBSERVED(NL_ENUMERATE) nl_named_observables };
#undef NL_ENUMERATE

enum {
    nl_loss_member_count = 6,
    nl_regression_member_count = 5,
    nl_first_late_regression = 2, /* as nl_first_late_observable */
    nl_observed_member_count = 6 + nl_named_observables,
    nl_first_late_observable = 6 + nl_member_identity_distance /* files of 0.1.0's first tables have
                                                                  none from here on */
};
extern const nl_member nl_loss_members[nl_loss_member_count];
extern const nl_member nl_regression_members[nl_regression_member_count];
extern const nl_member nl_observed_members[nl_observed_member_count];

/** Columns of one kernel's measurements over the states.  Owned arrays of one entry a state. */
typedef struct nl_kernel_columns {
    int64_t *n, *bits; /* bits: 1 done, 2 negative, 4 resolved, 8 refilled, 16 times nl_method */
    double *error;     /* of the entropy */
    char (*solver)[nl_file_text_width];
    nl_observables *observed;
    double *column;
} nl_kernel_columns;

NL_MUST_CHECK nl_status nl_kernel_columns_create(nl_kernel_columns *columns, int states);
void nl_kernel_columns_free(nl_kernel_columns *columns);

#endif
