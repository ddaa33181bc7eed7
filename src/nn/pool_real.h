/**
 * @file pool_real.h  Pools in one floating-point format (ntklens/formats.h).
 *
 * Symbols: c channels; a window's pixel (v, h) is `row` v + c h behind its first one, row = width
 * c; out[y, x, :] is made of the window whose first pixel is X[side y, side x, :].
 */

/* out [c] = mean over a window of x */
static void NAME(average)(int side, size_t row, size_t c, const real *x, real *out)
{
    const real share = (real)(1.0 / ((double)side * side));

    memset(out, 0, c * sizeof *out);
    for (int v = 0; v < side; v++) {
        for (int h = 0; h < side; h++) {
            const real *pixel = x + (size_t)v * row + (size_t)h * c;

            for (size_t k = 0; k < c; k++) {
                out[k] += pixel[k];
            }
        }
    }
    for (size_t k = 0; k < c; k++) {
        out[k] *= share;
    }
}

/* window of below = delta / side^2 */
static void NAME(spread)(int side, size_t row, size_t c, const real *delta, real *below)
{
    const real share = (real)(1.0 / ((double)side * side));

    for (int v = 0; v < side; v++) {
        for (int h = 0; h < side; h++) {
            real *pixel = below + (size_t)v * row + (size_t)h * c;

            for (size_t k = 0; k < c; k++) {
                pixel[k] = share * delta[k];
            }
        }
    }
}

/* out [c] = max over a window of x */
static void NAME(maximum)(int side, size_t row, size_t c, const real *x, real *out, uint8_t *winner)
{
    memcpy(out, x, c * sizeof *out);
    memset(winner, 0, c);
    for (int place = 1; place < side * side; place++) {
        const real *pixel = x + (size_t)(place / side) * row + (size_t)(place % side) * c;

        for (size_t k = 0; k < c; k++) {
            const bool wins = pixel[k] > out[k] || pixel[k] != pixel[k];

            out[k] = wins ? pixel[k] : out[k];
            winner[k] = wins ? (uint8_t)place : winner[k];
        }
    }
}

/* Where in `in` the window of number `window` begins, over all samples. */
static size_t NAME(window_at)(nl_shape in, int side, size_t window)
{
    const nl_shape out = nl_pool_shape(in, side);
    const size_t x = window % (size_t)out.width;
    const size_t rows = window / (size_t)out.width;
    const size_t y = rows % (size_t)out.height;
    const size_t sample = rows / (size_t)out.height;

    return ((sample * (size_t)in.height + y * (size_t)side) * (size_t)in.width + x * (size_t)side) *
           (size_t)in.channels;
}

void NAME(nl_average_pool)(nl_shape in, int side, int samples, const real *x, real *out)
{
    const size_t c = (size_t)in.channels;
    const size_t row = (size_t)in.width * c;

    for (size_t k = 0; k < windows_of(in, side, samples); k++) {
        NAME(average)(side, row, c, x + NAME(window_at)(in, side, k), out + k * c);
    }
}

void NAME(nl_average_pool_back)(nl_shape in, int side, int samples, const real *delta, real *below)
{
    const size_t c = (size_t)in.channels;
    const size_t row = (size_t)in.width * c;

    memset(below, 0, (size_t)samples * (size_t)nl_shape_size(in) * sizeof *below);
    for (size_t k = 0; k < windows_of(in, side, samples); k++) {
        NAME(spread)(side, row, c, delta + k * c, below + NAME(window_at)(in, side, k));
    }
}

void NAME(nl_max_pool)(nl_shape in, int side, int samples, const real *x, real *out,
                       uint8_t *winner)
{
    const size_t c = (size_t)in.channels;
    const size_t row = (size_t)in.width * c;

    for (size_t k = 0; k < windows_of(in, side, samples); k++) {
        NAME(maximum)(side, row, c, x + NAME(window_at)(in, side, k), out + k * c, winner + k * c);
    }
}

void NAME(nl_max_pool_back)(nl_shape in, int side, int samples, const uint8_t *winner,
                            const real *delta, real *below)
{
    const size_t c = (size_t)in.channels;
    const size_t row = (size_t)in.width * c;

    memset(below, 0, (size_t)samples * (size_t)nl_shape_size(in) * sizeof *below);
    for (size_t k = 0; k < windows_of(in, side, samples); k++) {
        real *window = below + NAME(window_at)(in, side, k);

        for (size_t channel = 0; channel < c; channel++) {
            const size_t place = winner[k * c + channel];
            const size_t v = place / (size_t)side;
            const size_t h = place % (size_t)side;

            window[v * row + h * c + channel] = delta[k * c + channel];
        }
    }
}
