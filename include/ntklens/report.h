/** @file report.h  Power laws fitted to tables of results, and what may be concluded. */
#ifndef NTKLENS_REPORT_H
#define NTKLENS_REPORT_H

#include "ntklens/base.h"

typedef struct nl_report_options {
    int count; /* of the folders, at least one */
    const char *const
        *folders;     /* [count]: their results.csv and study.yaml are read, and no more */
    const char *out;  /* folder for summary.md, fits.csv, robustness.csv, transition.csv; created */
    double threshold; /* of the kernel distance, for the transition */
} nl_report_options;

/**
 * Fit power laws to the tables of one or several results folders, say what may be concluded, and
 * write both.
 *
 * @return NL_ERR_USAGE where a folder holds no results.csv; NL_ERR_DATA, with file:line, where a
 * table is broken; NL_ERR_STUDY where a study.yaml is
 */
NL_MUST_CHECK nl_status nl_study_report(const nl_report_options *options, FILE *stream);

#endif
