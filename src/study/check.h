/** @file check.h  What keys say together. */
#ifndef NTKLENS_STUDY_CHECK_H
#define NTKLENS_STUDY_CHECK_H

#include "reading.h"

/** Complain about keys without a default that are not given. */
void nl_reading_check_missing(nl_reading *reading);

/** Complain about keys that contradict each other, every key having its values. */
void nl_reading_check(nl_reading *reading);

#endif
