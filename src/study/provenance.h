/** @file provenance.h  DIR/study.yaml: the resolved study, and what computed it. */
#ifndef NTKLENS_STUDY_PROVENANCE_H
#define NTKLENS_STUDY_PROVENANCE_H

#include "ntklens/study.h"

/** The images a study is run on. */
typedef struct nl_data_facts {
    const char *folder;      /* absolute; NULL: data.path as it stands in the study */
    const char *fingerprint; /* NULL: not known */
    const char *remarks;     /* NULL: there are none */
} nl_data_facts;

/** Write DIR/study.yaml; folder: DIR. */
NL_MUST_CHECK nl_status nl_provenance_write(const nl_study *study, const char *folder,
                                            const nl_data_facts *data);

#endif
