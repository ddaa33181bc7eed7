/** @file estimation.h  Quadrature of a kernel of the measurer's state, whatever makes its products.
 */
#ifndef NTKLENS_MEASURE_ESTIMATION_H
#define NTKLENS_MEASURE_ESTIMATION_H

#include "ntklens/measure.h"
#include "ntklens/quadrature.h"

/** What is known of an operator with the nonzero eigenvalues of a kernel.  All borrowed. */
typedef struct nl_estimation {
    const nl_measurer *m;
    int kernel;            /* index in the plan */
    int order;             /* of the operator */
    double trace;          /* of both */
    double frobenius2;     /* NaN: not known */
    double relative_error; /* wanted */
    int targets;           /* of the labels, as the operator has them */
    const double *target;  /* [order x targets] */
    double targets2;       /* sum of their squares, as the kernel has them */
    bool of_parameters;    /* the operator is J^T J, and the targets are J^T of those */
    nl_block_operator_fn *apply;
    nl_operator_renew_fn *renew;
    void *context;
} nl_estimation;

/** Products that an interrupted run made are found on disk, others are kept there from time to
 * time. Collective over the measurer's grid.
 *
 *  @return NL_ERR_NUMERIC where a product was wrong twice, which is told */
NL_MUST_CHECK nl_status nl_estimation_run(const nl_estimation *e, nl_quadrature *out);

/** Columns that hang on it alone, or on the trace; where spectra are kept, the eigenvalues that are
 *  right and the counting function.  Collective over the measurer's grid. */
NL_MUST_CHECK nl_status nl_estimation_take(const nl_estimation *e, const nl_quadrature *q,
                                           nl_measurement *out);

#endif
