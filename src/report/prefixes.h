/** @file prefixes.h  Ranks against the images that they are measured on (measure.probe_prefixes).
 */
#ifndef NTKLENS_REPORT_PREFIXES_H
#define NTKLENS_REPORT_PREFIXES_H

#include "fits.h"

/** Largest order of a kernel among networks of a setting; NaN: none is told. */
double nl_report_order(const nl_report_networks *data, const char *setting, int kernel);

/** Images that a kernel of this order is of; NaN: neither study nor table say. */
double nl_report_images(const nl_report_networks *data, const char *setting, int kernel,
                        double order);

/** "150 images", "n = 1500 rows" where images are not known, "" where the order is not; out holds
 * 64 bytes. */
const char *nl_report_images_text(const nl_report_networks *data, const char *setting, int kernel,
                                  double order, char out[64]);

/** Were kernels of prefixes of the probe measured? */
bool nl_report_has_prefixes(const nl_report_networks *data);

/** Trends against width and data at each number of images, and ranks against that number, at best
 * or, where no network counts there, at the end; Markdown, nothing where there are no prefixes. */
void nl_report_prefixes(const nl_report_networks *data, const nl_report_fits *fits, nl_text *out);

/** prefixes.csv: effective rank and participation ratio at init, best and final, means over seeds,
 * of the networks of the headlines, a row a scale, kernel and number of images; the interval is
 * that of the method, exp(entropy -+ entropy_error). */
void nl_report_prefixes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                            nl_text *out);

/** prefix_slopes.csv: mean slopes of their logarithms against width and data at each number of
 *  images, and against that number at each scale. */
void nl_report_prefix_slopes_csv(const nl_report_networks *data, const nl_report_fits *fits,
                                 nl_text *out);

#endif
