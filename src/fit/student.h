/** @file student.h  Student's t, differences of intervals, notes. */
#ifndef NTKLENS_FIT_STUDENT_H
#define NTKLENS_FIT_STUDENT_H

#include "ntklens/fit.h"

/** Append to a note, with "; " between. */
void nl_note(char note[nl_fit_note_size], const char *format, ...) NL_PRINTF(2, 3);

#endif
