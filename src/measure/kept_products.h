/** @file kept_products.h  Products of an operator that were made before, one behind the other. */
#ifndef NTKLENS_MEASURE_KEPT_PRODUCTS_H
#define NTKLENS_MEASURE_KEPT_PRODUCTS_H

#include "kept.h"

/** Products of one measurement, in their order.  Whoever goes on takes what an interrupted run
 *  made, as long as it is asked for the same products again. */
typedef struct nl_kept_products {
    nl_kept kept;
    size_t n;          /* order of the operator */
    nl_sealed *sealed; /* owned; a file in work; NULL: none */
    int64_t left;      /* products in it */
    bool reading;      /* there may be more */
    int files;         /* that are there */
    int64_t found;     /* products that were taken from them */
    int64_t count;     /* products so far */
    nl_text pending;   /* owned; those that are in no file yet */
    int64_t pending_count;
} nl_kept_products;

NL_MUST_CHECK nl_status nl_kept_products_open(const nl_measurer *m, int kernel, int n,
                                              nl_kept_products *out);

/** Y = A X [n x columns], if it is the next one kept.  Local, on the grid's first rank. */
NL_MUST_CHECK nl_status nl_kept_products_find(nl_kept_products *products, int columns,
                                              const double *x, double *y, bool *found);

/** Keep a product that was made.  Local, on the grid's first rank. */
NL_MUST_CHECK nl_status nl_kept_products_add(nl_kept_products *products, int columns,
                                             const double *x, const double *y);

/** What is in no file yet into one, as the measurement is to be left.  Local. */
NL_MUST_CHECK nl_status nl_kept_products_leave(nl_kept_products *products);

/** Tell how many were found; done: they are of no use any more, and are removed.  Local. */
NL_MUST_CHECK nl_status nl_kept_products_close(nl_kept_products *products, bool done);

#endif
