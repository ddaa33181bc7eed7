/** @file libraries.h  The libraries that decide the last bits of results, and how they differ. */
#ifndef NTKLENS_STUDY_LIBRARIES_H
#define NTKLENS_STUDY_LIBRARIES_H

#include "ntklens/par.h"

enum { nl_library_facts = 4, nl_library_width = 64 };

/** Names of the facts, which are those of attributes in cells/<id>.h5 and of the provenance. */
extern const char *const nl_library_names[nl_library_facts];

/** What a process computes with.  Flat: it travels between ranks as bytes. */
typedef struct nl_libraries {
    char fact[nl_library_facts][nl_library_width]; /* empty: not known, which differs from none */
} nl_libraries;

/** Of this process.  Local. */
nl_libraries nl_libraries_here(void);

/** Append "blas_kernel Haswell, here SkylakeX; ..." for every fact in which other ones differ from
 *  those here; nothing where they do not. */
void nl_libraries_compare(const nl_libraries *other, nl_text *differences);

/** Do all ranks compute with the same ones?  Collective. */
bool nl_libraries_same(const nl_team *team);

#endif
