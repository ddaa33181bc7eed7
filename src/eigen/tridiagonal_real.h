/**
 * @file tridiagonal_real.h  Band to tridiagonal matrix in one floating-point format and vectors of
 * one width; included by tridiagonal.c, which defines real, integer (as wide), vector_bytes, TARGET
 * (what those vectors ask of the CPU) and NAME(name) before.
 *
 * Symbols:
 *   A       the band matrix, n x n, b off-diagonals
 *   v, tau  reflector H = I - tau v v^T of b rows, v[0] = 1
 *   D       the block on the diagonal that H acts on from both sides: D := H D H
 *   w       of D: tau D v - (tau^2 v^T D v / 2) v, so H D H = D - v w^T - w v^T
 *   B       the block below D, which H fills from the right: B H = B - w v^T, w = tau B v
 *   H'      the next reflector, which clears the first column of B H: B := H' B H
 * A sweep clears one column of A below its first off-diagonal and chases B off the end.
 *
 * Element (i, j) stands at a[i + j ld], ld = 3 b - 1: a column holds b elements above the diagonal
 * and 2 b from it down.  Blocks are b x b, b a whole number of vectors; every loop over the vectors
 * of a column is unrolled, so that they stay in registers.  Blocks on the diagonal are whole, their
 * upper halves too: so a product with them sums columns, never across a vector.
 */

enum {
    NAME(lanes) = vector_bytes / (int)sizeof(real),
    NAME(narrow_parts) = nl_narrow_band / vector_bytes, /* vectors of a column of a block */
    NAME(wide_parts) = nl_wide_band / vector_bytes
};
typedef real NAME(vector) __attribute__((vector_size(vector_bytes)));
typedef integer NAME(mask) __attribute__((vector_size(vector_bytes)));

INLINE NAME(vector) NAME(load)(const real *from, int part)
{
    NAME(vector) x;

    memcpy(&x, from + (ptrdiff_t)part * NAME(lanes), sizeof x); /* columns are not aligned */
    return x;
}

INLINE void NAME(store)(real *to, int part, NAME(vector) x)
{
    memcpy(to + (ptrdiff_t)part * NAME(lanes), &x, sizeof x);
}

INLINE NAME(mask) NAME(lane_numbers)(void)
{
    NAME(mask) number = {0};

    for (int k = 0; k < NAME(lanes); k++) {
        number[k] = k;
    }
    return number;
}

/* In the order of a tree. */
INLINE real NAME(sum)(NAME(vector) x)
{
#pragma GCC unroll 4
    for (int half = NAME(lanes) / 2; half >= 1; half /= 2) {
#ifdef __clang__
        const NAME(vector) y = x;

        for (int k = 0; k < NAME(lanes); k++) {
            x[k] = y[k] + y[k ^ half];
        }
#else
        x += __builtin_shuffle(x, NAME(lane_numbers)() ^ (integer)half);
#endif
    }
    return x[0];
}

INLINE real NAME(root)(real x)
{
    return sizeof(real) == 8 ? (real)sqrt((double)x) : (real)sqrtf((float)x);
}

/* v with v[0] = 1 and tau, so that (I - tau v v^T) x = (beta, 0, ..., 0).  Squares do not overflow:
 * the band is scaled.  Where they underflow the tail is nothing beside the band. */
INLINE real NAME(reflector)(int parts, NAME(vector) *x, NAME(vector) *v, real *beta)
{
    const real alpha = x[0][0];
    NAME(vector) squares = {0};
    real tail = 0;

    x[0][0] = 0;
#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        squares += x[p] * x[p];
    }
    tail = NAME(sum)(squares); /* |x|^2 - alpha^2 */
    *beta = tail > 0 ? NAME(root)(alpha * alpha + tail) : alpha;
    if (tail > 0 && alpha > 0) {
        *beta = -*beta;
    }
#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        v[p] = tail > 0 ? x[p] * (1 / (alpha - *beta)) : x[p];
    }
    v[0][0] = 1;
    return tail > 0 ? (*beta - alpha) / *beta : 0;
}

