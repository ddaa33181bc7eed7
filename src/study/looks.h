/** @file looks.h  The steps at which a training is looked at: a function of cell and study. */
#ifndef NTKLENS_STUDY_LOOKS_H
#define NTKLENS_STUDY_LOOKS_H

#include "result.h"

typedef struct nl_look {
    long step;
    bool evaluated; /* on the evaluation grid: part of the curve, may be best */
    bool measured;  /* kernels are measured */
    bool logged;    /* on the log grid of measurements: velocities are taken from here */
} nl_look;

typedef struct nl_looks {
    nl_look *at; /* owned; ascending steps, from 0 to max_steps */
    int count;
} nl_looks;

NL_MUST_CHECK nl_status nl_looks_create(const nl_cell *cell, const nl_measure_plan *plan,
                                        nl_looks *out);
void nl_looks_free(nl_looks *looks);

/** Is a step on the evaluation grid? */
bool nl_looks_evaluated(const nl_looks *looks, long step);

/** The last step of the log grid before this one, -1: none. */
long nl_looks_logged_before(const nl_looks *looks, long step);

#endif
