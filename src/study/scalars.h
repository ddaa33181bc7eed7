/** @file scalars.h  One value of a key, read from a node. */
#ifndef NTKLENS_STUDY_SCALARS_H
#define NTKLENS_STUDY_SCALARS_H

#include "reading.h"

/** Read one scalar of a key; false after a complaint. */
bool nl_reading_scalar(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_scalar *out);

/** The same for a place where only a number will do: words are refused. */
bool nl_reading_number(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out);

/** What a node is, in words: `"abc"`, `a list`. */
const char *nl_node_describe(const nl_yaml_node *node, char out[80]);

/** Why a scalar node is no number, NULL where it is one. */
const char *nl_node_why_no_number(const nl_yaml_node *node);

/** Is this `key:` with nothing (or null) behind it? */
bool nl_node_is_null(const nl_yaml_node *node);

#endif