/* dv = D v and bv = B v of two blocks. */
INLINE void NAME(products)(int parts, const real *d, const real *block, size_t ld, const real *v,
                           NAME(vector) *dv, NAME(vector) *bv)
{
    memset(dv, 0, (size_t)parts * sizeof *dv);
    memset(bv, 0, (size_t)parts * sizeof *bv);
#pragma GCC unroll 1
    for (int j = 0; j < parts * NAME(lanes); j++) {
#pragma GCC unroll 16
        for (int p = 0; p < parts; p++) {
            dv[p] += NAME(load)(d + (size_t)j * ld, p) * v[j];
            bv[p] += NAME(load)(block + (size_t)j * ld, p) * v[j];
        }
    }
}

/* D := H D H = D - v w^T - w v^T with w = tau D v - (tau^2 v^T D v / 2) v; comes as D v. */
INLINE void NAME(both_sides)(int parts, real *d, size_t ld, const NAME(vector) *v,
                             const real *each_v, real tau, NAME(vector) *w)
{
    NAME(vector) dots = {0};
    real each_w[longest];
    real dot = 0;

#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        w[p] *= tau;
        dots += w[p] * v[p];
    }
    dot = NAME(sum)(dots);
#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        w[p] -= tau * dot / 2 * v[p];
    }
    memcpy(each_w, w, (size_t)parts * sizeof *w);
#pragma GCC unroll 1
    for (int j = 0; j < parts * NAME(lanes); j++) {
        real *column = d + (size_t)j * ld;

#pragma GCC unroll 16
        for (int p = 0; p < parts; p++) {
            NAME(store)(column, p, NAME(load)(column, p) - (v[p] * each_w[j] + w[p] * each_v[j]));
        }
    }
}

/* The block below D: B := H' B H = H' (B - w v^T) with w = tau B v and the next H' = I - tau v v^T.
 * In the next sweep its first row is part of a block on the diagonal; it is mirrored for that. */
INLINE void NAME(below)(int parts, real *block, size_t ld, const NAME(vector) *w,
                        const real *each_v, const NAME(vector) *next, real next_tau)
{
    real *mirror = block + (ld - 1) * (size_t)(parts * NAME(lanes));

#pragma GCC unroll 1
    for (int j = 0; j < parts * NAME(lanes); j += columns_at_once) {
        NAME(vector) x[columns_at_once][NAME(wide_parts)];
        NAME(vector) dots[columns_at_once] = {{0}};

#pragma GCC unroll 4
        for (int k = 0; k < columns_at_once; k++) {
#pragma GCC unroll 16
            for (int p = 0; p < parts; p++) {
                x[k][p] = NAME(load)(block + (size_t)(j + k) * ld, p) - w[p] * each_v[j + k];
                dots[k] += x[k][p] * next[p];
            }
        }
#pragma GCC unroll 4
        for (int k = 0; k < columns_at_once; k++) {
            const real dot = next_tau * NAME(sum)(dots[k]);

#pragma GCC unroll 16
            for (int p = 0; p < parts; p++) {
                x[k][p] -= dot * next[p];
                NAME(store)(block + (size_t)(j + k) * ld, p, x[k][p]);
            }
            mirror[j + k] = x[k][0][0];
        }
    }
}

/* Reflector v, tau on a block on the diagonal and on that below it, whose first column is cleared
 * by the next reflector, which takes the place of v and tau. */
INLINE void NAME(chase)(int parts, real *d, size_t ld, NAME(vector) *v, real *tau)
{
    real *block = d + (ptrdiff_t)(parts * NAME(lanes));
    NAME(vector) dv[NAME(wide_parts)];
    NAME(vector) bv[NAME(wide_parts)];
    NAME(vector) x[NAME(wide_parts)];
    NAME(vector) next[NAME(wide_parts)];
    real each_v[longest];
    real beta = 0;
    real next_tau = 0;

    memcpy(each_v, v, (size_t)parts * sizeof *v);
    NAME(products)(parts, d, block, ld, each_v, dv, bv);
#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        bv[p] *= *tau;
        x[p] = NAME(load)(block, p) - bv[p]; /* v[0] = 1 */
    }
    next_tau = NAME(reflector)(parts, x, next, &beta); /* early: its divisions take long */
    NAME(both_sides)(parts, d, ld, v, each_v, *tau, dv);
    NAME(below)(parts, block, ld, bv, each_v, next, next_tau);
    memset(block, 0, (size_t)parts * sizeof *v);
    block[0] = beta;
    memcpy(v, next, (size_t)parts * sizeof *v);
    *tau = next_tau;
}

