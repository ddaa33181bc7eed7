/**
 * @file tridiagonal_real.h  Band to tridiagonal matrix in one floating-point format; included once
 * per format by tridiagonal.c, which defines real, integer (as wide) and NAME(name) before.
 *
 * Element (i, j) of the lower half stands at a[i + j ld], ld = 2 b - 1: a column holds 2 b elements
 * from the diagonal down, the rest belongs to its neighbours.  Blocks are b x b, b a whole number
 * of vectors; every loop over the vectors of a column is unrolled, so that they stay in registers.
 */

enum { NAME(lanes) = vector_bytes / (int)sizeof(real) };
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

/* x where the number of the lane is at least `first`, else 0. */
INLINE NAME(vector) NAME(from_lane)(int first, NAME(vector) x)
{
    return (NAME(vector))((NAME(mask))x & (NAME(lane_numbers)() >= (integer)first));
}

/* In the order of a tree, on every CPU. */
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

/* v with v[0] = 1 and tau, so that (I - tau v v^T) x = (beta, 0, ..., 0).  Squares do not overflow:
 * the band is scaled.  Where they underflow the tail is nothing beside the band. */
INLINE real NAME(reflector)(int parts, NAME(vector) * x, NAME(vector) * v, real *beta)
{
    const real alpha = x[0][0];
    NAME(vector) squares = {0};
    real tail = 0;

    x[0][0] = 0;
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        squares += x[p] * x[p];
    }
    tail = NAME(sum)(squares);
    *beta = tail > 0 ? (real)sqrt((double)(alpha * alpha + tail)) : alpha;
    if (tail > 0 && alpha > 0) {
        *beta = -*beta;
    }
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        v[p] = tail > 0 ? x[p] * (1 / (alpha - *beta)) : x[p];
    }
    v[0][0] = 1;
    return tail > 0 ? (*beta - alpha) / *beta : 0;
}

/* w = tau D v - (tau^2 v^T D v / 2) v of a symmetric block, of which the lower half is there. */
INLINE void NAME(half_product)(int parts, const real *d, size_t ld, const NAME(vector) * v,
                               real tau, NAME(vector) * w)
{
    real each[longest];
    real across[longest]; /* products of rows left of the diagonal, and with it */
    NAME(vector) dots = {0};
    real dot = 0;

    memcpy(each, v, (size_t)parts * sizeof *v);
    memset(w, 0, (size_t)parts * sizeof *w);
#pragma GCC unroll 8
    for (int q = 0; q < parts; q++) {
        for (int k = 0; k < NAME(lanes); k++) {
            const int j = q * NAME(lanes) + k;
            const real *column = d + (size_t)j * ld;
            const NAME(vector) top = NAME(from_lane)(k + 1, NAME(load)(column, q));
            NAME(vector) row = top * v[q];

            w[q] += top * each[j];
#pragma GCC unroll 8
            for (int p = q + 1; p < parts; p++) {
                const NAME(vector) x = NAME(load)(column, p);

                row += x * v[p];
                w[p] += x * each[j];
            }
            across[j] = NAME(sum)(row) + column[j] * each[j];
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        w[p] = tau * (w[p] + NAME(load)(across, p));
        dots += w[p] * v[p];
    }
    dot = NAME(sum)(dots);
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        w[p] -= tau * dot / 2 * v[p];
    }
}

/* D := H D H = D - v w^T - w v^T, lower half. */
INLINE void NAME(both_sides)(int parts, real *d, size_t ld, const NAME(vector) * v, real tau)
{
    NAME(vector) w[most_parts];
    real each_v[longest];
    real each_w[longest];

    NAME(half_product)(parts, d, ld, v, tau, w);
    memcpy(each_v, v, (size_t)parts * sizeof *v);
    memcpy(each_w, w, (size_t)parts * sizeof *w);
#pragma GCC unroll 8
    for (int q = 0; q < parts; q++) {
        for (int k = 0; k < NAME(lanes); k++) {
            const int j = q * NAME(lanes) + k;
            real *column = d + (size_t)j * ld;
            const NAME(vector) top =
                NAME(from_lane)(k, v[q] * each_w[j] + w[q] * each_v[j]); /* 0 for neighbours */

            NAME(store)(column, q, NAME(load)(column, q) - top);
#pragma GCC unroll 8
            for (int p = q + 1; p < parts; p++) {
                NAME(store)
                (column, p, NAME(load)(column, p) - (v[p] * each_w[j] + w[p] * each_v[j]));
            }
        }
    }
}

