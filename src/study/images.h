/** @file images.h  Are the images those that earlier work was made from, and those that their name
 *  promises? */
#ifndef NTKLENS_STUDY_IMAGES_H
#define NTKLENS_STUDY_IMAGES_H

#include "ntklens/data.h"
#include "ntklens/study.h"

/** Names of these facts in the provenance of study.yaml; the first is an attribute of cells, too.
 */
#define NL_FACT_FINGERPRINT "data_fingerprint"
#define NL_FACT_REMARKS     "data_remarks"

/** Has a text, of a stranger perhaps, the form of one?  Pure. */
bool nl_images_is_fingerprint(const char *text);

/** Is nothing known of one of them, or are they the same?  NULL or "": not known.  Pure. */
bool nl_images_may_be_same(const char *there, const char *here);

/**
 * NL_ERR_OTHER_DATA, told, unless nl_images_may_be_same().
 *
 * @param[in] what    begins the line: what was made from the images `there`
 * @param[in] advice  ends it; ""
 */
NL_MUST_CHECK nl_status nl_images_agree(const char *what, const char *there, const char *here,
                                        const char *advice);

/** A resolved study says on which images it was run: warn where these are others. */
void nl_images_compare_resolved(const nl_study *study, const char *fingerprint);

/** nl_dataset_remarks() as warnings and, joined by "; ", appended to `remarks`. */
void nl_images_warn(const nl_dataset *dataset, const char *folder, nl_text *remarks);

#endif
