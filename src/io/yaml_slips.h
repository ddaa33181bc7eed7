/** @file yaml_slips.h  What people write for `key: value`, sought where libyaml stumbles. */
#ifndef NTKLENS_IO_YAML_SLIPS_H
#define NTKLENS_IO_YAML_SLIPS_H

#include "ntklens/io.h"

/** Complain about every slip of nl_yaml_find_slip() in the lines 0 to `last` of a text, and about
 *  sections without a colon; returns how many there are.  Local. */
int nl_yaml_complain_slips(const char *source, const char *text, size_t length, size_t last,
                           nl_diagnostics *diagnostics);

#endif