/* The block below D: B := B H, then the reflector that clears its first column is applied to the
 * others and becomes the v and tau of the next block. */
INLINE void NAME(chase)(int parts, real *block, size_t ld, NAME(vector) * v, real *tau)
{
    NAME(vector) w[most_parts];
    NAME(vector) x[most_parts];
    real each[longest];
    real beta = 0;

    memcpy(each, v, (size_t)parts * sizeof *v);
    memset(w, 0, sizeof w);
    for (int j = 0; j < parts * NAME(lanes); j++) {
#pragma GCC unroll 8
        for (int p = 0; p < parts; p++) {
            w[p] += NAME(load)(block + (size_t)j * ld, p) * each[j];
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        w[p] *= *tau;
        x[p] = NAME(load)(block, p) - w[p];
    }
    *tau = NAME(reflector)(parts, x, v, &beta);
    memset(block, 0, (size_t)parts * sizeof *v);
    block[0] = beta;
    for (int j = 1; j < parts * NAME(lanes); j++) {
        real *column = block + (size_t)j * ld;
        NAME(vector) dots = {0};
        real dot = 0;

#pragma GCC unroll 8
        for (int p = 0; p < parts; p++) {
            x[p] = NAME(load)(column, p) - w[p] * each[j];
            dots += x[p] * v[p];
        }
        dot = *tau * NAME(sum)(dots);
#pragma GCC unroll 8
        for (int p = 0; p < parts; p++) {
            NAME(store)(column, p, x[p] - dot * v[p]);
        }
    }
}

/* First block of a sweep: the reflector that clears the sweep's column. */
INLINE void NAME(begin)(int parts, real *column, NAME(vector) * v, real *tau)
{
    NAME(vector) x[most_parts];
    real beta = 0;

#pragma GCC unroll 8
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
    const size_t ld = 2 * (size_t)b - 1;
    NAME(vector) v[sweeps_at_once][most_parts];
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
                NAME(both_sides)(parts, a + row + row * ld, ld, v[k], tau[k]);
                NAME(chase)(parts, a + row + (size_t)b + row * ld, ld, v[k], &tau[k]);
            }
        }
    }
}

NL_VECTOR_CLONES static void NAME(sweep_narrow)(int n, real *a)
{
    NAME(sweep)(nl_narrow_parts, n, a);
}

NL_VECTOR_CLONES static void NAME(sweep_wide)(int n, real *a)
{
    NAME(sweep)(nl_wide_parts, n, a);
}

/* The power of two that brings the largest element to 1 or a little below. */
static int NAME(exponent)(size_t count, const real *a)
{
    double largest = 0.0;
    int exponent = 0;

    for (size_t k = 0; k < count; k++) {
        largest = fmax(largest, fabs((double)a[k]));
    }
    (void)frexp(largest, &exponent);
    return exponent;
}

static void NAME(reduce)(int n, int b, real *a, real *diagonal, real *off_diagonal)
{
    const size_t count = 2 * (size_t)b * (size_t)n;
    const int exponent = NAME(exponent)(count, a);

    for (size_t k = 0; k < count; k++) {
        a[k] = (real)ldexp((double)a[k], -exponent);
    }
    (b == nl_narrow_parts * NAME(lanes) ? NAME(sweep_narrow) : NAME(sweep_wide))(n, a);
    for (int k = 0; k < n; k++) {
        const real *column = a + 2 * (size_t)b * (size_t)k;

        diagonal[k] = (real)ldexp((double)column[0], exponent);
        off_diagonal[k] = (real)ldexp((double)column[1], exponent);
    }
}
