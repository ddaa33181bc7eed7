/** @file view.h  What the verdict on one setting looks at. */
#ifndef NTKLENS_REPORT_VIEW_H
#define NTKLENS_REPORT_VIEW_H

#include "fits.h"

/** What the verdict on one setting looks at. */
typedef struct nl_report_view {
    const nl_report_networks *data;
    const nl_report_fits *fits;
    const char *setting;
    int kernel;                /* of the headline; -1: none */
    int best;                  /* tag */
    int series[NL_DIRECTIONS]; /* of the headline; -1: none */
    nl_text *out;
} nl_report_view;

/** Fit of a quantity in the headline's group of a direction, NULL where there is none. */
const nl_fit *nl_report_view_fit(const nl_report_view *view, nl_direction direction,
                                 const char *column, int kernel, int tag);

/** A part of a sum of slopes: its slope with its interval, or `constant`, or why it is unknown. */
void nl_report_part(const nl_fit *fit, const char *constant, nl_text *out);

/** ", with a peak at 64": where the means of a fit turn, so that its slope hides it; else nothing.
 */
void nl_report_turn(const nl_fit *fit, nl_text *out);

/** Which of two parts of a sum of slopes is larger in size, as far as their intervals tell. */
typedef enum nl_larger_part {
    NL_PART_INIT,
    NL_PART_TRAINING,
    NL_PART_UNKNOWN,
    NL_PART_NO_INTERVAL
} nl_larger_part;
nl_larger_part nl_report_larger(const nl_fit *init, const nl_fit *change);

#endif
