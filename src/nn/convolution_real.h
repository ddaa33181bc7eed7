/**
 * @file convolution_real.h  Direct convolution in one floating-point format and vectors of one
 * width; included by convolution.c, which defines real, vector_bytes, TARGET (what those vectors
 * ask of the CPU) and NAME(name) before.
 *
 * Symbols:
 *   k, s, p   kernel, stride, padding k / 2
 *   c, o      input and output channels; O: o up to a whole number of vectors
 *   K         k k c, entries of a patch; its k rows of k c entries each lie together in X
 *   X         a sample with zeros round it [(H + 2p) x (W + 2p) x c]
 *   w         weights [K x O], packed: block by block of two vectors of channels (the last one may
 *             have one), each [K x channels of the block];  z [pixels x o]
 *   z[y, x, :] = sum_{ky, q} X[y s + ky, x s c + q] w[ky k c + q, :],   q = 0 .. k c
 * A block of pixels times one or two vectors of output channels stays in registers.
 */

enum {
    NAME(lanes) = vector_bytes / (int)sizeof(real),
    NAME(most_pixels) = vector_bytes == 64 ? 14 : 5, /* of a block: with two vectors each they */
    NAME(most_inputs) = vector_bytes == 64 ? 12 : 5, /* fill the registers */
    NAME(most_alone) =
        vector_bytes == 64 ? 14 : 10 /* of either with one vector, whose sums would */
};                                   /* wait for each other were they fewer */

INLINE int NAME(pixels_at_once)(int vectors)
{
    return vectors > 1 ? NAME(most_pixels) : NAME(most_alone);
}

INLINE int NAME(inputs_at_once)(int vectors)
{
    return vectors > 1 ? NAME(most_inputs) : NAME(most_alone);
}

typedef real NAME(vector) __attribute__((vector_size(vector_bytes)));

typedef __typeof__((NAME(vector)){0} < (NAME(vector)){0}) NAME(bits); /* all ones: true */

INLINE NAME(vector) NAME(load)(const real *from)
{
    NAME(vector) x;

    memcpy(&x, from, sizeof x); /* not aligned */
    return x;
}

INLINE void NAME(store)(NAME(vector) x, real *to)
{
    memcpy(to, &x, sizeof x);
}

/* Some elements, zeros behind. */
INLINE NAME(vector) NAME(load_some)(const real *from, int count)
{
    NAME(vector) x = {0};

    if (count >= NAME(lanes)) {
        return NAME(load)(from);
    }
    memcpy(&x, from, (size_t)count * sizeof *from);
    return x;
}

INLINE void NAME(store_some)(NAME(vector) x, int count, real *to)
{
    if (count >= NAME(lanes)) {
        memcpy(to, &x, sizeof x);
    } else {
        memcpy(to, &x, (size_t)count * sizeof *to);
    }
}

/* nl_ending of one sample. */
typedef struct NAME(ending) {
    real scale;
    const real *shift; /* [O] */
    bool relu;
    const real *mask; /* of the sample; NULL: none */
} NAME(ending);

/* This way round a NaN stays one. */
INLINE NAME(vector) NAME(relu)(NAME(vector) x)
{
    return (NAME(vector))((NAME(bits))x & ~(x < (NAME(vector)){0}));
}

/* Zero where a mask is not positive. */
INLINE NAME(vector) NAME(masked)(NAME(vector) x, NAME(vector) mask)
{
    return (NAME(vector))((NAME(bits))x & (mask > (NAME(vector)){0}));
}

/* Some results of a sample, from channel `channel` on, into z[at]. */
INLINE void NAME(finish)(const NAME(ending) *e, NAME(vector) x, int channel, int some, size_t at,
                         real *z)
{
    x = e->scale * x + NAME(load)(e->shift + channel);
    if (e->relu) {
        x = NAME(relu)(x);
    }
    if (e->mask != NULL) {
        x = NAME(masked)(x, NAME(load_some)(e->mask + at, some));
    }
    NAME(store_some)(x, some, z + at);
}

/* A correlation of one padded sample with packed weights. */
typedef struct NAME(correlation) {
    int height, width; /* of the output */
    int kernel, stride;
    int in, out;                /* channels c, o */
    int row;                    /* elements of a row of X */
    const real *x;              /* X */
    const real *w;              /* [K x O] */
    real *z;                    /* [height x width x o] */
    const NAME(ending) *ending; /* NULL: z is stored as it is, o = O */
} NAME(correlation);

static int NAME(padded)(int channels)
{
    return (channels + NAME(lanes) - 1) / NAME(lanes) *vector_bytes / (int)sizeof(real);
}

