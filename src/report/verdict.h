/** @file verdict.h  What may be concluded, in words. */
#ifndef NTKLENS_REPORT_VERDICT_H
#define NTKLENS_REPORT_VERDICT_H

#include "fits.h"

/** What may be concluded, as Markdown. */
void nl_report_verdict(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

#endif
