/** @file values.h  All values of a key, read from a node. */
#ifndef NTKLENS_STUDY_VALUES_H
#define NTKLENS_STUDY_VALUES_H

#include "reading.h"

/** Most values of one list: far beyond any grid, and few enough to compare all pairs. */
enum { nl_most_values = 10000 };

/** Take the value of a key from a node, or complain. */
void nl_reading_take(nl_reading *reading, nl_key key, const nl_yaml_node *node);

#endif
