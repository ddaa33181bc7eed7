/** @file samples.h  Which samples a rank's part of a kernel is about. */
#ifndef NTKLENS_NTK_SAMPLES_H
#define NTKLENS_NTK_SAMPLES_H

#include "ntklens/linalg.h"

/** Samples of the local rows and columns, which are whole samples. */
typedef struct nl_local_samples {
    int unit; /* rows of a sample */
    int rows, cols;
    int *row, *col; /* owned */
} nl_local_samples;

/** Local.  Free with nl_local_samples_free(), also where it failed. */
NL_MUST_CHECK nl_status nl_local_samples_list(const nl_dmat *a, int unit, nl_local_samples *out);

/** Samples 0 .. count, as rows and as columns of one row each. */
NL_MUST_CHECK nl_status nl_local_samples_first(int count, nl_local_samples *out);
void nl_local_samples_free(nl_local_samples *samples);

#endif
