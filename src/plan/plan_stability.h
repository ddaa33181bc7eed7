/** @file plan_stability.h  Do the trainings of a study begin below their own stability? */
#ifndef NTKLENS_PLAN_PLAN_STABILITY_H
#define NTKLENS_PLAN_PLAN_STABILITY_H

#include "plan.h"

/** Initialise one network of each kind and find the largest learning rate at which its training
 *  begins stable.  Loads the images.  Local to this process; needs MPI. */
NL_MUST_CHECK nl_status nl_plan_find_starts(nl_plan *plan);

#endif
