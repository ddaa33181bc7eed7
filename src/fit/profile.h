/** @file profile.h  Chi-square of y = offset + amplitude x^-exponent, profiled over the exponent.
 *
 * Residuals are those of log y: a seed that is larger by a factor at all points only changes the
 * scale of the law, and noise of 20 % is as likely up as down. */
#ifndef NTKLENS_FIT_PROFILE_H
#define NTKLENS_FIT_PROFILE_H

#include "points.h"

/** Least chi-square over exponent and amplitude, without an offset. */
nl_profile nl_profile_power(const nl_points *points);

/** The same with an offset within [least, most]; near: an exponent where to look besides. */
nl_profile nl_profile_offset(const nl_points *points, double least, double most, double near);

/** Fill in the intervals of a profile with an offset. */
void nl_profile_bound(const nl_points *points, double least, double most, nl_profile *profile);

#endif
