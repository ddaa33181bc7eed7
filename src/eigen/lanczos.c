/** @file lanczos.c  The largest eigenvalue of a symmetric operator. */
#include "ntklens/eigen.h"
#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_steps = 200 };
static const double wanted_residual =
    1e-6; /* over the eigenvalue, whose error goes with its square */

/** An iteration in work: three vectors and a tridiagonal matrix.  Nothing is orthogonalised again:
 * that would only spare copies of eigenvalues that were found already. */
typedef struct lanczos {
    int n, steps;
    double *before, *now, *next; /* owned; [n] */
    double diagonal[most_steps], beside[most_steps];
    double d[most_steps], e[most_steps], work[2 * most_steps];
    double *z; /* owned; [most_steps x most_steps] eigenvectors of the tridiagonal matrix */
} lanczos;

/* No eigenvector of interest is orthogonal to it; the same bits everywhere. */
static void start(lanczos *it)
{
    double norm = 0.0;

    for (int i = 0; i < it->n; i++) {
        it->now[i] = 1.0 + (double)((long)i * 7919 % 1009) / 1009.0;
    }
    norm = sqrt(nl_inner((size_t)it->n, it->now, it->now));
    for (int i = 0; i < it->n; i++) {
        it->now[i] /= norm;
    }
}

/* A q_k = beta_{k-1} q_{k-1} + alpha_k q_k + beta_k q_{k+1} */
static nl_status step(lanczos *it, nl_operator_fn *apply, void *context)
{
    const double back = it->steps > 0 ? it->beside[it->steps - 1] : 0.0;
    double *spare = it->before;
    double alpha = 0.0;
    double beta = 0.0;
    nl_status status = apply(it->now, it->next, context);

    if (status != NL_OK) {
        return status;
    }
    alpha = nl_inner((size_t)it->n, it->now, it->next);
    for (int i = 0; i < it->n; i++) {
        it->next[i] -= alpha * it->now[i] + back * it->before[i];
    }
    beta = sqrt(nl_inner((size_t)it->n, it->next, it->next));
    for (int i = 0; i < it->n; i++) {
        it->next[i] /= beta > 0.0 ? beta : 1.0;
    }
    it->diagonal[it->steps] = alpha;
    it->beside[it->steps] = beta;
    it->steps++;
    it->before = it->now;
    it->now = it->next;
    it->next = spare;
    return NL_OK;
}

/* Largest eigenvalue of the tridiagonal matrix; true: it is one of the operator's. */
static bool converged(lanczos *it, double *lambda)
{
    const int k = it->steps;
    int info = 0;

    memcpy(it->d, it->diagonal, (size_t)k * sizeof *it->d);
    memcpy(it->e, it->beside, (size_t)k * sizeof *it->e);
    dsteqr_("I", &k, it->d, it->e, it->z, &k, it->work, &info, 1);
    *lambda = info == 0 ? it->d[k - 1] : NAN;
    return info != 0 ||
           fabs(it->beside[k - 1] * it->z[(size_t)k * (size_t)k - 1]) <= wanted_residual * *lambda;
}

nl_status nl_largest_eigenvalue(MPI_Comm comm, int n, nl_operator_fn *apply, void *context,
                                double *lambda)
{
    lanczos *it = calloc(1, sizeof *it);
    nl_status status = NL_OK;
    bool done = false;

    *lambda = NAN;
    if (it != NULL) {
        it->n = n;
        it->before = nl_calloc((size_t)n, sizeof(double));
        it->now = nl_calloc((size_t)n, sizeof(double));
        it->next = nl_calloc((size_t)n, sizeof(double));
        it->z = nl_calloc((size_t)most_steps * most_steps, sizeof(double));
    }
    if (it == NULL || !it->before || !it->now || !it->next || !it->z) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a Lanczos iteration of order %d", n);
    }
    status = nl_agree(comm, status); /* before the first product, which is collective */
    if (status != NL_OK) {
        goto done;
    }
    start(it);
    while (status == NL_OK && !done && it->steps < most_steps) {
        status = step(it, apply, context);
        done = status != NL_OK || converged(it, lambda);
    }
    *lambda = done && status == NL_OK ? *lambda : NAN;

done:
    if (it != NULL) {
        free(it->before);
        free(it->now);
        free(it->next);
        free(it->z);
    }
    free(it);
    return status;
}
