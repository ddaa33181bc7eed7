/** @file report_words.h  What verdict and tables share; private to the room. */
#ifndef NTKLENS_STUDY_REPORT_WORDS_H
#define NTKLENS_STUDY_REPORT_WORDS_H

#include "report.h"

/**
 * Group of a setting that verdict and figures speak of; -1 where there is none.  Of those whose
 * scales all count, three at least: along the data the smallest model, along the width (and the
 * parameters) the largest set.  Where there is none such, that with most scales that count, of
 * several the largest.
 */
int nl_report_headline(const nl_report_fits *fits, const char *setting, nl_direction direction);

/** Does the verdict speak of this group? */
bool nl_report_is_headline(const nl_report_fits *fits, int group);

/** How many combinations of rank definition, tag and probe part rise or fall, by one kernel. */
typedef struct nl_tally {
    int all, rises, falls; /* `all` without those below */
    int constant;          /* the same at all scales */
    int tested;            /* slopes that have an interval */
    int apart;             /* of these, how many exclude 0, each by its own interval of 95 % */
    int jointly_rises, jointly_falls; /* that do so together: at 5 % for any mistake (Holm) */
} nl_tally;

nl_tally nl_report_tally(const nl_report_fits *fits, int group, int kernel);

/** `tested`, `apart` and the joint ones over every fit. */
nl_tally nl_report_tally_all(const nl_report_fits *fits);

/** What the verdict on one setting looks at. */
typedef struct nl_report_view {
    const nl_report_data *data;
    const nl_report_fits *fits;
    const char *setting;
    int kernel;               /* of the headline; -1: none */
    int best;                 /* tag */
    int group[NL_DIRECTIONS]; /* of the headline; -1: none */
    nl_text *out;
} nl_report_view;

/** Fit of a quantity in the headline's group of a direction, NULL where there is none. */
const nl_fit *nl_report_view_fit(const nl_report_view *view, nl_direction direction,
                                 const char *column, int kernel, int tag);

/** A part of a sum of slopes: its slope with its interval, or `constant`, or why it is unknown. */
void nl_report_part(const nl_fit *fit, const char *constant, nl_text *out);

/** Which of two parts of a sum of slopes is larger in size, as far as their intervals tell. */
typedef enum nl_larger_part {
    NL_PART_INIT,
    NL_PART_TRAINING,
    NL_PART_UNKNOWN,
    NL_PART_NO_INTERVAL
} nl_larger_part;

nl_larger_part nl_report_larger(const nl_fit *init, const nl_fit *change);

/** The published claims, each with an answer, numbers, and what it depends on; a Markdown table. */
void nl_report_claims(const nl_report_view *view);

/**
 * What the rank of the full kernel is made of: log rank(full) = log rank(traced) + log class
 * factor, at init and at best, and rank at best = rank at init x what training made of it.
 * Markdown; nothing where a kernel was not measured.
 */
void nl_report_split(const nl_report_view *view);

/** The trend of the effective ranks at every held value, where there are several, and where its
 *  sign turns.  Markdown. */
void nl_report_held_values(const nl_report_view *view);

#endif
