/** @file figures.h  Figures are drawn by tools/ntklens-plot, a program of its own. */
#ifndef NTKLENS_APP_FIGURES_H
#define NTKLENS_APP_FIGURES_H

#include "ntklens/base.h"

/**
 * Run ntklens-plot --output=REPORT FOLDER...: the one that $NTKLENS_PLOT names; else, where this
 * program runs from the tree that it was built in, that of its sources; else the installed one.
 * Figures are an extra: where they cannot be
 * had one line says how to get them, and that is no failure.
 */
void nl_figures_draw(const char *report, int count, const char *const folders[]);

#endif
