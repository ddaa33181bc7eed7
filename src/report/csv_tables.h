/** @file csv_tables.h  fits.csv, robustness.csv, transition.csv and local_exponents.csv. */
#ifndef NTKLENS_REPORT_CSV_TABLES_H
#define NTKLENS_REPORT_CSV_TABLES_H

#include "fits.h"
#include "networks.h"

#include "ntklens/base.h"

/** fits.csv, robustness.csv, transition.csv and local_exponents.csv. */
void nl_report_fits_csv(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);
void nl_report_robustness_csv(const nl_report_networks *data, const nl_report_fits *fits,
                              nl_text *out);
void nl_report_transition_csv(const nl_report_networks *data, const nl_report_fits *fits,
                              nl_text *out);
void nl_report_local_csv(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

#endif