/* First block of a sweep: the reflector that clears the sweep's column. */
INLINE void NAME(begin)(int parts, real *column, NAME(vector) *v, real *tau)
{
    NAME(vector) x[NAME(wide_parts)];
    real beta = 0;

#pragma GCC unroll 16
    for (int p = 0; p < parts; p++) {
        x[p] = NAME(load)(column, p);
    }
    *tau = NAME(reflector)(parts, x, v, &beta);
    memset(column, 0, (size_t)parts * sizeof *v);
    column[0] = beta;
}

/* All sweeps, a few at a time, each two blocks behind the one before: in this order they do not
 * meet, and what one has in cache the next one finds there. */
INLINE void NAME(sweep)(int parts, int n, real *a)
{
    const int b = parts * NAME(lanes);
    const size_t ld = 3 * (size_t)b - 1;
    NAME(vector) v[sweeps_at_once][NAME(wide_parts)];
    real tau[sweeps_at_once] = {0};

    for (int first = 0; first < n - 2; first += sweeps_at_once) {
        const int blocks = (n - 3 - first) / b + 1;

        for (int time = 0; time < blocks + 2 * (sweeps_at_once - 1); time++) {
            for (int k = 0; k < sweeps_at_once && first + k < n - 2; k++) {
                const int block = time - 2 * k;
                const size_t column = (size_t)first + (size_t)k;
                const size_t row = column + 1 + (size_t)(block * b);

                if (block < 0 || block > (n - 3 - first - k) / b) {
                    continue;
                }
                if (block == 0) {
                    NAME(begin)(parts, a + row + column * ld, v[k], &tau[k]);
                }
                NAME(chase)(parts, a + row + row * ld, ld, v[k], &tau[k]);
            }
        }
    }
}

TARGET static void NAME(sweep_narrow)(int n, real *a)
{
    NAME(sweep)(NAME(narrow_parts), n, a);
}

TARGET static void NAME(sweep_wide)(int n, real *a)
{
    NAME(sweep)(NAME(wide_parts), n, a);
}

/* The power of two that brings the largest element to 1 or a little below. */
static int NAME(exponent)(size_t count, const real *a)
{
    double largest = 0.0;
    int exponent = 0;

    for (size_t k = 0; k < count; k++) {
        const double magnitude = fabs((double)a[k]);

        largest = magnitude > largest ? magnitude : largest;
    }
    (void)frexp(largest, &exponent);
    return exponent;
}

/* Above the diagonal, too. */
static void NAME(mirror)(int n, int b, real *a)
{
    const size_t ld = 3 * (size_t)b - 1;

    for (int j = 0; j < n; j++) {
        for (int i = j + 1; i < j + b; i++) {
            a[(size_t)j + (size_t)i * ld] = a[(size_t)i + (size_t)j * ld];
        }
    }
}

static void NAME(reduce)(int n, int b, void *band, void *diagonal, void *off_diagonal)
{
    const size_t count = 3 * (size_t)b * (size_t)n;
    const int exponent = NAME(exponent)(count, band);
    const double scale = ldexp(1.0, -exponent / 2); /* in two steps, neither of which overflows */
    const double rest = ldexp(1.0, exponent / 2 - exponent);
    real *all = band;
    real *a = all + b; /* element (0, 0) */

    for (size_t k = 0; k < count; k++) {
        all[k] = (real)((double)all[k] * scale * rest);
    }
    NAME(mirror)(n, b, a);
    (b == nl_narrow_band / (int)sizeof(real) ? NAME(sweep_narrow) : NAME(sweep_wide))(n, a);
    for (int k = 0; k < n; k++) {
        const real *column = a + 3 * (size_t)b * (size_t)k;

        ((real *)diagonal)[k] = (real)ldexp((double)column[0], exponent);
        ((real *)off_diagonal)[k] = (real)ldexp((double)column[1], exponent);
    }
}
