/** @file claims.h  The published claims, each with an answer. */
#ifndef NTKLENS_REPORT_CLAIMS_H
#define NTKLENS_REPORT_CLAIMS_H

#include "view.h"

/** The published claims, each with an answer, numbers, and what it depends on; a Markdown table. */
void nl_report_claims(const nl_report_view *view);

#endif
