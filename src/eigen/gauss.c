/** @file gauss.c  Quadrature rules from Lanczos coefficients (Golub & Welsch 1969; Golub 1973). */
#include "gauss.h"

#include "ntklens/fortran.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The last diagonal entry of a matrix of one more step with an eigenvalue of zero:
 * beta_m^2 (T_m^-1)_mm, by the pivots of T_m. */
static bool radau_entry(int steps, const double *alpha, const double *beta, double *entry)
{
    double pivot = alpha[0];

    for (int k = 1; k < steps && pivot > 0.0; k++) {
        pivot = alpha[k] - beta[k - 1] * beta[k - 1] / pivot;
    }
    *entry = beta[steps - 1] * beta[steps - 1] / pivot;
    return pivot > 0.0 && isfinite(*entry);
}

bool nl_gauss_rule(int steps, const double *alpha, const double *beta, bool radau, nl_gauss *out)
{
    enum { most = nl_most_lanczos_steps + 1 };
    const int count = steps + (radau ? 1 : 0);
    double beside[most] = {0};
    double work[2 * most];
    double z[most * most];
    int info = 0;

    memcpy(out->node, alpha, (size_t)steps * sizeof *alpha);
    memcpy(beside, beta, (size_t)(count - 1) * sizeof *beta);
    if (radau && !radau_entry(steps, alpha, beta, &out->node[steps])) {
        return false;
    }
    dsteqr_("I", &count, out->node, beside, z, &count, work, &info, 1);
    for (int k = 0; k < count; k++) {
        out->weight[k] = z[(size_t)k * (size_t)count] * z[(size_t)k * (size_t)count];
    }
    out->count = count;
    return info == 0;
}
