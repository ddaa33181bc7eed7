/** @file words.h  Words and counts that tables and verdict share. */
#ifndef NTKLENS_REPORT_WORDS_H
#define NTKLENS_REPORT_WORDS_H

#include "fits.h"

/**
 * Group of a setting that verdict and figures speak of; -1 where there is none.  Of those whose
 * scales all count, three at least: along the data the smallest model, along the width (and the
 * parameters) the largest set.  Where there is none such, that with most scales that count, of
 * several the largest.
 */
int nl_report_headline(const nl_report_fits *fits, const char *setting, nl_direction direction);

/** Does the verdict speak of this group? */
bool nl_report_is_headline(const nl_report_fits *fits, int series);

/** How many combinations of rank definition, tag and probe part rise or fall, by one kernel. */
typedef struct nl_tally {
    int all, rises, falls; /* `all` without those below */
    int constant;          /* the same at all scales */
    int tested;            /* slopes that have an interval */
    int apart;             /* of these, how many exclude 0, each by its own interval of 95 % */
    int jointly_rises, jointly_falls; /* that do so together: at 5 % for any mistake (Holm) */
} nl_tally;

nl_tally nl_report_tally(const nl_report_fits *fits, int series, int kernel);

/** `tested`, `apart` and the joint ones over every fit. */
nl_tally nl_report_tally_all(const nl_report_fits *fits);

/** "effective_rank[full]@best", "trace[traced]@best/init", "test_loss@best"; out: 128 bytes. */
const char *nl_report_quantity(const nl_report_networks *data, int quantity, int kernel, int tag,
                               char out[128]);

/** The note of a fit: its own words, then who was left out. */
void nl_report_note(const nl_series_fit *fit, nl_text *out);

/** What an interval of a slope says. */
typedef enum nl_sign { NL_SIGN_UNKNOWN, NL_SIGN_RISES, NL_SIGN_FALLS, NL_SIGN_NO_INTERVAL } nl_sign;
nl_sign nl_interval_sign(nl_interval interval);

/** "undecided", "rises", "falls", "no interval"; "constant", or "-" where nothing was fitted. */
const char *nl_fit_sign_word(const nl_fit *fit);

/** Do the points leave residuals that the chosen law allows? */
typedef enum nl_holds { NL_UNTESTED, NL_HOLDS, NL_FAILS } nl_holds;
nl_holds nl_fit_holds(const nl_fit *fit);

/** "untested", "yes", "no". */
const char *nl_holds_word(nl_holds holds);

/** "the law holds within the noise (p = 0.31)"; out holds 192 bytes. */
const char *nl_fit_holds_text(const nl_fit *fit, char out[192]);

/** "+0.48 (95 %: 0.44 to 0.52)"; out holds 96 bytes. */
const char *nl_interval_text(nl_interval interval, char out[96]);

#endif
