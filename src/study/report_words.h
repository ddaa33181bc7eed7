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
} nl_tally;

nl_tally nl_report_tally(const nl_report_fits *fits, int group);

#endif
