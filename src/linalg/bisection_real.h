/**
 * @file bisection_real.h  Eigenvalues of a tridiagonal matrix in one floating-point format and
 * vectors of one width; included by tridiagonal.c after tridiagonal_real.h.
 *
 * The matrix is scaled to a norm of at most 1, so sequences grow at most threefold a step and are
 * scaled back every few steps.
 */

/* Shifts of it bring in zeros. */
typedef unsigned_integer NAME(bits) __attribute__((vector_size(vector_bytes)));

/* A step shrinks the sequence to eps of itself at least, two to eps^2 / 64. */
enum {
    NAME(steps_unscaled) = sizeof(real) == 8 ? 16 : 4,
    NAME(sign_bit) = 8 * sizeof(real) - 1,
    NAME(points) = vector_bytes == 64 ? 6 : 4 /* vectors of x that are counted at once */
};

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

/** Of T - x I, lane by lane. */
typedef struct NAME(minors) {
    NAME(mask) below;   /* eigenvalues below x */
    NAME(vector) value; /* the determinant is value times 2^exponent */
    NAME(mask) exponent;
} NAME(minors);

/* How many eigenvalues lie below each x: changes of sign in the sequence of leading minors of
 * T - x I (Givens 1954).  No division, unlike ratios of minors; backward stable all the same
 * (Wilkinson 1965, ch. 5, sec. 38). */
