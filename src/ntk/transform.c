/** @file transform.c  A filled kernel, centred or normalised in place. */
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/** What is taken off: for `unit` rows a sample, rows[b][(i,a)] the mean over samples j of
 * Theta[(i,a),(j,b)], all[a][b] the mean of that over samples i. */
typedef struct means {
    int n, unit;
    double *ones; /* owned; [unit][n] */
    double *rows; /* owned; [unit][n] */
    double *all;  /* owned; [unit x unit] */
} means;

/* What is left of equal entries is the rounding of their mean: zero, or a kernel that is constant
 * would have a spectrum of noise. */
static double centred(int i, int j, double value, const void *context)
{
    const means *m = context;
    const int a = i % m->unit;
    const int b = j % m->unit;
    const double row = m->rows[(size_t)b * (size_t)m->n + (size_t)i];
    const double col = m->rows[(size_t)a * (size_t)m->n + (size_t)j];
    const double all = m->all[a * m->unit + b];
    const double rest = value - row - col + all;
    const double terms = fabs(value) + fabs(row) + fabs(col) + fabs(all);

    return fabs(rest) > DBL_EPSILON * m->n * terms ? rest : 0.0;
}

static nl_status take_means(const nl_dmat *a, means *m)
{
    const int samples = m->n / m->unit;
    nl_status status = NL_OK;

    for (int i = 0; i < m->n; i++) {
        m->ones[(size_t)(i % m->unit) * (size_t)m->n + (size_t)i] = 1.0 / samples;
    }
    status = nl_dmat_multiply(a, m->unit, m->ones, m->rows);
    for (int i = 0; status == NL_OK && i < m->n; i++) {
        for (int b = 0; b < m->unit; b++) {
            m->all[i % m->unit * m->unit + b] +=
                m->rows[(size_t)b * (size_t)m->n + (size_t)i] / samples;
        }
    }
    return status;
}

nl_status nl_kernel_centre(nl_dmat *a, nl_kernel_spec spec, int outputs)
{
    means m = {.n = a->n, .unit = nl_kernel_order(spec, 1, outputs)};
    const size_t size = (size_t)m.n * (size_t)m.unit;
    nl_status status = NL_OK;

    m.ones = nl_calloc(size, sizeof *m.ones);
    m.rows = nl_calloc(size, sizeof *m.rows);
    m.all = nl_calloc((size_t)m.unit * (size_t)m.unit, sizeof *m.all);
    if (m.ones == NULL || m.rows == NULL || m.all == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the means of a kernel of order %d", m.n);
    }
    status = nl_agree(a->grid->comm, status);
    if (status == NL_OK) {
        status = take_means(a, &m);
    }
    if (status == NL_OK) {
        nl_dmat_map(a, centred, &m);
    }
    free(m.ones);
    free(m.rows);
    free(m.all);
    return status;
}

/* A sample whose gradient vanishes has no direction: its row and column stay zero. */
static double cosine(int i, int j, double value, const void *context)
{
    const double *magnitude = context;
    const double both = magnitude[i] * magnitude[j];

    return both > 0.0 ? value / both : 0.0;
}

nl_status nl_kernel_normalize(nl_dmat *a)
{
    double *magnitude = nl_calloc((size_t)a->n, sizeof *magnitude);
    nl_status status =
        nl_agree(a->grid->comm,
                 magnitude != NULL
                     ? NL_OK
                     : NL_FAIL(NL_ERR_NOMEM,
                               "out of memory for the diagonal of a kernel of order %d", a->n));

    if (status == NL_OK) {
        status = nl_dmat_diagonal(a, magnitude);
    }
    if (status == NL_OK) {
        for (int i = 0; i < a->n; i++) {
            magnitude[i] = sqrt(magnitude[i]);
        }
        nl_dmat_map(a, cosine, magnitude);
    }
    free(magnitude);
    return status;
}
