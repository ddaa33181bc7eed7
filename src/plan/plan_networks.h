/** @file plan_networks.h  Networks of a plan, one by one. */
#ifndef NTKLENS_PLAN_PLAN_NETWORKS_H
#define NTKLENS_PLAN_PLAN_NETWORKS_H

#include "plan.h"

/** A line each, where some are convolutional or residual, and a warning where those take hours. */
void nl_plan_print_networks(const nl_plan *plan, FILE *stream);

/** Append all of them as a JSON array. */
void nl_plan_append_networks(const nl_plan *plan, nl_text *out);

/** The first cell with this network. */
const nl_cell *nl_plan_cell_with(const nl_plan *plan, int network);

#endif