/* Channels of the block that begins with channel `first`. */
static int NAME(block_channels)(int O, int first)
{
    return first + 2 * vector_bytes / (int)sizeof(real) <= O ? 2 * vector_bytes / (int)sizeof(real)
                                                             : vector_bytes / (int)sizeof(real);
}

/* z[z ..] of neighbours from sums [pixels x 2 vectors].  A function of its own: what it does with
 * vectors cost the loop over sums half of the registers. */
TARGET static
    __attribute__((noinline)) void NAME(finish_block)(int pixels, const NAME(correlation) *t,
                                                      const real *sums, int first, size_t z)
{
    const int some = t->out - first;

    for (int i = 0; i < pixels; i++, z += (size_t)t->out, sums += (ptrdiff_t)2 * NAME(lanes)) {
        NAME(finish)(t->ending, NAME(load)(sums), first, some, z, t->z);
        if (some > NAME(lanes)) {
            NAME(finish)
            (t->ending, NAME(load)(sums + NAME(lanes)), first + NAME(lanes), some - NAME(lanes),
             z + NAME(lanes), t->z);
        }
    }
}

/* The same from registers: x[0], x[step] .. of whole vectors of channels, into z[at[0]] .. */
INLINE void NAME(finish_vectors)(const NAME(ending) *e, int count, NAME(vector) *x, ptrdiff_t step,
                                 int channel, const size_t *at, real *z)
{
    const NAME(vector) shift = NAME(load)(e->shift + channel);

#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < count; i++) {
        x[i * step] = e->scale * x[i * step] + shift;
    }
    if (e->relu) {
#pragma GCC unroll 16
        for (ptrdiff_t i = 0; i < count; i++) {
            x[i * step] = NAME(relu)(x[i * step]);
        }
    }
    if (e->mask != NULL) {
#pragma GCC unroll 16
        for (ptrdiff_t i = 0; i < count; i++) {
            x[i * step] = NAME(masked)(x[i * step], NAME(load)(e->mask + at[i]));
        }
    }
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < count; i++) {
        NAME(store)(x[i * step], z + at[i]);
    }
}

/* z[z ..] of `pixels` neighbours in a row, `vectors` vectors of channels from `first` on. */
INLINE void NAME(block)(int pixels, int vectors, const NAME(correlation) *t, const real *x,
                        int first, size_t z)
{
    const int run = t->kernel * t->in;
    const ptrdiff_t apart = (ptrdiff_t)t->stride * t->in;
    const size_t step = (size_t)vectors * NAME(lanes);
    const real *w = t->w + (size_t)t->kernel * (size_t)run * (size_t)first;
    const bool direct = (vectors == 1 || vector_bytes < 64) && t->ending != NULL &&
                        t->out - first >= vectors * NAME(lanes); /* registers are left for it */
    NAME(vector) sum[NAME(most_alone)][2];
    real raw[NAME(most_alone) * 2 * NAME(lanes)];
    real *to = t->ending != NULL ? raw : t->z + z;
    const size_t apart_to = t->ending != NULL ? (size_t)2 * NAME(lanes) : (size_t)t->out;

#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        sum[i][0] = sum[i][1] = (NAME(vector)){0};
    }
    for (int ky = 0; ky < t->kernel; ky++, x += t->row) {
        const real *at[NAME(most_alone) / 3 + 1]; /* every third pixel: few registers */

#pragma GCC unroll 16
        for (int k = 0; 3 * k < pixels; k++) {
            at[k] = x + (ptrdiff_t)3 * k * apart;
        }
        for (int q = 0; q < run; q++, w += step) {
            NAME(vector) wv[2];

            wv[0] = NAME(load)(w);
            wv[1] = vectors > 1 ? NAME(load)(w + NAME(lanes)) : wv[0];
#pragma GCC unroll 16
            for (int i = 0; i < pixels; i++) {
                const real xi = at[i / 3][i % 3 * apart];

                sum[i][0] += xi * wv[0];
                if (vectors > 1) {
                    sum[i][1] += xi * wv[1];
                }
            }
#pragma GCC unroll 16
            for (int k = 0; 3 * k < pixels; k++) {
                at[k]++;
            }
        }
    }
    if (direct) {
        size_t at[NAME(most_alone)];

#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            at[i] = z + (size_t)i * (size_t)t->out;
        }
        NAME(finish_vectors)(t->ending, pixels, sum[0], 2, first, at, t->z);
        if (vectors > 1) {
#pragma GCC unroll 16
            for (int i = 0; i < pixels; i++) {
                at[i] += NAME(lanes);
            }
            NAME(finish_vectors)
            (t->ending, pixels, sum[0] + 1, 2, first + NAME(lanes), at, t->z);
        }
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        NAME(store)(sum[i][0], to + (size_t)i * apart_to);
        if (vectors > 1) {
            NAME(store)(sum[i][1], to + (size_t)i * apart_to + NAME(lanes));
        }
    }
    if (t->ending != NULL) {
        NAME(finish_block)(pixels, t, raw, first, z);
    }
}