INLINE void NAME(count_below)(const NAME(tridiagonal) * t, const NAME(vector) * x,
                              NAME(minors) * out)
{
    const int mantissa = sizeof(real) == 8 ? 52 : 23;
    const integer bias = sizeof(real) == 8 ? 1023 : 127;
    NAME(vector) p[NAME(points)];
    NAME(vector) q[NAME(points)]; /* the minor before */

#pragma GCC unroll 16
    for (int k = 0; k < NAME(points); k++) {
        q[k] = (NAME(vector)){0} + 1;
        p[k] = t->diagonal[0] - x[k];
        out[k].below = (NAME(mask))((NAME(bits))p[k] >> NAME(sign_bit));
        out[k].exponent = (NAME(mask)){0};
    }
    for (int i = 1; i < t->n; i++) {
#pragma GCC unroll 16
        for (int k = 0; k < NAME(points); k++) {
            const NAME(vector) next = (t->diagonal[i] - x[k]) * p[k] - t->squares[i - 1] * q[k];

            out[k].below += (NAME(mask))(((NAME(bits))next ^ (NAME(bits))p[k]) >> NAME(sign_bit));
            q[k] = p[k];
            p[k] = next;
        }
        if (i % NAME(steps_unscaled) == 0) {
#pragma GCC unroll 16
            for (int k = 0; k < NAME(points); k++) {
                const NAME(vector) scale = NAME(scale_back)(p[k], q[k]);

                p[k] *= scale;
                q[k] *= scale;
                out[k].exponent += bias - ((NAME(mask))scale >> mantissa);
            }
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < NAME(points); k++) {
        out[k].value = p[k];
    }
}

/* Counts at even distances between the bounds: the first halvings for all eigenvalues at once. */
INLINE void NAME(count_on_grid)(const NAME(tridiagonal) * t, real low, real distance,
                                integer *below)
{
    enum { at_once = NAME(points) * NAME(lanes) };
    NAME(vector) x[NAME(points)];
    NAME(minors) found[NAME(points)];

    for (int first = 0; first < grid_points; first += at_once) {
        for (int k = 0; k < at_once; k++) {
            x[k / NAME(lanes)][k % NAME(lanes)] = low + (real)(first + k) * distance;
        }
        NAME(count_below)(t, x, found);
        for (int k = 0; k < NAME(points); k++) {
            memcpy(below + first + (ptrdiff_t)k * NAME(lanes), &found[k].below,
                   sizeof found[k].below);
        }
    }
}

INLINE NAME(vector) NAME(choose)(NAME(mask) where, NAME(vector) a, NAME(vector) b)
{
    return (NAME(vector))(((NAME(mask))a & where) | ((NAME(mask))b & ~where));
}

INLINE NAME(vector) NAME(absolute)(NAME(vector) x)
{
    return NAME(choose)(x < 0, -x, x);
}

/** Where eigenvalues are, lane by lane. */
typedef struct NAME(bracket) {
    NAME(vector) low, high;
    NAME(vector) crowded;         /* the last width with other eigenvalues in it */
    NAME(minors) at_low, at_high; /* value 0: not known yet */
} NAME(bracket);

/* Determinant at `high` over that at `low`; exponents further apart than the format allows are as
 * good as its last. */
INLINE NAME(vector) NAME(ratio)(const NAME(bracket) * b)
{
    const int mantissa = sizeof(real) == 8 ? 52 : 23;
    const integer bias = sizeof(real) == 8 ? 1023 : 127;
    const integer most = bias / 2;
    NAME(mask) e = b->at_high.exponent - b->at_low.exponent;

    e = (e & (e < most)) | (most & (e >= most));
    e = (e & (e > -most)) | (-most & (e <= -most));
    return b->at_high.value / b->at_low.value * (NAME(vector))((e + bias) << mantissa);
}

/* Where to look next: the middle, while there are other eigenvalues in the bracket or its ends are
 * not known; then as ITP has it (Oliveira, Takahashi 2020), which converges faster than linearly
 * and takes one halving more at most.  That is the root of the chord, moved towards the middle so
 * that the eigenvalue comes to lie between it and the nearer end, as far as that keeps up with
 * halving: `most` is the width that the bracket may have afterwards, `wanted` that in the end. */
INLINE NAME(vector) NAME(next_point)(const NAME(bracket) * b, real most, real wanted)
{
    const NAME(vector) zero = {0};
    const NAME(vector) size = b->high - b->low;
    const NAME(vector) middle = (b->low + b->high) / 2;
    const NAME(vector) root = b->low + size / (1 - NAME(ratio)(b));
    const NAME(vector) side = NAME(choose)(middle < root, zero - 1, zero + 1);
    const NAME(vector) truncation = 8 * size * size / b->crowded;
    const NAME(vector) radius = most - size / 2;
    const NAME(mask) alone = b->at_high.below - b->at_low.below == 1;
    const NAME(mask) known = (b->at_low.value != 0) & (b->at_high.value != 0);
    NAME(vector) x = root + side * truncation;

    x = NAME(choose)(truncation <= NAME(absolute)(middle - root), x, middle);
    x = NAME(choose)(NAME(absolute)(x - middle) <= radius, x, middle - side * radius);
    x = NAME(choose)(x >= b->low + wanted, x, b->low + wanted);
    x = NAME(choose)(x <= b->high - wanted, x, b->high - wanted);
    return NAME(choose)(alone & known & (x > b->low) & (x < b->high), x, middle);
}

/* What was found at x becomes the new end of the bracket of eigenvalue `rank`. */
INLINE void NAME(cut)(NAME(bracket) * b, NAME(mask) rank, NAME(vector) x, const NAME(minors) * at_x)
{
    const NAME(mask) beyond = at_x->below > rank;
    NAME(mask) alone;

    b->high = NAME(choose)(beyond, x, b->high);
    b->low = NAME(choose)(beyond, b->low, x);
    b->at_high.below = (at_x->below & beyond) | (b->at_high.below & ~beyond);
    b->at_low.below = (b->at_low.below & beyond) | (at_x->below & ~beyond);
    b->at_high.value = NAME(choose)(beyond, at_x->value, b->at_high.value);
    b->at_low.value = NAME(choose)(beyond, b->at_low.value, at_x->value);
    b->at_high.exponent = (at_x->exponent & beyond) | (b->at_high.exponent & ~beyond);
    b->at_low.exponent = (b->at_low.exponent & beyond) | (at_x->exponent & ~beyond);
    alone = b->at_high.below - b->at_low.below == 1;
    b->crowded = NAME(choose)(alone, b->crowded, b->high - b->low);
}

INLINE bool NAME(any)(NAME(mask) where)
{
    bool found = false;

    for (int lane = 0; lane < NAME(lanes); lane++) {
        found = found || where[lane] != 0;
    }
    return found;
}

/* Eigenvalues first, first + 1, ... of as many as fit in the vectors, each to the width of its
 * bracket halved so often. */
INLINE void NAME(narrow)(const NAME(tridiagonal) * t, int first, NAME(bracket) * b, real width,
                         int halvings)
{
    const real wanted = (real)ldexp((double)width, -halvings);
    NAME(mask) wide = (NAME(mask)){0} - 1;
    real most = width;

    for (int turn = 0; turn <= halvings && NAME(any)(wide); turn++, most /= 2) {
        NAME(vector) x[NAME(points)];
        NAME(minors) at_x[NAME(points)];

        for (int k = 0; k < NAME(points); k++) {
            x[k] = NAME(next_point)(&b[k], most, wanted);
        }
        NAME(count_below)(t, x, at_x);
        wide = (NAME(mask)){0};
        for (int k = 0; k < NAME(points); k++) {
            NAME(cut)
            (&b[k], NAME(lane_numbers)() + (integer)(first + k * NAME(lanes)), x[k], &at_x[k]);
            wide |= b[k].high - b[k].low > wanted;
        }
    }
}

/* All eigenvalues of a matrix of norm at most 1, ascending, to about eps. */
TARGET static void NAME(find_eigenvalues)(int n, const real *diagonal, const real *squares,
                                          real *ascending)
{
    enum { at_once = NAME(points) * NAME(lanes) };
    const NAME(tridiagonal) t = {n, diagonal, squares};
    const int halvings = (sizeof(real) == 8 ? 53 : 24) - 8;
    const real distance = (real)2.125 / (grid_points - 1);
    const real least = (real)-1.0625;
    integer below[grid_points];
    int cell = 0;

    NAME(count_on_grid)(&t, least, distance, below);
    for (int first = 0; first < n; first += at_once) {
        NAME(bracket) b[NAME(points)] = {0};

        for (int k = 0; k < at_once; k++) {
            if (first + k >= n) {
                break; /* the rest of the lanes have nothing to find */
            }
            while (cell < grid_points - 1 && below[cell] <= first + k) {
                cell++;
            }
            b[k / NAME(lanes)].high[k % NAME(lanes)] = least + (real)cell * distance;
            b[k / NAME(lanes)].low[k % NAME(lanes)] = least + (real)(cell - 1) * distance;
            b[k / NAME(lanes)].crowded[k % NAME(lanes)] = distance;
            b[k / NAME(lanes)].at_high.below[k % NAME(lanes)] = below[cell];
            b[k / NAME(lanes)].at_low.below[k % NAME(lanes)] = below[cell - 1];
        }
        NAME(narrow)(&t, first, b, distance, halvings);
        for (int k = 0; k < at_once && first + k < n; k++) {
            const NAME(bracket) *at = &b[k / NAME(lanes)];
            const real found = (at->low[k % NAME(lanes)] + at->high[k % NAME(lanes)]) / 2;
            const real before = first + k > 0 ? ascending[first + k - 1] : found;

            ascending[first + k] = found > before ? found : before; /* but for rounding */
        }
    }
}

/* Scales to a norm of at most 1, in place. */
static void NAME(eigenvalues)(int n, void *on_diagonal, void *beside, void *found)
{
    real *diagonal = on_diagonal;
    real *off_diagonal = beside;
    real *ascending = found;
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
