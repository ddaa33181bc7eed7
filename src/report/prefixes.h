/** @file prefixes.h  Ranks against the images that they are measured on (measure.probe_prefixes).
 */
#ifndef NTKLENS_REPORT_PREFIXES_H
#define NTKLENS_REPORT_PREFIXES_H

#include "fits.h"

/** Were kernels of prefixes of the probe measured? */
bool nl_report_has_prefixes(const nl_report_networks *data);

/** Trends against width and data at each number of images, and ranks against that number; Markdown,
 *  nothing where there are no prefixes. */
void nl_report_prefixes(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

/** prefixes.csv: effective rank and participation ratio at best, means over seeds, of the networks
 *  of the headlines, a row a scale, kernel and number of images; the interval is that of the
 * method, exp(entropy -+ entropy_error). */
void nl_report_prefixes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                            nl_text *out);

/** prefix_slopes.csv: mean slopes of their logarithms against width and data at each number of
 *  images, and against that number at each scale. */
void nl_report_prefix_slopes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                                 nl_text *out);

#endif
