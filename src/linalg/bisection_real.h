/**
 * @file bisection_real.h  Eigenvalues of a tridiagonal matrix in one floating-point format;
 * included once per format by tridiagonal.c after tridiagonal_real.h.
 *
 * The matrix is scaled to a norm of at most 1, so sequences grow at most threefold a step and are
 * scaled back every few steps.
 */

/* A step shrinks the sequence to eps of itself at least, two to eps^2 / 64. */
enum { NAME(steps_unscaled) = sizeof(real) == 8 ? 8 : 4 };

typedef struct NAME(tridiagonal) {
    int n;
    const real *diagonal, *squares; /* of the off-diagonal elements, none below eps^2 / 64 */
} NAME(tridiagonal);

/* The power of two that brings the larger of |p| and |q| near 1; 2^bias at most. */
INLINE NAME(vector) NAME(scale_back)(NAME(vector) p, NAME(vector) q)
{
    const integer magnitude = sizeof(real) == 8 ? (integer)(~((uint64_t)1 << 63)) : 0x7fffffff;
    const integer exponent = sizeof(real) == 8 ? (integer)((uint64_t)0x7ff << 52) : 0x7f800000;
    const integer twice_bias = sizeof(real) == 8 ? (integer)((uint64_t)0x7fe << 52) : 0x7f000000;
    const NAME(mask) a = (NAME(mask))p & magnitude & exponent;
    const NAME(mask) b = (NAME(mask))q & magnitude & exponent;
    const NAME(mask) larger = (a & (a > b)) | (b & (a <= b));

    return (NAME(vector))(twice_bias - larger);
}

/* How many eigenvalues lie below each x: changes of sign in the sequence of leading minors of
 * T - x I (Givens 1954).  No division, unlike ratios of minors; backward stable all the same
 * (Wilkinson 1965, ch. 5, sec. 38). */
