/** @file passes_real.h  Loops of the passes in one floating-point format (ntklens/formats.h). */

/* Three planes to channels last: compilers that know the number make whole vectors. */
NL_VECTOR_CLONES
static void NAME(take_colours)(size_t positions, const float *restrict from, real *restrict to)
{
    const float *green = from + positions;
    const float *blue = green + positions;

    for (size_t at = 0; at < positions; at++) {
        to[3 * at] = (real)from[at];
        to[3 * at + 1] = (real)green[at];
        to[3 * at + 2] = (real)blue[at];
    }
}

/* Planes [channels x height x width] to channels last. */
static void NAME(take_samples)(nl_passes *p, const float *x, const int *list)
{
    const nl_shape shape = p->net->layer[0].in;
    const size_t size = (size_t)p->net->spec.inputs;
    const size_t channels = (size_t)shape.channels;
    const size_t positions = size / channels;
    real *to = p->sample;

    for (int i = 0; i < p->rows; i++, to += size) {
        const float *from = x + (size_t)(list != NULL ? list[i] : i) * size;

        if (channels == 3) {
            NAME(take_colours)(positions, from, to);
            continue;
        }
        for (size_t k = 0; k < channels; k++) {
            for (size_t at = 0; at < positions; at++) {
                to[at * channels + k] = (real)from[k * positions + at];
            }
        }
    }
}

NL_VECTOR_CLONES
static void NAME(add)(size_t n, const real *restrict from, real *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += from[k];
    }
}

/* delta [rows x seeds x out] of some samples of layer l times phi'. */
static void NAME(multiply_slopes)(const nl_passes *p, int l, row_part part, real *delta)
{
    const size_t seeds = (size_t)part.seeds;
    const size_t size = (size_t)nl_shape_size(p->net->layer[l].out);
    const nl_activation activation = p->net->spec.activation;

    for (size_t row = 0; row < (size_t)part.rows * seeds; row++) {
        const size_t at = ((size_t)part.first + row / seeds) * size;
        const real *h = (const real *)p->out[l] + at;
        const real *slope = p->slope[l] != NULL ? (const real *)p->slope[l] + at : NULL;

        NAME(multiply_slope)(activation, size, h, slope, delta + row * size);
    }
}
