/** @file report_words.h  What verdict and tables share; private to the room. */
#ifndef NTKLENS_STUDY_REPORT_WORDS_H
#define NTKLENS_STUDY_REPORT_WORDS_H

#include "report.h"

/** Group of a setting that the verdict speaks of: most scales, then the largest held value; -1
 * where there is none. */
int nl_report_headline(const nl_report_fits *fits, const char *setting, nl_direction direction);

/** Does the verdict speak of this group? */
bool nl_report_is_headline(const nl_report_fits *fits, int group);

/** How many combinations of rank definition, kernel, tag and probe part rise or fall. */
typedef struct nl_tally {
    int all, rises, falls; /* `all` without those below */
    int constant;          /* the same at all scales */
    int tested;            /* slopes that have an interval */
    int apart;             /* of these, how many exclude 0, each by its own interval of 95 % */
    int jointly_rises, jointly_falls; /* that do so together: at 5 % for any mistake (Holm) */
} nl_tally;

nl_tally nl_report_tally(const nl_report_fits *fits, int group);

/** `tested`, `apart` and the joint ones over every fit. */
nl_tally nl_report_tally_all(const nl_report_fits *fits);

#endif
