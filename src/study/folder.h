/** @file folder.h  What stands in a results folder, and whose it is. */
#ifndef NTKLENS_STUDY_FOLDER_H
#define NTKLENS_STUDY_FOLDER_H

#include "ntklens/base.h"

/**
 * May a study be written into this folder?  Not where study.yaml, a table, a log or a lock is there
 * that ntklens did not write, which would be replaced: what a person wrote is told from what
 * ntklens wrote by its content, under whatever links.  Changes nothing; fine where there is no such
 * folder. Local.
 *
 * @return NL_ERR_USAGE with the file named
 */
NL_MUST_CHECK nl_status nl_folder_check_results(const char *folder);

/** The same for the tables and the summary of a report. */
NL_MUST_CHECK nl_status nl_folder_check_report(const char *folder);

/** Remove what a writer that was killed left in `folder` under a temporary name: regular files of
 * this user, of such a name, not written for `age` seconds.  Local. */
void nl_folder_remove_temporaries(const char *folder, double age);

#endif
