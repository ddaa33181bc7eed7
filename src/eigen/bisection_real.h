/**
 * @file bisection_real.h  Eigenvalues of a tridiagonal matrix in one floating-point format and
 * vectors of one width; included by tridiagonal.c after tridiagonal_real.h.
 *
 * Symbols:
 *   T        the tridiagonal matrix, n x n: diagonal d_i, squares e_i^2 of the off-diagonal
 *   x        a point; count(x) = eigenvalues of T below x
 *   p_i      det (T - x I)_i, the leading minors: p_{i+1} = (d_i - x) p_i - e_{i-1}^2 p_{i-1};
 *            count(x) = changes of sign in 1, p_1, ..., p_n; p, q: the last two
 *   bracket  low <= lambda_rank < high, count(low) <= rank < count(high)
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
INLINE void NAME(count_below)(const NAME(tridiagonal) *t, const NAME(vector) *x, NAME(minors) *out)
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

/** Points, ascending, and how many eigenvalues lie below each. */
typedef struct NAME(grid) {
    int count;
    real x[grid_points];
    integer below[grid_points];
} NAME(grid);

INLINE void NAME(count_at)(const NAME(tridiagonal) *t, NAME(grid) *grid)
{
    enum { at_once = vector_bytes / (int)sizeof(real) * NAME(points) };

    for (int first = 0; first < grid->count; first += at_once) {
        const size_t here = (size_t)nl_smaller(at_once, grid->count - first);
        NAME(vector) x[NAME(points)] = {{0}};
        NAME(minors) found[NAME(points)];
        integer below[at_once];

        memcpy(x, grid->x + first, here * sizeof(real));
        NAME(count_below)(t, x, found);
        for (int k = 0; k < NAME(points); k++) {
            memcpy(below + (ptrdiff_t)k * NAME(lanes), &found[k].below, sizeof found[k].below);
        }
        memcpy(grid->below + first, below, here * sizeof *below);
    }
}

/* Where there would be as many eigenvalues between one point and the next, were they spread evenly
 * in each cell of the grid. */
INLINE void NAME(place)(const NAME(grid) *grid, int n, NAME(grid) *added)
{
    int cell = 1;

    for (int k = 0; k < added->count; k++) {
        const real rank = (real)n * ((real)k + (real)0.5) / (real)added->count;
        real share = 0;

        while (cell < grid->count - 1 && (real)grid->below[cell] <= rank) {
            cell++;
        }
        share = (rank - (real)grid->below[cell - 1]) /
                (real)(grid->below[cell] - grid->below[cell - 1]);
        added->x[k] = grid->x[cell - 1] + share * (grid->x[cell] - grid->x[cell - 1]);
    }
}

INLINE void NAME(merge)(NAME(grid) *grid, const NAME(grid) *added)
{
    int old = grid->count - 1;
    int new = added->count - 1;

    grid->count += added->count;
    for (int k = grid->count - 1; new >= 0; k--) {
        const bool from_old = old >= 0 && grid->x[old] > added->x[new];

        grid->x[k] = from_old ? grid->x[old] : added->x[new];
        grid->below[k] = from_old ? grid->below[old] : added->below[new];
        old -= from_old;
        new -= !from_old;
    }
}

/* The first halvings, for all eigenvalues at once: even points, then again and again points where
 * most eigenvalues are.  Those of kernels fall over many orders of magnitude. */
