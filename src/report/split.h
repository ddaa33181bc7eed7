/** @file split.h  What the rank of the full kernel is made of. */
#ifndef NTKLENS_REPORT_SPLIT_H
#define NTKLENS_REPORT_SPLIT_H

#include "view.h"

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