#define BLOCK(count)                                                                               \
    case count:                                                                                    \
        if ((count) <= NAME(pixels_at_once)(vectors)) { /* else it is not asked for */             \
            NAME(block)(count, vectors, t, x, first, z);                                           \
        }                                                                                          \
        break

/* As many pixels as the compiler knows. */
INLINE void NAME(pixels)(int count, int vectors, const NAME(correlation) *t, const real *x,
                         int first, size_t z)
{
    switch (count) {
        EACH_COUNT(BLOCK)
    default:
        break;
    }
}
#undef BLOCK

INLINE void NAME(channels)(int vectors, const NAME(correlation) *t, int first)
{
    const int step = nl_even_part(t->width, NAME(pixels_at_once)(vectors));

    for (int y = 0; y < t->height; y++) {
        const real *x = t->x + (size_t)(y * t->stride) * (size_t)t->row;
        const size_t z = (size_t)(y * t->width) * (size_t)t->out + (size_t)first;

        for (int i = 0; i < t->width; i += step) {
            NAME(pixels)(nl_smaller(step, t->width - i), vectors, t,
                         x + (size_t)(i * t->stride) * (size_t)t->in, first,
                         z + (size_t)i * (size_t)t->out);
        }
    }
}

TARGET static void NAME(correlate)(const NAME(correlation) *t)
{
    const int O = NAME(padded)(t->out);
    int first = 0;

    for (; first + 2 * NAME(lanes) <= O; first += 2 * NAME(lanes)) {
        NAME(channels)(2, t, first);
    }
    if (first < O) {
        NAME(channels)(1, t, first);
    }
}

/* to [pixels x O] = some channels of from [pixels x o], zeros behind. */
static void NAME(widen)(size_t pixels, int o, nl_channels channels, const real *from, real *to)
{
    const size_t O = (size_t)NAME(padded)(channels.count);
    const size_t count = (size_t)channels.count;

    from += channels.first;
    for (size_t i = 0; i < pixels; i++) {
        memcpy(to + i * O, from + i * (size_t)o, count * sizeof *to);
        memset(to + i * O + count, 0, (O - count) * sizeof *to);
    }
}

/* Sample [height x width x c] into the larger X with rows of `row` elements: pixel (y, x) to
 * (y apart + offset, x apart + offset).  The rest of X is zero already. */
static void NAME(place)(nl_shape shape, int apart, int offset, int row, const real *from, real *x)
{
    const size_t c = (size_t)shape.channels;

    for (int y = 0; y < shape.height; y++) {
        real *to = x + (size_t)(y * apart + offset) * (size_t)row + (size_t)offset * c;

        if (apart == 1) {
            memcpy(to, from, (size_t)shape.width * c * sizeof *to);
            from += (size_t)shape.width * c;
            continue;
        }
        for (int i = 0; i < shape.width; i++, from += c) {
            memcpy(to + (size_t)(i * apart) * c, from, c * sizeof *to);
        }
    }
}

static size_t NAME(padded_sample)(const nl_convolution *v, nl_shape shape, int channels)
{
    return (size_t)(shape.height + v->kernel - 1) * (size_t)(shape.width + v->kernel - 1) *
           (size_t)channels;
}

/* Weights [K x o] to w. */
static void NAME(pack)(int K, int o, const real *from, real *w)
{
    const int O = NAME(padded)(o);
    int here = 0;

    for (int first = 0; first < O; first += here) {
        int there = 0;

        here = NAME(block_channels)(O, first);
        there = nl_smaller(here, o - first);
        for (int q = 0; q < K; q++, w += here) {
            memcpy(w, from + (size_t)q * (size_t)o + first, (size_t)there * sizeof *w);
            memset(w + there, 0, (size_t)(here - there) * sizeof *w);
        }
    }
}

/* w' [k k o x c] of the way back: taps turned round, inputs and outputs exchanged. */
static void NAME(turn)(const nl_convolution *v, const real *w, real *turned)
{
    const size_t c = (size_t)v->in.channels;
    const size_t o = (size_t)v->out.channels;

    for (size_t tap = (size_t)v->kernel * (size_t)v->kernel; tap-- > 0; turned += c * o) {
        for (size_t q = 0; q < c; q++) {
            for (size_t a = 0; a < o; a++) {
                turned[a * c + q] = w[(tap * c + q) * o + a];
            }
        }
    }
}