INLINE void NAME(lay_grid)(const NAME(tridiagonal) *t, NAME(grid) *grid)
{
    const real least = (real)-1.0625;
    NAME(grid) added = {.count = nl_smaller(t->n / 4 + 2, grid_points / grid_levels)};

    grid->count = added.count;
    for (int k = 0; k < grid->count; k++) {
        grid->x[k] = least - 2 * least * (real)k / (real)(grid->count - 1);
    }
    NAME(count_at)(t, grid);
    for (int level = 1; level < grid_levels; level++) {
        NAME(place)(grid, t->n, &added);
        NAME(count_at)(t, &added);
        NAME(merge)(grid, &added);
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
    NAME(mask) rank; /* of the eigenvalue; n: none is left */
    NAME(vector) low, high;
    NAME(vector) most;            /* the width that halving would have come to */
    NAME(vector) crowded;         /* the last width with other eigenvalues in it */
    NAME(minors) at_low, at_high; /* value 0: not known yet */
} NAME(bracket);

/* Determinant at `high` over that at `low`; exponents further apart than the format allows are as
 * good as its last. */
INLINE NAME(vector) NAME(ratio)(const NAME(bracket) *b)
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
 * halving: b->most is the width that the bracket may have afterwards, `wanted` that in the end. */
INLINE NAME(vector) NAME(next_point)(const NAME(bracket) *b, real wanted)
{
    const NAME(vector) zero = {0};
    const NAME(vector) size = b->high - b->low;
    const NAME(vector) middle = (b->low + b->high) / 2;
    const NAME(vector) root = b->low + size / (1 - NAME(ratio)(b));
    const NAME(vector) side = NAME(choose)(middle < root, zero - 1, zero + 1);
    const NAME(vector) truncation = 8 * size * size / b->crowded;
    const NAME(vector) radius = b->most - size / 2;
    const NAME(mask) alone = b->at_high.below - b->at_low.below == 1;
    const NAME(mask) known = (b->at_low.value != 0) & (b->at_high.value != 0);
    NAME(vector) x = root + side * truncation;

    x = NAME(choose)(truncation <= NAME(absolute)(middle - root), x, middle);
    x = NAME(choose)(NAME(absolute)(x - middle) <= radius, x, middle - side * radius);
    x = NAME(choose)(x >= b->low + wanted, x, b->low + wanted);
    x = NAME(choose)(x <= b->high - wanted, x, b->high - wanted);
    return NAME(choose)(alone & known & (x > b->low) & (x < b->high), x, middle);
}

/* What was found at x becomes the new end of the bracket. */
INLINE void NAME(cut)(NAME(bracket) *b, NAME(vector) x, const NAME(minors) *at_x)
{
    const NAME(mask) beyond = at_x->below > b->rank;
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
    b->most /= 2;
}

INLINE bool NAME(any)(NAME(mask) where)
{
    bool found = false;

    for (int lane = 0; lane < NAME(lanes); lane++) {
        found = found || where[lane] != 0;
    }
    return found;
}

/* Eigenvalue `rank` to a lane; *cell, where the one before was. */
INLINE void NAME(take)(const NAME(grid) *grid, integer rank, int *cell, NAME(bracket) *b, int lane)
{
    while (*cell < grid->count - 1 && grid->below[*cell] <= rank) {
        ++*cell;
    }
    b->rank[lane] = rank;
    b->high[lane] = grid->x[*cell];
    b->low[lane] = grid->x[*cell - 1];
    b->most[lane] = b->crowded[lane] = grid->x[*cell] - grid->x[*cell - 1];
    b->at_high.below[lane] = grid->below[*cell];
    b->at_low.below[lane] = grid->below[*cell - 1];
    b->at_high.value[lane] = b->at_low.value[lane] = 0;
}

/* Lanes whose eigenvalue is found give it and take the next one. */
INLINE void NAME(turn_over)(const NAME(grid) *grid, NAME(mask) done, NAME(bracket) *b, int n,
                            int *next, int *cell, real *found)
{
    for (int lane = 0; lane < NAME(lanes); lane++) {
        if (done[lane] != 0 && b->rank[lane] < n) {
            found[b->rank[lane]] = (b->low[lane] + b->high[lane]) / 2;
            if (*next < n) {
                NAME(take)(grid, *next, cell, b, lane);
                ++*next;
            } else {
                b->rank[lane] = n;
            }
        }
    }
}

/* All eigenvalues of a matrix of norm at most 1, ascending, to about eps. */
TARGET static void NAME(find_eigenvalues)(int n, const real *diagonal, const real *squares,
                                          real *ascending)
{
    const NAME(tridiagonal) t = {n, diagonal, squares};
    const real wanted = (real)ldexp(1.0, sizeof(real) == 8 ? -53 : -24);
    const NAME(mask) none = (NAME(mask)){0} + n;
    NAME(bracket) b[NAME(points)] = {0};
    NAME(mask) left = none; /* anything but zero */
    NAME(grid) grid;
    int cell = 1;
    int next = 0;

    NAME(lay_grid)(&t, &grid);
    for (int k = 0; k < NAME(points); k++) {
        b[k].rank = none;
        for (int lane = 0; next < n && lane < NAME(lanes); lane++, next++) {
            NAME(take)(&grid, next, &cell, &b[k], lane);
        }
    }
    while (NAME(any)(left)) {
        NAME(vector) x[NAME(points)];
        NAME(minors) at_x[NAME(points)];

        for (int k = 0; k < NAME(points); k++) {
            x[k] = NAME(next_point)(&b[k], wanted);
        }
        NAME(count_below)(&t, x, at_x);
        left = (NAME(mask)){0};
        for (int k = 0; k < NAME(points); k++) {
            NAME(mask) done;

            NAME(cut)(&b[k], x[k], &at_x[k]);
            done = ~((b[k].high - b[k].low > wanted) & (b[k].most >= wanted / 2)); /* or NaN */
            if (NAME(any)(done)) {
                NAME(turn_over)(&grid, done, &b[k], n, &next, &cell, ascending);
            }
            left |= b[k].rank < n;
        }
    }
    for (int k = 1; k < n; k++) { /* but for rounding they are in order */
        ascending[k] = ascending[k] > ascending[k - 1] ? ascending[k] : ascending[k - 1];
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
