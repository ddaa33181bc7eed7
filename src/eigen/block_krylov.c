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

/* Elements that one stream of random numbers is of; kinds of vectors that are drawn. */
enum { piece_rows = 4096, nl_kinds_of_vectors = 2 };

static const double one = 1.0;
static const double zero = 0.0;

static double norm(const nl_slices *s, const double *x)
{
    double square = 0.0;

    nl_slices_squares(s, 1, x, &square);
    return sqrt(square);
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
static bool is_symmetric(const nl_slices *s, const pairs *some, const pairs *others)
{
    const int products = some->count * others->count;
    double m[2][nl_krylov_block * nl_krylov_block];
    double square[4][nl_krylov_block]; /* of some x and y, of other x and y */
    bool good = true;

    if (some->count == 0) {
        return true;
    }
    dgemm_("T", "N", &some->count, &others->count, &s->own, &one, some->x, &s->lead, others->y,
           &s->lead, &zero, m[0], &some->count);
    dgemm_("T", "N", &some->count, &others->count, &s->own, &one, some->y, &s->lead, others->x,
           &s->lead, &zero, m[1], &some->count);
    nl_slices_sum(s, products, m[0]);
    nl_slices_sum(s, products, m[1]);
    nl_slices_squares(s, some->count, some->x, square[0]);
    nl_slices_squares(s, some->count, some->y, square[1]);
    nl_slices_squares(s, others->count, others->x, square[2]);
    nl_slices_squares(s, others->count, others->y, square[3]);
    for (int j = 0; j < others->count; j++) {
        const double x = sqrt(square[2][j]);
        const double y = sqrt(square[3][j]);

        good = good && isfinite(y);
        for (int i = 0; i < some->count; i++) {
            good = good && fabs(m[0][j * some->count + i] - m[1][j * some->count + i]) <=
                               asymmetry * (sqrt(square[0][i]) * y + x * sqrt(square[1][i]));
        }
    }
    return good;
}

/* Some vectors of the first block, whose first one the operator itself may have looked at. */
static nl_status keep_references(nl_checked_operator *a, const pairs *block)
{
    const size_t size =
        (size_t)a->slices.lead * (size_t)nl_smaller(block->count, nl_most_references);
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

/* Of slices: the operator sees whole vectors. */
static nl_status apply(nl_checked_operator *a, int columns, const double *x, double *y)
{
    const nl_quadrature_request *r = a->request;
    double *result = a->all;
    nl_status status = NL_OK;

    if (a->slices.ranks == 1) {
        return r->apply(columns, x, y, r->context);
    }
    result += (size_t)nl_krylov_block * (size_t)r->n;
    nl_slices_gather(&a->slices, columns, x, a->all);
    status = r->apply(columns, a->all, result, r->context);
    if (status == NL_OK) {
        nl_slices_take(&a->slices, columns, result, y);
    }
    return status;
}

nl_status nl_checked_create(const nl_quadrature_request *request, nl_checked_operator *out)
{
    nl_status status = NL_OK;

    *out = (nl_checked_operator){.request = request};
    status = nl_slices_create(request->comm, request->n, &out->slices);
    if (status == NL_OK && out->slices.ranks > 1) {
        out->all = nl_calloc(2 * (size_t)nl_krylov_block * (size_t)request->n, sizeof *out->all);
        if (out->all == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for vectors of order %d", request->n);
        }
    }
    return status;
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
            status = apply(a, columns, x, y);
        }
        if (status == NL_OK) {
            const pairs known = {a->references, a->reference, a->image};

            a->products += columns;
            good = is_symmetric(&a->slices, &block, &block) &&
                   is_symmetric(&a->slices, &known, &block);
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
    nl_slices_free(&a->slices);
    free(a->all);
    free(a->reference);
    free(a->image);
    a->all = a->reference = a->image = NULL;
}

void nl_project_out(const nl_slices *s, int kept, const double *q, int columns, double *x,
                    double *m)
{
    const double minus = -1.0;

    for (int turn = 0; kept > 0 && turn < 2; turn++) {
        dgemm_("T", "N", &kept, &columns, &s->own, &one, q, &s->lead, x, &s->lead, &zero, m, &kept);
        nl_slices_sum(s, kept * columns, m);
        dgemm_("N", "N", &s->own, &columns, &kept, &minus, q, &s->lead, m, &kept, &one, x,
               &s->lead);
    }
}

/* Elements of a vector that lie in one of its pieces, each a stream of its own: a rank draws no
 * more than its slice, and that is the same whoever draws it. */
static void draw_piece(const nl_checked_operator *a, uint32_t what, int vector, int piece,
                       double *x)
{
    const nl_slices *s = &a->slices;
    nl_rng rng =
        nl_rng_open(a->request->seed, NL_PURPOSE_QUADRATURE, (uint32_t)s->n,
                    what + (uint32_t)nl_kinds_of_vectors * (uint32_t)piece, (uint32_t)vector);

    for (int k = piece * piece_rows; k < nl_smaller((piece + 1) * piece_rows, s->first + s->own);
         k++) {
        const double drawn = nl_rng_normal(&rng);

        if (k >= s->first) {
            x[k - s->first] = drawn;
        }
    }
}

void nl_draw_normal(const nl_checked_operator *a, uint32_t what, int first, int columns, double *x)
{
    const nl_slices *s = &a->slices;

    for (int c = 0; c < columns; c++) {
        for (int piece = s->first / piece_rows; piece * piece_rows < s->first + s->own; piece++) {
            draw_piece(a, what, first + c, piece, x + (size_t)c * (size_t)s->lead);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * The space
 *-------------------------------------------------------------------------------------------*/

nl_status nl_krylov_create(const nl_checked_operator *a, nl_krylov *out)
{
    const size_t size = (size_t)a->slices.lead * nl_krylov_block * nl_most_krylov_steps;
    nl_status status = NL_OK;

    *out = (nl_krylov){.v = nl_calloc(size, sizeof(double)), .av = nl_calloc(size, sizeof(double))};
    if (out->v == NULL || out->av == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a Krylov space of order %d", a->slices.n);
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
static void accept(const nl_slices *s, nl_krylov *space, int columns)
{
    const size_t lead = (size_t)s->lead;
    double m[nl_krylov_block * nl_krylov_block * nl_most_krylov_steps];
    double *fresh = space->v + (size_t)space->count * lead;
    double before[nl_krylov_block];
    int taken = 0;

    nl_slices_squares(s, columns, fresh, before);
    nl_project_out(s, space->count, space->v, columns, fresh, m);
    for (int c = 0; c < columns; c++) {
        double *x = fresh + (size_t)c * lead;
        double *to = fresh + (size_t)taken * lead;
        double length = 0.0;

        nl_project_out(s, taken, fresh, 1, x, m);
        length = norm(s, x);
        if (length > dependent * sqrt(before[c]) && space->count + taken < s->n) {
            for (int i = 0; i < s->own; i++) {
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
    const size_t lead = (size_t)a->slices.lead;
    const int most = nl_krylov_block * nl_most_krylov_steps;
    int columns = space->count - space->last;
    nl_status status = NL_OK;

    if (space->count == most) {
        return NL_OK;
    }
    if (space->count == 0) {
        columns = nl_krylov_block;
        nl_draw_normal(a, 0, 0, columns, space->v);
    } else {
        memcpy(space->v + (size_t)space->count * lead, space->av + (size_t)space->last * lead,
               (size_t)columns * lead * sizeof *space->v);
    }
    columns = nl_smaller(columns, most - space->count);
    accept(&a->slices, space, columns);
    columns = space->count - space->last;
    if (columns > 0) {
        status = nl_checked_apply(a, columns, space->v + (size_t)space->last * lead,
                                  space->av + (size_t)space->last * lead);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Ritz pairs
 *-------------------------------------------------------------------------------------------*/

/* theta and U of V^T A V, descending; then |A q|^2 - theta^2 of q = V u. */
static nl_status solve(const nl_checked_operator *a, const nl_krylov *space, double *m,
                       double *work, int *iwork, nl_ritz *out)
{
    const nl_slices *s = &a->slices;
    const double trace = a->request->trace;
    const int k = space->count;
    const int length = 1 + 6 * k + 2 * k * k;
    const int integers = 3 + 5 * k;
    int info = 0;

    dgemm_("T", "N", &k, &k, &s->own, &one, space->v, &s->lead, space->av, &s->lead, &zero, m, &k);
    nl_slices_sum(s, k * k, m);
    for (int i = 0; i < k; i++) {
        for (int j = 0; j < k; j++) { /* the last ones first: descending */
            out->u[i * k + j] = -0.5 * (m[i * k + j] + m[j * k + i]) / trace;
        }
    }
    dsyevd_("V", "L", &k, out->u, &k, out->theta, work, &length, iwork, &integers, &info, 1, 1);
    if (info != 0) {
        return NL_FAIL(NL_ERR_LINALG, "dsyevd of %d Ritz pairs: info = %d", k, info);
    }
    dgemm_("T", "N", &k, &k, &s->own, &one, space->av, &s->lead, space->av, &s->lead, &zero, m, &k);
    nl_slices_sum(s, k * k, m);
    dgemm_("N", "N", &k, &k, &k, &one, m, &k, out->u, &k, &zero, work, &k);
    for (int i = 0; i < k; i++) {
        double square = 0.0;

        for (int j = 0; j < k; j++) {
            square += out->u[i * k + j] * work[i * k + j];
        }
        out->theta[i] = -out->theta[i];
        square = square / trace / trace - out->theta[i] * out->theta[i];
        out->residual[i] = fmax(square, 0.0);
    }
    return NL_OK;
}

nl_status nl_ritz_compute(const nl_checked_operator *a, const nl_krylov *space, nl_ritz *out)
{
    const size_t k = (size_t)space->count;
    double *m = nl_calloc(k * k, sizeof *m);
    double *work = nl_calloc(1 + 6 * k + 2 * k * k, sizeof *work);
    int *iwork = nl_calloc(3 + 5 * k, sizeof *iwork);
    nl_status status = NL_OK;

    *out = (nl_ritz){.count = space->count,
                     .theta = nl_calloc(k, sizeof(double)),
                     .residual = nl_calloc(k, sizeof(double)),
                     .u = nl_calloc(k * k, sizeof(double))};
    if (m == NULL || work == NULL || iwork == NULL || out->theta == NULL || out->residual == NULL ||
        out->u == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d Ritz pairs", space->count);
    }
    status = nl_agree(a->request->comm, status);
    if (status == NL_OK) {
        status = solve(a, space, m, work, iwork, out);
    }
    free(m);
    free(work);
    free(iwork);
    return status;
}

void nl_ritz_free(nl_ritz *ritz)
{
    free(ritz->theta);
    free(ritz->residual);
    free(ritz->u);
    *ritz = (nl_ritz){0};
}
