/** @file block_krylov.c  Orthonormal vectors of a block Krylov space, and what is made of them. */
#include "block_krylov.h"

#include "ntklens/blas.h"
#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of what is orthogonal to the space, over what it was: below, rounding of single precision. */
static const double dependent = 1e-6;

/* Of a symmetric product, over |x| |y|: 20 times what single precision makes of it. */
static const double asymmetry = 5e-6;

static const double one = 1.0;
static const double zero = 0.0;

static double norm(int n, const double *x)
{
    return sqrt(nl_squares_double((size_t)n, x));
}

/*---------------------------------------------------------------------------------------------
 * Products
 *-------------------------------------------------------------------------------------------*/

/** Vectors and what an operator made of them.  Borrowed; [n x count]. */
typedef struct pairs {
    int count;
    const double *x, *y;
} pairs;

/* Is x_i^T y_j = x_j^T y_i, i of some vectors and j of others, as far as rounding allows?  What is
 * not finite is not. */
static bool is_symmetric(int n, const pairs *some, const pairs *others)
{
    double m[2][nl_krylov_block * nl_krylov_block];
    double x_norm[nl_krylov_block];
    double y_norm[nl_krylov_block];
    bool good = true;

    dgemm_("T", "N", &some->count, &others->count, &n, &one, some->x, &n, others->y, &n, &zero,
           m[0], &some->count);
    dgemm_("T", "N", &some->count, &others->count, &n, &one, some->y, &n, others->x, &n, &zero,
           m[1], &some->count);
    for (int i = 0; i < some->count; i++) {
        x_norm[i] = norm(n, some->x + (size_t)i * (size_t)n);
        y_norm[i] = norm(n, some->y + (size_t)i * (size_t)n);
    }
    for (int j = 0; j < others->count; j++) {
        const double x = norm(n, others->x + (size_t)j * (size_t)n);
        const double y = norm(n, others->y + (size_t)j * (size_t)n);

        good = good && isfinite(y);
        for (int i = 0; i < some->count; i++) {
            good = good && fabs(m[0][j * some->count + i] - m[1][j * some->count + i]) <=
                               asymmetry * (x_norm[i] * y + x * y_norm[i]);
        }
    }
    return good;
}

/* Some vectors of the first block, whose first one the operator itself may have looked at. */
static nl_status keep_references(nl_checked_operator *a, const pairs *block)
{
    const size_t size =
        (size_t)a->request->n * (size_t)nl_smaller(block->count, nl_most_references);
    nl_status status = NL_OK;

    a->reference = nl_calloc(size, sizeof *a->reference);
    a->image = nl_calloc(size, sizeof *a->image);
    if (a->reference == NULL || a->image == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for vectors of order %d", a->request->n);
    } else {
        a->references = nl_smaller(block->count, nl_most_references);
        memcpy(a->reference, block->x, size * sizeof *a->reference);
        memcpy(a->image, block->y, size * sizeof *a->image);
    }
    return nl_agree(a->request->comm, status);
}

nl_status nl_checked_apply(nl_checked_operator *a, int columns, const double *x, double *y)
{
    const nl_quadrature_request *r = a->request;
    const pairs block = {columns, x, y};
    bool good = false;
    nl_status status = NL_OK;

    for (int turn = 0; status == NL_OK && !good && turn < 2; turn++) {
        if (turn > 0) {
            a->repeated = true;
            status = r->renew != NULL ? r->renew(r->context) : NL_OK;
        }
        if (status == NL_OK) {
            status = r->apply(columns, x, y, r->context);
        }
        if (status == NL_OK) {
            const pairs known = {a->references, a->reference, a->image};

            a->products += columns;
            good = is_symmetric(r->n, &block, &block) && is_symmetric(r->n, &known, &block);
        }
    }
    if (status == NL_OK && good && a->references == 0) {
        status = keep_references(a, &block);
    }
    if (status != NL_OK) {
        return status;
    }
    return good ? NL_OK : NL_ERR_NUMERIC; /* the same bits, so the same verdict everywhere */
}

void nl_checked_free(nl_checked_operator *a)
{
    free(a->reference);
    free(a->image);
    a->reference = a->image = NULL;
}

void nl_project_out(int n, int kept, const double *q, int columns, double *x, double *m)
{
    const double minus = -1.0;

    for (int turn = 0; kept > 0 && turn < 2; turn++) {
        dgemm_("T", "N", &kept, &columns, &n, &one, q, &n, x, &n, &zero, m, &kept);
        dgemm_("N", "N", &n, &columns, &kept, &minus, q, &n, m, &kept, &one, x, &n);
    }
}

