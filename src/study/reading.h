/** @file reading.h  A study while it is read: what parse.c and values.c share. */
#ifndef NTKLENS_STUDY_READING_H
#define NTKLENS_STUDY_READING_H

#include "keys.h"
#include "ntklens/io.h"

/** Most values of one list: far beyond any grid, and few enough to compare all pairs. */
enum { nl_most_values = 10000 };

typedef struct nl_reading {
    nl_diagnostics *diagnostics; /* borrowed */
    nl_study *study;             /* borrowed, being filled */
    const char *set_path;        /* the key that a --set names while it is read, else NULL */
    bool given[NL_KEY_COUNT];    /* written somewhere, rightly or not */
    bool sound[NL_KEY_COUNT];    /* study->value holds values that passed every check */
    nl_mark place[NL_KEY_COUNT]; /* of the key; of its section or the file's start before that */
    bool failed;                 /* out of memory */
} nl_reading;

/** Complain about a key: `place: path: text`; --set names the path already. */
void nl_reading_complain(nl_reading *reading, nl_mark mark, const char *path, const char *format,
                         ...) NL_PRINTF(4, 5);

/** Take the value of a key from a node, or complain. */
void nl_reading_take(nl_reading *reading, nl_key key, const nl_yaml_node *node);

/** Read one scalar of a key; false after a complaint. */
bool nl_reading_scalar(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_scalar *out);

/** The same for a place where only a number will do: words are refused. */
bool nl_reading_number(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out);

/** Copy a word into the study's store; NULL (and reading->failed) when out of memory. */
const char *nl_reading_keep(nl_reading *reading, const char *word);

/** What a node is, in words: `"abc"`, `a list`. */
const char *nl_node_describe(const nl_yaml_node *node, char out[80]);

/** Why a scalar node is no number, NULL where it is one. */
const char *nl_node_why_no_number(const nl_yaml_node *node);

/** Is this `key:` with nothing (or null) behind it? */
bool nl_node_is_null(const nl_yaml_node *node);

#endif
