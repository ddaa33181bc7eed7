/** @file series.h  Networks along one direction, all else held. */
#ifndef NTKLENS_REPORT_SERIES_H
#define NTKLENS_REPORT_SERIES_H

#include "networks.h"

typedef enum nl_direction { NL_WIDTH, NL_DATA, NL_PARAMETERS, NL_DIRECTIONS } nl_direction;

/** "width", "data", "parameters". */
const char *nl_direction_name(nl_direction direction);

/** Networks along one direction, all else held. */
typedef struct nl_series {
    nl_direction direction;
    double held_value;   /* n_train, or the width */
    const char *setting; /* pointer as in the cells */
    char *held;          /* owned: "n_train=512", ";loss=mse" behind where that varies */
    double first, last;  /* of the scales */
    bool channels;       /* widths are channels */
    int scales, seeds;
    int usable; /* scales at which more than half of the networks count: their best state is
                   neither censored nor diverged, untrained or collapsed */
} nl_series;

/** Where a network stands along a direction; NaN or 0: nowhere. */
double nl_series_scale(const nl_report_network *cell, nl_direction direction);

/** Is a network one of the group's? */
bool nl_series_holds(const nl_series *series, const nl_report_network *cell);

/** Do a network's rows at best count?  False also where there are none. */
bool nl_report_counts(const nl_report_networks *data, int cell);

/** All series of a report. */
typedef struct nl_series_list {
    int series_count;
    nl_series *series; /* owned, and the texts in it */
} nl_series_list;

/** Find the groups: all of two scales or more; where there are none, those of one. */
NL_MUST_CHECK nl_status nl_series_find(const nl_report_networks *data, nl_series_list *out);

#endif