/* The ending of sample i.  shift [O] as in prepare_shift(). */
static NAME(ending) NAME(ending_of)(const nl_convolving *job, size_t size, const real *shift, int i)
{
    const nl_ending *e = &job->ending;

    return (NAME(ending)){
        .scale = (real)e->scale,
        .shift = shift,
        .relu = e->relu,
        .mask = e->mask != NULL ? (const real *)e->mask + (size_t)(i / e->repeats) * size : NULL};
}

/* shift [O] of an ending, zeros behind */
static void NAME(prepare_shift)(const nl_ending *e, int o, real *shift)
{
    const real *bias = e->bias;

    memset(shift, 0, (size_t)NAME(padded)(o) * sizeof *shift);
    for (int k = 0; bias != NULL && k < o; k++) {
        shift[k] = (real)e->shift * bias[k];
    }
}

/* z [samples x to] = X * w */
static void NAME(convolve)(const passage *p, const nl_convolving *job, const real *input, real *z)
{
    const int c = p->from.channels;
    const int row = (nl_larger(p->from.width, p->to.width) + p->kernel - 1) * c;
    const size_t size =
        (size_t)(nl_larger(p->from.height, p->to.height) + p->kernel - 1) * (size_t)row;
    real *shift = job->scratch;
    real *x = shift + NAME(padded)(p->to.channels);
    NAME(ending) ending;
    NAME(correlation) t = {.height = p->to.height,
                           .width = p->to.width,
                           .kernel = p->kernel,
                           .stride = p->stride,
                           .in = c,
                           .out = p->to.channels,
                           .row = row,
                           .x = x,
                           .w = job->packed,
                           .ending = &ending};

    NAME(prepare_shift)(&job->ending, p->to.channels, shift);
    memset(x, 0, size * sizeof *x);
    t.z = z;
    for (int i = 0; i < job->samples; i++, t.z += nl_shape_size(p->to)) {
        NAME(place)(p->from, p->apart, p->kernel / 2, row,
                    input + (size_t)i * (size_t)nl_shape_size(p->from), x);
        ending = NAME(ending_of)(job, (size_t)nl_shape_size(p->to), shift, i);
        NAME(correlate)(&t);
    }
}

