/** @file quantities.h  The columns that are fitted. */
#ifndef NTKLENS_REPORT_QUANTITIES_H
#define NTKLENS_REPORT_QUANTITIES_H

#include "ntklens/fit.h"

/** Where the offset of a law can lie. */
typedef enum nl_offset_kind {
    NL_OFFSET_FLOOR,    /* a loss: from 0 to the smallest mean */
    NL_OFFSET_RANK,     /* from 0 to the order of the matrix */
    NL_OFFSET_SHARE,    /* from 0 to 1 */
    NL_OFFSET_POSITIVE, /* from 0 */
} nl_offset_kind;

typedef struct nl_quantity {
    const char *column;
    bool per_kernel;        /* else one value a state */
    bool splits;            /* its slope at best is told as that at init plus that of best/init */
    const char *definition; /* of a rank: what the robustness table calls it; NULL: no rank */
    const char *part;       /* of a rank: share of the probe, "whole", "half", "quarter" */
    nl_offset_kind offset;
} nl_quantity;
extern const nl_quantity nl_quantities[];
extern const int nl_quantity_count;

/** Index of a column among the quantities; it must be one of them. */
int nl_quantity_find(const char *column);

/** Does every report tell of it, if only that there are no values? */
bool nl_quantity_is_core(int quantity);

/** Standard error of its logarithm, where the entropy is estimated with this half width of 95 %; 0:
 * it is exact, or nothing is said of it. */
double nl_quantity_error(int quantity, double entropy_error);

/** Where the offset of a quantity can lie; order: of the kernel, NaN where it is not known. */
nl_offset_range nl_quantity_range(int quantity, double order);

#endif
