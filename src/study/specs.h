/** @file specs.h  Keys as the program wants them. */
#ifndef NTKLENS_STUDY_SPECS_H
#define NTKLENS_STUDY_SPECS_H

#include "ntklens/study.h"

/** Set study->spec from the values of a study that passed all checks. */
void nl_study_make_spec(nl_study *study);

#endif