INLINE void NAME(count_below)(const NAME(tridiagonal) * t, const NAME(vector) * x,
                              NAME(mask) * below)
{
    NAME(vector) p[points];
    NAME(vector) q[points]; /* the minor before */

#pragma GCC unroll 8
    for (int k = 0; k < points; k++) {
        q[k] = (NAME(vector)){0} + 1;
        p[k] = t->diagonal[0] - x[k];
        below[k] = (NAME(mask))p[k] < 0;
    }
    for (int i = 1; i < t->n; i++) {
#pragma GCC unroll 8
        for (int k = 0; k < points; k++) {
            const NAME(vector) next = (t->diagonal[i] - x[k]) * p[k] - t->squares[i - 1] * q[k];

            below[k] += ((NAME(mask))next ^ (NAME(mask))p[k]) < 0; /* true is -1 */
            q[k] = p[k];
            p[k] = next;
        }
        if (i % NAME(steps_unscaled) == 0) {
#pragma GCC unroll 8
            for (int k = 0; k < points; k++) {
                const NAME(vector) scale = NAME(scale_back)(p[k], q[k]);

                p[k] *= scale;
                q[k] *= scale;
            }
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < points; k++) {
        below[k] = -below[k];
    }
}

/* Counts at even distances between the bounds: the first halvings for all eigenvalues at once. */
INLINE void NAME(count_on_grid)(const NAME(tridiagonal) * t, real low, real distance,
                                integer *below)
{
    enum { at_once = points * NAME(lanes) };
    NAME(vector) x[points];
    NAME(mask) counts[points];

    for (int first = 0; first < grid_points; first += at_once) {
        for (int k = 0; k < at_once; k++) {
            x[k / NAME(lanes)][k % NAME(lanes)] = low + (real)(first + k) * distance;
        }
        NAME(count_below)(t, x, counts);
        memcpy(below + first, counts, sizeof counts);
    }
}

/* Eigenvalues first, first + 1, ... of as many as fit in the vectors. */
INLINE void NAME(bisect)(const NAME(tridiagonal) * t, int first, NAME(vector) * low,
                         NAME(vector) * high, int halvings)
{
    NAME(mask) rank[points];
    NAME(mask) below[points];
    NAME(vector) middle[points];

    for (int k = 0; k < points; k++) {
        rank[k] = NAME(lane_numbers)() + (integer)(first + k * NAME(lanes));
    }
    for (int turn = 0; turn < halvings; turn++) {
#pragma GCC unroll 8
        for (int k = 0; k < points; k++) {
            middle[k] = (low[k] + high[k]) / 2;
        }
        NAME(count_below)(t, middle, below);
#pragma GCC unroll 8
        for (int k = 0; k < points; k++) {
            const NAME(mask) beyond = below[k] > rank[k];

            high[k] =
                (NAME(vector))(((NAME(mask))middle[k] & beyond) | ((NAME(mask))high[k] & ~beyond));
            low[k] =
                (NAME(vector))(((NAME(mask))low[k] & beyond) | ((NAME(mask))middle[k] & ~beyond));
        }
    }
}

/* All eigenvalues of a matrix of norm at most 1, ascending, to about eps. */
NL_VECTOR_CLONES static void NAME(find_eigenvalues)(int n, const real *diagonal,
                                                    const real *squares, real *ascending)
{
    enum { at_once = points * NAME(lanes) };
    const NAME(tridiagonal) t = {n, diagonal, squares};
    const int halvings = (sizeof(real) == 8 ? 53 : 24) - 8;
    const real distance = (real)2.125 / (grid_points - 1);
    const real least = (real)-1.0625;
    integer below[grid_points];
    int cell = 0;

    NAME(count_on_grid)(&t, least, distance, below);
    for (int first = 0; first < n; first += at_once) {
        NAME(vector) low[points];
        NAME(vector) high[points];

        for (int k = 0; k < at_once; k++) {
            while (cell < grid_points - 1 && below[cell] <= first + k) {
                cell++;
            }
            high[k / NAME(lanes)][k % NAME(lanes)] = least + (real)cell * distance;
            low[k / NAME(lanes)][k % NAME(lanes)] = least + (real)(cell - 1) * distance;
        }
        NAME(bisect)(&t, first, low, high, halvings);
        for (int k = 0; k < at_once && first + k < n; k++) {
            const real found =
                (low[k / NAME(lanes)][k % NAME(lanes)] + high[k / NAME(lanes)][k % NAME(lanes)]) /
                2;
            const real before = first + k > 0 ? ascending[first + k - 1] : found;

            ascending[first + k] = found > before ? found : before; /* but for rounding */
        }
    }
}

/* Scales to a norm of at most 1, in place. */
static void NAME(eigenvalues)(int n, real *diagonal, real *off_diagonal, real *ascending)
{
    const double eps = nl_precision_eps(sizeof(real) == 8 ? NL_DOUBLE : NL_SINGLE);
    double norm = 0.0;
    int exponent = 0;

    for (int k = 0; k < n; k++) {
        norm = fmax(norm, fabs((double)diagonal[k]) +
                              (k > 0 ? fabs((double)off_diagonal[k - 1]) : 0.0) +
                              (k < n - 1 ? fabs((double)off_diagonal[k]) : 0.0));
    }
    if (norm == 0.0) {
        memset(ascending, 0, (size_t)n * sizeof *ascending);
        return;
    }
    (void)frexp(norm, &exponent);
    for (int k = 0; k < n; k++) {
        const double e = k < n - 1 ? ldexp((double)off_diagonal[k], -exponent) : 0.0;

        diagonal[k] = (real)ldexp((double)diagonal[k], -exponent);
        off_diagonal[k] = (real)fmax(e * e, eps * eps / 64.0);
    }
    NAME(find_eigenvalues)(n, diagonal, off_diagonal, ascending);
    for (int k = 0; k < n; k++) {
        ascending[k] = (real)ldexp((double)ascending[k], exponent);
    }
}