void nl_draw_normal(const nl_quadrature_request *request, uint32_t what, int first, int columns,
                    double *x)
{
    for (int c = 0; c < columns; c++) {
        nl_rng rng = nl_rng_open(request->seed, NL_PURPOSE_QUADRATURE, (uint32_t)request->n, what,
                                 (uint32_t)(first + c));

        for (int i = 0; i < request->n; i++) {
            x[(size_t)c * (size_t)request->n + (size_t)i] = nl_rng_normal(&rng);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * The space
 *-------------------------------------------------------------------------------------------*/

nl_status nl_krylov_create(const nl_quadrature_request *request, nl_krylov *out)
{
    const size_t size = (size_t)request->n * nl_krylov_block * nl_most_krylov_steps;
    nl_status status = NL_OK;

    *out = (nl_krylov){.v = nl_calloc(size, sizeof(double)), .av = nl_calloc(size, sizeof(double))};
    if (out->v == NULL || out->av == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a Krylov space of order %d", request->n);
    }
    return status;
}

void nl_krylov_free(nl_krylov *space)
{
    free(space->v);
    free(space->av);
    *space = (nl_krylov){0};
}

/* Columns behind the space are made orthonormal to it and each other; dependent ones are left out.
 */
static void accept(int n, nl_krylov *space, int columns)
{
    double m[nl_krylov_block * nl_krylov_block * nl_most_krylov_steps];
    double *fresh = space->v + (size_t)space->count * (size_t)n;
    double before[nl_krylov_block];
    int taken = 0;

    for (int c = 0; c < columns; c++) {
        before[c] = norm(n, fresh + (size_t)c * (size_t)n);
    }
    nl_project_out(n, space->count, space->v, columns, fresh, m);
    for (int c = 0; c < columns; c++) {
        double *x = fresh + (size_t)c * (size_t)n;
        double *to = fresh + (size_t)taken * (size_t)n;
        double length = 0.0;

        nl_project_out(n, taken, fresh, 1, x, m);
        length = norm(n, x);
        if (length > dependent * before[c] && space->count + taken < n) {
            for (int i = 0; i < n; i++) {
                to[i] = x[i] / length;
            }
            taken++;
        }
    }
    space->last = space->count;
    space->count += taken;
    space->whole = taken == 0;
}

nl_status nl_krylov_grow(nl_checked_operator *a, nl_krylov *space)
{
    const int n = a->request->n;
    const int most = nl_krylov_block * nl_most_krylov_steps;
    int columns = space->count - space->last;
    nl_status status = NL_OK;

    if (space->count == most) {
        return NL_OK;
    }
    if (space->count == 0) {
        columns = nl_krylov_block;
        nl_draw_normal(a->request, 0, 0, columns, space->v);
    } else {
        memcpy(space->v + (size_t)space->count * (size_t)n,
               space->av + (size_t)space->last * (size_t)n,
               (size_t)columns * (size_t)n * sizeof *space->v);
    }
    columns = nl_smaller(columns, most - space->count);
    accept(n, space, columns);
    columns = space->count - space->last;
    if (columns > 0) {
        status = nl_checked_apply(a, columns, space->v + (size_t)space->last * (size_t)n,
                                  space->av + (size_t)space->last * (size_t)n);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Ritz pairs
 *-------------------------------------------------------------------------------------------*/

/* theta and U of V^T A V, descending; then |A q|^2 - theta^2 of q = V u. */
static nl_status solve(const nl_quadrature_request *request, const nl_krylov *space, double *m,
                       double *work, nl_ritz *out)
{
    const int n = request->n;
    const int k = space->count;
    const int length = 1 + 6 * k + 2 * k * k;
    const int integers = 3 + 5 * k;
    int *iwork = nl_calloc((size_t)integers, sizeof *iwork);
    int info = 0;

    if (iwork == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d Ritz pairs", k);
    }
    dgemm_("T", "N", &k, &k, &n, &one, space->v, &n, space->av, &n, &zero, m, &k);
    for (int i = 0; i < k; i++) {
        for (int j = 0; j < k; j++) { /* the last ones first: descending */
            out->u[i * k + j] = -0.5 * (m[i * k + j] + m[j * k + i]) / request->trace;
        }
    }
    dsyevd_("V", "L", &k, out->u, &k, out->theta, work, &length, iwork, &integers, &info, 1, 1);
    free(iwork);
    if (info != 0) {
        return NL_FAIL(NL_ERR_LINALG, "dsyevd of %d Ritz pairs: info = %d", k, info);
    }
    dgemm_("T", "N", &k, &k, &n, &one, space->av, &n, space->av, &n, &zero, m, &k);
    dgemm_("N", "N", &k, &k, &k, &one, m, &k, out->u, &k, &zero, work, &k);
    for (int i = 0; i < k; i++) {
        double square = 0.0;

        for (int j = 0; j < k; j++) {
            square += out->u[i * k + j] * work[i * k + j];
        }
        out->theta[i] = -out->theta[i];
        square = square / request->trace / request->trace - out->theta[i] * out->theta[i];
        out->residual[i] = fmax(square, 0.0);
    }
    return NL_OK;
}

nl_status nl_ritz_compute(const nl_quadrature_request *request, const nl_krylov *space,
                          nl_ritz *out)
{
    const size_t k = (size_t)space->count;
    double *m = nl_calloc(k * k, sizeof *m);
    double *work = nl_calloc(1 + 6 * k + 2 * k * k, sizeof *work);
    nl_status status = NL_OK;

    *out = (nl_ritz){.count = space->count,
                     .theta = nl_calloc(k, sizeof(double)),
                     .residual = nl_calloc(k, sizeof(double)),
                     .u = nl_calloc(k * k, sizeof(double))};
    if (m == NULL || work == NULL || out->theta == NULL || out->residual == NULL ||
        out->u == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d Ritz pairs", space->count);
    } else {
        status = solve(request, space, m, work, out);
    }
    free(m);
    free(work);
    return status;
}

void nl_ritz_free(nl_ritz *ritz)
{
    free(ritz->theta);
    free(ritz->residual);
    free(ritz->u);
    *ritz = (nl_ritz){0};
}
