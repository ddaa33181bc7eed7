/** @file figures.h  Figures are drawn by tools/ntklens-plot, a program of its own. */
#ifndef NTKLENS_APP_FIGURES_H
#define NTKLENS_APP_FIGURES_H

#include "ntklens/base.h"

/**
 * Run ntklens-plot --output=REPORT FOLDER...: the one beside this program, else in tools/ of the
 * source tree this program was built in, else in $PATH.  Figures are an extra: where they cannot be
 * had one line says how to get them, and that is no failure.
 */
void nl_figures_draw(const char *report, int count, const char *const folders[]);

#endif
