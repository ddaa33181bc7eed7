/** @file timings_rates.h  How long work takes, told by an earlier run. */
#ifndef NTKLENS_PLAN_TIMINGS_RATES_H
#define NTKLENS_PLAN_TIMINGS_RATES_H

#include "throughput.h"

/** From the timings.csv of an earlier run, its study.yaml being beside it. */
NL_MUST_CHECK nl_status nl_throughputs_read(const char *path, nl_throughputs *out);

#endif
