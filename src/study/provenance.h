/** @file provenance.h  DIR/study.yaml: the resolved study, and what computed it. */
#ifndef NTKLENS_STUDY_PROVENANCE_H
#define NTKLENS_STUDY_PROVENANCE_H

#include "ntklens/study.h"

/** @param[in] data_folder  absolute; NULL: data.path as it stands in the study */
NL_MUST_CHECK nl_status nl_provenance_write(const nl_study *study, const char *folder,
                                            const char *data_folder);

#endif
