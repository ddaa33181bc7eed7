/** @file markdown_tables.h  Tables of the summary. */
#ifndef NTKLENS_REPORT_MARKDOWN_TABLES_H
#define NTKLENS_REPORT_MARKDOWN_TABLES_H

#include "fits.h"

/** Tables of the main fits, of robustness, of transitions; Markdown. */
void nl_report_tables(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

/** Every rank's slope with its interval; Markdown, too long for a terminal. */
void nl_report_ranks(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

#endif