/* g [inputs x O] += sum over pixels of X delta, `inputs` entries of a row of the patch. */
INLINE void NAME(gradient_block)(int inputs, int vectors, const NAME(correlation) *t, const real *x,
                                 const real *delta, real *g)
{
    const size_t O = (size_t)NAME(padded)(t->out);
    NAME(vector) sum[NAME(most_alone)][2];

#pragma GCC unroll 16
    for (int q = 0; q < inputs; q++) {
        sum[q][0] = NAME(load)(g + (size_t)q * O);
        sum[q][1] = vectors > 1 ? NAME(load)(g + (size_t)q * O + NAME(lanes)) : sum[q][0];
    }
    for (int y = 0; y < t->height; y++) {
        for (int i = 0; i < t->width; i++, delta += O) {
            const real *at =
                x + (size_t)(y * t->stride) * (size_t)t->row + (size_t)(i * t->stride * t->in);
            const NAME(vector) d0 = NAME(load)(delta);
            const NAME(vector) d1 = vectors > 1 ? NAME(load)(delta + NAME(lanes)) : d0;

#pragma GCC unroll 16
            for (int q = 0; q < inputs; q++) {
                sum[q][0] += at[q] * d0;
                if (vectors > 1) {
                    sum[q][1] += at[q] * d1;
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int q = 0; q < inputs; q++) {
        NAME(store)(sum[q][0], g + (size_t)q * O);
        if (vectors > 1) {
            NAME(store)(sum[q][1], g + (size_t)q * O + NAME(lanes));
        }
    }
}

#define BLOCK(count)                                                                               \
    case count:                                                                                    \
        if ((count) <= NAME(inputs_at_once)(vectors)) { /* else it is not asked for */             \
            NAME(gradient_block)(count, vectors, t, x, delta, g);                                  \
        }                                                                                          \
        break

/* As many entries as the compiler knows. */
INLINE void NAME(gradient_inputs)(int count, int vectors, const NAME(correlation) *t, const real *x,
                                  const real *delta, real *g)
{
    switch (count) {
        EACH_COUNT(BLOCK)
    default:
        break;
    }
}
#undef BLOCK

/* Of one row of the patch, some vectors of output channels. */
INLINE void NAME(gradient_row)(int vectors, const NAME(correlation) *t, const real *x,
                               const real *delta, real *g)
{
    const size_t O = (size_t)NAME(padded)(t->out);
    const int run = t->kernel * t->in;
    const int step = nl_even_part(run, NAME(inputs_at_once)(vectors));

    for (int q = 0; q < run; q += step) {
        NAME(gradient_inputs)(nl_smaller(step, run - q), vectors, t, x + q, delta,
                              g + (size_t)q * O);
    }
}

/* g [K x O] += of one sample, delta [pixels x O]. */
TARGET static void NAME(add_gradient)(const NAME(correlation) *t, const real *delta, real *g)
{
    const int O = NAME(padded)(t->out);
    const size_t row = (size_t)(t->kernel * t->in) * (size_t)O;

    for (int ky = 0; ky < t->kernel; ky++) {
        const real *x = t->x + (size_t)ky * (size_t)t->row;
        int first = 0;

        for (; first + 2 * NAME(lanes) <= O; first += 2 * NAME(lanes)) {
            NAME(gradient_row)(2, t, x, delta + first, g + (size_t)ky * row + first);
        }
        if (first < O) {
            NAME(gradient_row)(1, t, x, delta + first, g + (size_t)ky * row + first);
        }
    }
}

/* sums [O] += delta [pixels x O] */
TARGET static void NAME(add_pixels)(size_t pixels, int O, const real *delta, real *sums)
{
    for (int k = 0; k < O; k += NAME(lanes)) {
        NAME(vector) sum[4] = {{0}}; /* of every fourth pixel */
        NAME(vector) all = NAME(load)(sums + k);
        const real *at = delta + k;
        size_t i = 0;

        for (; i + 4 <= pixels; i += 4) {
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++, at += O) {
                sum[j] += NAME(load)(at);
            }
        }
        for (; i < pixels; i++, at += O) {
            sum[0] += NAME(load)(at);
        }
        all += (sum[0] + sum[1]) + (sum[2] + sum[3]);
        memcpy(sums + k, &all, sizeof all);
    }
}

/* g [K x o] of some channels = sum over samples, each with `deltas` of its own; without a sum over
 * those: one g for each, `apart` elements apart. */
static void NAME(direct_gradients)(const nl_convolution *v, const nl_gradient_range *range,
                                   const real *input, const real *delta, real *to, real *scratch)
{
    const size_t size = NAME(padded_sample)(v, v->in, v->in.channels);
    const size_t pixels = (size_t)v->out.height * (size_t)v->out.width;
    const size_t patch = (size_t)v->kernel * (size_t)v->kernel * (size_t)v->in.channels;
    const size_t o = (size_t)range->channels.count;
    const size_t O = (size_t)NAME(padded)(range->channels.count);
    real *x = scratch;
    real *wide = x + size;          /* delta [pixels x O] */
    real *sums = wide + pixels * O; /* [O] */
    real *g = sums + O;             /* [K x O] */
    real *to_sums = range->sums;
    const NAME(correlation) t = {.height = v->out.height,
                                 .width = v->out.width,
                                 .kernel = v->kernel,
                                 .stride = v->stride,
                                 .in = v->in.channels,
                                 .out = range->channels.count,
                                 .row = (v->in.width + v->kernel - 1) * v->in.channels,
                                 .x = x};

    memset(x, 0, size * sizeof *x);
    memset(g, 0, patch * O * sizeof *g);
    memset(sums, 0, O * sizeof *sums);
    for (int i = 0; i < range->samples; i++) {
        NAME(place)(v->in, 1, v->kernel / 2, t.row,
                    input + (size_t)i * (size_t)nl_shape_size(v->in), x);
        for (int a = 0; a < range->deltas; a++, delta += pixels * (size_t)v->out.channels) {
            const real *of_channels =
                delta; /* as they are, where all are wanted and fill vectors */

            if (O != (size_t)v->out.channels) {
                NAME(widen)(pixels, v->out.channels, range->channels, delta, wide);
                of_channels = wide;
            }
            NAME(add_gradient)(&t, of_channels, g);
            NAME(add_pixels)(pixels, (int)O, of_channels, sums);
            if (range->apart > 0 || (i == range->samples - 1 && a == range->deltas - 1)) {
                for (size_t q = 0; q < patch; q++) {
                    memcpy(to + q * o, g + q * O, o * sizeof *g);
                }
                memcpy(to_sums, sums, o * sizeof *sums);
                to += range->apart;
                to_sums += range->apart;
                memset(g, 0, patch * O * sizeof *g);
                memset(sums, 0, O * sizeof *sums);
            }
        }
    }
}
