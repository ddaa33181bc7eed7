/**
 * @file pool_real.h  Pools in one floating-point format (ntklens/formats.h).
 *
 * Symbols: c channels; `wide` elements of a row of the image, n windows side by side; pixel (v, h)
 * of a window is wide v + c h behind its first one; out[x, :] is made of the window whose first
 * pixel is X[side x, :].
 */

/* out [n x c] = means over windows of X [side rows] */
NL_VECTOR_CLONES
static void NAME(average_row)(int side, size_t wide, size_t c, size_t n, const real *restrict x,
                              real *restrict out)
{
    const real share = (real)(1.0 / ((double)side * side));

    for (size_t i = 0; i < n; i++, x += (size_t)side * c, out += c) {
        for (size_t k = 0; k < c; k++) {
            real sum = 0;

            for (int v = 0; v < side; v++) {
                for (int h = 0; h < side; h++) {
                    sum += x[(size_t)v * wide + (size_t)h * c + k];
                }
            }
            out[k] = share * sum;
        }
    }
}

/* The same of windows of four. */
NL_VECTOR_CLONES
static void NAME(average_row_of_four)(size_t wide, size_t c, size_t n, const real *restrict x,
                                      real *restrict out)
{
    for (size_t i = 0; i < n; i++, x += 2 * c, out += c) {
        for (size_t k = 0; k < c; k++) {
            out[k] = (real)0.25 * (((x[k] + x[c + k]) + x[wide + k]) + x[wide + c + k]);
        }
    }
}

/* windows of below [side rows] = delta [n x c] / side^2 */
NL_VECTOR_CLONES
static void NAME(spread_row)(int side, size_t wide, size_t c, size_t n, const real *restrict delta,
                             real *restrict below)
{
    const real share = (real)(1.0 / ((double)side * side));

    for (size_t i = 0; i < n; i++, delta += c, below += (size_t)side * c) {
        for (int v = 0; v < side; v++) {
            for (int h = 0; h < side; h++) {
                real *pixel = below + (size_t)v * wide + (size_t)h * c;

                for (size_t k = 0; k < c; k++) {
                    pixel[k] = share * delta[k];
                }
            }
        }
    }
}

/* The same, zero where h [side rows] is not positive. */
NL_VECTOR_CLONES
static void NAME(spread_row_relu)(int side, size_t wide, size_t c, size_t n,
                                  const real *restrict delta, const real *restrict h,
                                  real *restrict below)
{
    const real share = (real)(1.0 / ((double)side * side));

    for (size_t i = 0; i < n; i++, delta += c) {
        for (int v = 0; v < side; v++) {
            for (int w = 0; w < side; w++) {
                const size_t pixel = (i * (size_t)side + (size_t)w) * c + (size_t)v * wide;

                for (size_t k = 0; k < c; k++) {
                    const real spread = share * delta[k];

                    below[pixel + k] = h[pixel + k] > 0 ? spread : 0;
                }
            }
        }
    }
}

/* out [n x c] = maxima over windows of X [side rows] */
NL_VECTOR_CLONES
static void NAME(maximum_row)(int side, size_t wide, size_t c, size_t n, const real *restrict x,
                              real *restrict out, uint8_t *restrict winner)
{
    for (size_t i = 0; i < n; i++, x += (size_t)side * c, out += c, winner += c) {
        memcpy(out, x, c * sizeof *out);
        memset(winner, 0, c);
        for (int place = 1; place < side * side; place++) {
            const real *pixel = x + (size_t)(place / side) * wide + (size_t)(place % side) * c;

            for (size_t k = 0; k < c; k++) {
                const bool wins = pixel[k] > out[k] || pixel[k] != pixel[k];

                out[k] = wins ? pixel[k] : out[k];
                winner[k] = wins ? (uint8_t)place : winner[k];
            }
        }
    }
}

/* windows of below [side rows]: delta [n x c] at the winners, else zero */
NL_VECTOR_CLONES
static void NAME(winner_row)(int side, size_t wide, size_t c, size_t n,
                             const uint8_t *restrict winner, const real *restrict delta,
                             real *restrict below)
{
    for (size_t i = 0; i < n; i++, delta += c, winner += c, below += (size_t)side * c) {
        for (int place = 0; place < side * side; place++) {
            real *pixel = below + (size_t)(place / side) * wide + (size_t)(place % side) * c;

            for (size_t k = 0; k < c; k++) {
                pixel[k] = winner[k] == place ? delta[k] : 0;
            }
        }
    }
}

void NAME(nl_average_pool)(nl_shape in, int side, int samples, const real *x, real *out)
{
    const pool p = pool_of(in, side, samples);

    for (size_t r = 0; r < p.rows; r++, out += p.n * p.c) {
        if (side == 2) {
            NAME(average_row_of_four)(p.wide, p.c, p.n, x + first_of(&p, r), out);
        } else {
            NAME(average_row)(side, p.wide, p.c, p.n, x + first_of(&p, r), out);
        }
    }
}

/* Pixels that fill no window get nothing. */
static void NAME(clear_rest)(const pool *p, int samples, real *below)
{
    if (!p->whole) {
        memset(below, 0, (size_t)samples * p->size * sizeof *below);
    }
}

void NAME(nl_average_pool_back)(nl_shape in, int side, int samples, const real *delta, real *below)
{
    const pool p = pool_of(in, side, samples);

    NAME(clear_rest)(&p, samples, below);
    for (size_t r = 0; r < p.rows; r++, delta += p.n * p.c) {
        NAME(spread_row)(side, p.wide, p.c, p.n, delta, below + first_of(&p, r));
    }
}

void NAME(nl_average_pool_back_relu)(nl_shape in, int side, int samples, const real *h,
                                     const real *delta, real *below)
{
    const pool p = pool_of(in, side, samples);

    NAME(clear_rest)(&p, samples, below);
    for (size_t r = 0; r < p.rows; r++, delta += p.n * p.c) {
        NAME(spread_row_relu)
        (side, p.wide, p.c, p.n, delta, h + first_of(&p, r % p.height), below + first_of(&p, r));
    }
}

void NAME(nl_max_pool)(nl_shape in, int side, int samples, const real *x, real *out,
                       uint8_t *winner)
{
    const pool p = pool_of(in, side, samples);

    for (size_t r = 0; r < p.rows; r++, out += p.n * p.c, winner += p.n * p.c) {
        NAME(maximum_row)(side, p.wide, p.c, p.n, x + first_of(&p, r), out, winner);
    }
}

void NAME(nl_max_pool_back)(nl_shape in, int side, int samples, const uint8_t *winner,
                            const real *delta, real *below)
{
    const pool p = pool_of(in, side, samples);

    NAME(clear_rest)(&p, samples, below);
    for (size_t r = 0; r < p.rows; r++, delta += p.n * p.c, winner += p.n * p.c) {
        NAME(winner_row)(side, p.wide, p.c, p.n, winner, delta, below + first_of(&p, r));
    }
}
