/** @file pool.c  Pools by their definition. */
#include "pool.h"

/** Where pixel (v, h) of a window is. */
static size_t pixel_at(nl_shape in, int side, const int window[4], int v, int h)
{
    const int row = window[1] * side + v;
    const int col = window[2] * side + h;

    return (((size_t)window[0] * (size_t)in.height + (size_t)row) * (size_t)in.width +
            (size_t)col) *
               (size_t)in.channels +
           (size_t)window[3];
}

/* window: sample, row, column, channel. */
static void pool_window(bool maximum, nl_shape in, int side, const int window[4], const double *x,
                        double *out, double delta, double *below)
{
    size_t best = pixel_at(in, side, window, 0, 0);
    double sum = 0.0;

    for (int v = 0; v < side; v++) {
        for (int h = 0; h < side; h++) {
            const size_t at = pixel_at(in, side, window, v, h);

            sum += x[at];
            best = x[at] > x[best] ? at : best;
            below[at] = maximum ? 0.0 : delta / (side * side);
        }
    }
    *out = maximum ? x[best] : sum / (side * side);
    if (maximum) {
        below[best] = delta;
    }
}

void reference_pool(bool maximum, nl_shape in, int side, int samples, const double *x, double *out,
                    const double *delta, double *below)
{
    const int height = in.height / side;
    const int width = in.width / side;
    size_t k = 0;

    for (size_t i = 0; i < (size_t)samples * (size_t)nl_shape_size(in); i++) {
        below[i] = 0.0;
    }
    for (int i = 0; i < samples; i++) {
        for (int y = 0; y < height; y++) {
            for (int col = 0; col < width; col++) {
                for (int c = 0; c < in.channels; c++, k++) {
                    pool_window(maximum, in, side, (const int[4]){i, y, col, c}, x, out + k,
                                delta[k], below);
                }
            }
        }
    }
}
