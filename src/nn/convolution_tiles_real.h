/**
 * @file convolution_tiles_real.h  Convolutions of 3 x 3 taps and stride 1 by tiles of 2 x 2
 * outputs, with 16 multiplications where the definition has 36 (S. Winograd, Arithmetic Complexity
 * of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks,
 * arXiv 1509.09308); behind convolution_real.h, in one format and vectors of one width.
 *
 * Symbols, as there and:
 *   d         4 x 4 pixels below a tile, one pixel round its outputs;  y its 2 x 2 outputs
 *   V [16 x T x c] = B^T d B of T tiles, entry by entry;  U [16 x c x o] = G w G^T
 *   M = V U entry by entry;  y = A^T M A
 *   D [16 x T x O] = A delta A^T;  d loss / d w = G^T (V^T D) G
 * Where all pixels below an output are zero, or all pixels of a tile are the same, the output is
 * exactly zero, or outputs are exactly the same: every entry that it is made of is.
 */

/* Some channels of the pixels below or above a tile, `side` x `side` from one row and column on of
 * its sample; zeros where the image ends. */
typedef struct NAME(pixels_of_tile) {
    const real *row[4];
    const real *zeros; /* of four columns */
    ptrdiff_t apart;   /* of columns */
    bool there[4];     /* columns */
} NAME(pixels_of_tile);

/* Into *p, field by field: whoever copies it waits for what was stored. */
INLINE void NAME(find_pixels)(const tile_place *tile, int side, int offset, const real *images,
                              NAME(pixels_of_tile) *p)
{
    const nl_shape shape = tile->shape;
    const ptrdiff_t row = (ptrdiff_t)shape.width * shape.channels;
    const int y = tile->y + offset;
    const int x = tile->x + offset;
    const real *first = images + (ptrdiff_t)tile->sample * (ptrdiff_t)shape.height * row + y * row +
                        (ptrdiff_t)x * shape.channels;

#pragma GCC unroll 4
    for (int k = 0; k < side; k++) {
        p->row[k] = y + k >= 0 && y + k < shape.height ? first + k * row : p->zeros;
        p->there[k] = x + k >= 0 && x + k < shape.width;
    }
}

INLINE NAME(vector)
    NAME(pixel)(const NAME(pixels_of_tile) *p, int row, int column, int channel, int some)
{
    return p->there[column] ? NAME(load_some)(p->row[row] + column * p->apart + channel, some)
                            : (NAME(vector)){0};
}

/* out = B^T in of four vectors, `apart` vectors apart in both */
INLINE void NAME(below_side)(size_t apart, const NAME(vector) *in, NAME(vector) *out)
{
    out[0] = in[0] - in[2 * apart];
    out[apart] = in[apart] + in[2 * apart];
    out[2 * apart] = in[2 * apart] - in[apart];
    out[3 * apart] = in[apart] - in[3 * apart];
}

/* V's 16 entries of one vector of channels of a tile, `apart` elements apart. */
INLINE void NAME(transform_pixels)(const NAME(pixels_of_tile) *p, int channel, int some,
                                   size_t apart, real *v)
{
    NAME(vector) d[16];
    NAME(vector) rows[16];

#pragma GCC unroll 16
    for (int k = 0; k < 16; k++) {
        d[k] = NAME(pixel)(p, k / 4, k % 4, channel, some);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        NAME(below_side)(4, d + k, rows + k);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        NAME(below_side)(1, rows + (ptrdiff_t)4 * k, d + (ptrdiff_t)4 * k);
    }
#pragma GCC unroll 16
    for (int k = 0; k < 16; k++) {
        NAME(store_some)(d[k], some, v + (size_t)k * apart);
    }
}

/* The same of a whole vector, all of whose pixels are in the image.  No loop is round it, where
 * compilers would keep 16 addresses in memory and count each on. */
TARGET static
    __attribute__((noinline)) void NAME(transform_within)(const NAME(pixels_of_tile) *p,
                                                          int channel, size_t apart, real *v)
{
    const NAME(pixels_of_tile) all = {.row = {p->row[0], p->row[1], p->row[2], p->row[3]},
                                      .apart = p->apart,
                                      .there = {true, true, true, true}};

    NAME(transform_pixels)(&all, channel, NAME(lanes), apart, v);
}

TARGET static __attribute__((noinline)) void NAME(transform_border)(const NAME(pixels_of_tile) *p,
                                                                    int channel, int some,
                                                                    size_t apart, real *v)
{
    NAME(transform_pixels)(p, channel, some, apart, v);
}

/* V of `count` tiles */
TARGET static void NAME(transform_below)(tile_place tile, int count, const real *x,
                                         const real *zeros, real *v)
{
    const int c = tile.shape.channels;
    const size_t apart = (size_t)count * (size_t)c;
    NAME(pixels_of_tile) p = {.zeros = zeros, .apart = c};

    for (int t = 0; t < count; t++, v += c, next_tile(&tile)) {
        bool within = false;

        NAME(find_pixels)(&tile, 4, -1, x, &p);
        within = p.there[0] && p.there[3];
        for (int q = 0; q < c; q += NAME(lanes)) {
            if (within && q + NAME(lanes) <= c) {
                NAME(transform_within)(&p, q, apart, v + q);
            } else {
                NAME(transform_border)(&p, q, c - q, apart, v + q);
            }
        }
    }
}

/* D of `count` tiles, of some channels */
TARGET static void NAME(transform_delta)(tile_place tile, int count, nl_channels channels,
                                         const real *delta, const real *zeros, real *D)
{
    const size_t O = (size_t)NAME(padded)(channels.count);
    const size_t apart = (size_t)count * O;
    NAME(pixels_of_tile) p = {.zeros = zeros, .apart = tile.shape.channels};

    for (int t = 0; t < count; t++, D += O, next_tile(&tile)) {
        NAME(find_pixels)(&tile, 2, 0, delta, &p);
        for (int k = 0; k < channels.count; k += NAME(lanes)) {
            const int some = channels.count - k;
            NAME(vector) y[4];
            real *to = D + k;

#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                y[i] = NAME(pixel)(&p, i / 2, i % 2, channels.first + k, some);
            }
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, to += 4 * apart) { /* rows of A: 10, 11, 1-1, 0-1 */
                const NAME(vector) left = i == 0   ? y[0]
                                          : i == 1 ? y[0] + y[2]
                                          : i == 2 ? y[0] - y[2]
                                                   : -y[2];
                const NAME(vector) right = i == 0   ? y[1]
                                           : i == 1 ? y[1] + y[3]
                                           : i == 2 ? y[1] - y[3]
                                                    : -y[3];
                const NAME(vector) row[4] = {left, left + right, left - right, -right};

                memcpy(to, &row[0], sizeof row[0]);
                memcpy(to + apart, &row[1], sizeof row[0]);
                memcpy(to + 2 * apart, &row[2], sizeof row[0]);
                memcpy(to + 3 * apart, &row[3], sizeof row[0]);
            }
        }
    }
}

/* out = G in of three vectors to four */
INLINE void NAME(weight_side)(size_t in_apart, const NAME(vector) *in, size_t apart,
                              NAME(vector) *out)
{
    const NAME(vector) ends = in[0] + in[2 * in_apart];

    out[0] = in[0];
    out[apart] = (ends + in[in_apart]) * (real)0.5;
    out[2 * apart] = (ends - in[in_apart]) * (real)0.5;
    out[3 * apart] = in[2 * in_apart];
}

/* U of w [3 x 3 x c x o]: block by block of vectors of channels, entry by entry, [c x channels of
 * the block] */
TARGET static void NAME(transform_weights)(int c, int o, const real *w, real *U)
{
    const int O = NAME(padded)(o);
    const size_t tap = (size_t)c * (size_t)o;
    int here = 0;

    for (int first = 0; first < O; first += here, U += 16 * (size_t)c * (size_t)here) {
        here = NAME(block_channels)(O, first);
        for (int q = 0; q < c; q++) {
            for (int k = 0; k < here; k += NAME(lanes)) {
                const int some = o - first - k;
                NAME(vector) g[9];
                NAME(vector) rows[12];
                NAME(vector) u[16];

                for (int i = 0; i < 9; i++) {
                    g[i] = NAME(load_some)(w + (size_t)i * tap + (size_t)q * (size_t)o + first + k,
                                           some);
                }
                for (int i = 0; i < 3; i++) {
                    NAME(weight_side)(3, g + i, 3, rows + i);
                }
                for (int i = 0; i < 4; i++) {
                    NAME(weight_side)(1, rows + (ptrdiff_t)3 * i, 1, u + (ptrdiff_t)4 * i);
                }
                for (int i = 0; i < 16; i++) {
                    memcpy(U + ((size_t)i * (size_t)c + (size_t)q) * (size_t)here + k, &u[i],
                           sizeof u[i]);
                }
            }
        }
    }
}

/* Where the results of a tile go: those of one vector of channels. */
typedef struct NAME(tile_results) {
    const NAME(ending) *ending;
    real *z;                    /* of the sample */
    size_t at;                  /* of the first one */
    size_t row, column;         /* elements to the next ones */
    int channel, some;          /* first channel, and how many there are from it on */
    bool two_rows, two_columns; /* else the image ends */
} NAME(tile_results);

TARGET static __attribute__((noinline)) void NAME(finish_border)(const NAME(tile_results) *to,
                                                                 const NAME(vector) *y)
{
    for (int i = 0; i < 4; i++) {
        if ((i < 2 || to->two_rows) && (i % 2 == 0 || to->two_columns)) {
            NAME(finish)
            (to->ending, y[i], to->channel, to->some,
             to->at + (size_t)(i / 2) * to->row + (size_t)(i % 2) * to->column, to->z);
        }
    }
}

/* Of whole vectors of a whole tile. */
INLINE void NAME(finish_within)(const NAME(tile_results) *to, NAME(vector) *y)
{
    const size_t at[4] = {to->at, to->at + to->column, to->at + to->row,
                          to->at + to->row + to->column};

    NAME(finish_vectors)(to->ending, 4, y, 1, to->channel, at, to->z);
}

/* y = A^T M A of one vector of channels, the entries of M `apart` elements apart */
INLINE void NAME(tile_outputs)(const real *m, size_t apart, NAME(vector) *y)
{
    NAME(vector) x[16];
    NAME(vector) side[8];

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        x[i] = NAME(load)(m + (size_t)i * apart);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        side[i] = x[i] + x[4 + i] + x[8 + i];
        side[4 + i] = x[4 + i] - x[8 + i] - x[12 + i];
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const NAME(vector) *r = side + (ptrdiff_t)4 * i;

        y[(ptrdiff_t)2 * i] = r[0] + r[1] + r[2];
        y[(ptrdiff_t)2 * i + 1] = r[1] - r[2] - r[3];
    }
}

/* Results of `count` tiles from M [16 x count x here], channels first .. first + here, into z */
TARGET static void NAME(transform_back)(tile_place tile, int count, nl_channels channels,
                                        const nl_convolving *job, const real *m, real *z)
{
    const nl_shape shape = tile.shape;
    const size_t here = (size_t)channels.count;
    const size_t apart = (size_t)count * here;
    const size_t row = (size_t)shape.width * (size_t)shape.channels;
    const size_t size = (size_t)shape.height * row;
    NAME(ending) e = NAME(ending_of)(job, size, job->scratch, 0);
    NAME(tile_results) to = {.ending = &e, .row = row, .column = (size_t)shape.channels};

    for (int t = 0; t < count; t++, m += here, next_tile(&tile)) {
        const size_t at = (size_t)tile.y * row + (size_t)tile.x * (size_t)shape.channels;

        if (e.mask != NULL) {
            e = NAME(ending_of)(job, size, job->scratch, tile.sample);
        }
        to.two_rows = tile.y + 1 < shape.height;
        to.two_columns = tile.x + 1 < shape.width;
        to.z = z + (size_t)tile.sample * size;
        for (int k = 0; k < channels.count; k += NAME(lanes)) {
            NAME(vector) y[4];

            to.channel = channels.first + k;
            to.some = shape.channels - to.channel;
            to.at = at + (size_t)to.channel;
            NAME(tile_outputs)(m + k, apart, y);
            if (to.two_rows && to.two_columns && to.some >= NAME(lanes)) {
                NAME(finish_within)(&to, y);
            } else {
                NAME(finish_border)(&to, y);
            }
        }
    }
}

/* A product of one entry: M [count x here] = V [count x c] U [c x here], or of a gradient. */
static NAME(correlation) NAME(product)(int count, int c, int channels)
{
    return (NAME(correlation)){
        .height = 1, .width = count, .kernel = 1, .stride = 1, .in = c, .out = channels};
}

/* z [samples x to] = x [samples x from] * w */
static void NAME(convolve_tiles)(const passage *p, const nl_convolving *job, const real *x, real *z)
{
    const int tiles = job->samples * tiles_of(p->from);
    const int c = p->from.channels;
    const int O = NAME(padded)(p->to.channels);
    const real *U = job->packed;
    real *shift = job->scratch; /* where transform_back() looks for it */
    real *zeros = shift + O;
    real *V = zeros + 4 * (size_t)NAME(padded)(c);
    const int at_once = tiles_at_once(c, p->to.channels);
    real *M = V + 16 * (size_t)at_once * (size_t)c;
    int here = 0;

    NAME(prepare_shift)(&job->ending, p->to.channels, shift);
    memset(zeros, 0, 4 * (size_t)c * sizeof *zeros);
    for (int first = 0; first < tiles; first += at_once) {
        const int count = nl_smaller(at_once, tiles - first);

        NAME(transform_below)(place_of_tile(p->from, first), count, x, zeros, V);
        for (int k = 0; k < O; k += here) {
            here = NAME(block_channels)(O, k);
            NAME(correlation) t = NAME(product)(count, c, here);

            for (int e = 0; e < 16; e++) {
                t.x = V + (size_t)e * (size_t)count * (size_t)c;
                t.w = U + 16 * (size_t)c * (size_t)k + (size_t)e * (size_t)c * (size_t)here;
                t.z = M + (size_t)e * (size_t)count * (size_t)here;
                NAME(correlate)(&t);
            }
            NAME(transform_back)
            (place_of_tile(p->to, first), count, (nl_channels){k, here}, job, M, z);
        }
    }
}

/* g [9 x c x count] = G^T S G of S [16 x c x O] */
TARGET static void NAME(transform_gradient)(int c, int count, const real *S, real *g)
{
    const size_t O = (size_t)NAME(padded)(count);
    const size_t entry = (size_t)c * O;

    for (int q = 0; q < c; q++, S += O, g += count) {
        for (int k = 0; k < count; k += NAME(lanes)) {
            NAME(vector) s[16];
            NAME(vector) rows[12];

            for (int i = 0; i < 16; i++) {
                s[i] = NAME(load)(S + (size_t)i * entry + k);
            }
            for (int i = 0; i < 4; i++) {
                const NAME(vector) plus = (s[4 + i] + s[8 + i]) * (real)0.5;

                rows[i] = s[i] + plus;
                rows[4 + i] = (s[4 + i] - s[8 + i]) * (real)0.5;
                rows[8 + i] = plus + s[12 + i];
            }
            for (int i = 0; i < 3; i++) {
                const NAME(vector) *r = rows + (ptrdiff_t)4 * i;
                const NAME(vector) plus = (r[1] + r[2]) * (real)0.5;
                real *to = g + (size_t)(3 * i) * (size_t)c * (size_t)count + k;

                NAME(store_some)(r[0] + plus, count - k, to);
                NAME(store_some)((r[1] - r[2]) * (real)0.5, count - k,
                                 to + (size_t)c * (size_t)count);
                NAME(store_some)(plus + r[3], count - k, to + 2 * (size_t)c * (size_t)count);
            }
        }
    }
}

/* S += V^T D of some tiles, V and D at hand */
static void NAME(add_tiles)(int count, int c, int channels, const real *V, const real *D, real *S)
{
    const size_t O = (size_t)NAME(padded)(channels);
    NAME(correlation) t = NAME(product)(count, c, channels);

    for (int e = 0; e < 16; e++) {
        t.x = V + (size_t)e * (size_t)count * (size_t)c;
        NAME(add_gradient)(&t, D + (size_t)e * (size_t)count * O, S + (size_t)e * (size_t)c * O);
    }
}

/* As gradients() of convolution_real.h. */
static void NAME(tile_gradients)(const nl_convolution *v, const nl_gradient_range *range,
                                 const real *x, const real *delta, real *g, real *scratch)
{
    const int c = v->in.channels;
    const size_t O = (size_t)NAME(padded)(range->channels.count);
    const size_t size = 16 * (size_t)c * O;
    const int widest = nl_larger(c, v->out.channels);
    real *zeros = scratch;
    real *sums = zeros + 4 * (size_t)NAME(padded)(widest);
    real *S = sums + O;
    real *V = S + size;
    real *to_sums = range->sums;
    const int at_once = tiles_at_once(c, v->out.channels);
    real *D = V + 16 * (size_t)at_once * (size_t)c;
    const int together = range->apart == 0 && range->deltas == 1 ? range->samples : 1;
    const int tiles = together * tiles_of(v->in);

    memset(zeros, 0, 4 * (size_t)widest * sizeof *zeros);
    memset(sums, 0, (size + O) * sizeof *S);
    for (int i = 0; i < range->samples; i += together) {
        for (int a = 0; a < range->deltas; a++) {
            for (int first = 0; first < tiles; first += at_once) {
                const int count = nl_smaller(at_once, tiles - first);

                if (a == 0 || tiles > at_once) { /* else V is there */
                    NAME(transform_below)(place_of_tile(v->in, first), count, x, zeros, V);
                }
                NAME(transform_delta)
                (place_of_tile(v->out, first), count, range->channels, delta, zeros, D);
                NAME(add_tiles)(count, c, range->channels.count, V, D, S);
                NAME(add_pixels)
                ((size_t)count, (int)O, D + 5 * (size_t)count * O, sums); /* y's sums */
            }
            delta += (size_t)together * (size_t)nl_shape_size(v->out);
            if (range->apart > 0) {
                NAME(transform_gradient)(c, range->channels.count, S, g);
                memcpy(to_sums, sums, (size_t)range->channels.count * sizeof *sums);
                memset(sums, 0, (size + O) * sizeof *S);
                g += range->apart;
                to_sums += range->apart;
            }
        }
        x += (size_t)together * (size_t)nl_shape_size(v->in);
    }
    if (range->apart == 0) {
        NAME(transform_gradient)(c, range->channels.count, S, g);
        memcpy(to_sums, sums, (size_t)range->channels.count * sizeof *sums);
    }
}

static void NAME(packed)(const nl_convolution *v, nl_way_through way, const void *w, void *packed,
                         void *scratch)
{
    const passage p = passage_of(v, way);
    const real *from = w;

    if (way == NL_BACKWARD) {
        NAME(turn)(v, w, scratch);
        from = scratch;
    }
    if (goes_in_tiles(v)) {
        NAME(transform_weights)(p.from.channels, p.to.channels, from, packed);
    } else {
        NAME(pack)(p.kernel * p.kernel * p.from.channels, p.to.channels, from, packed);
    }
}

static void NAME(pass)(const nl_convolution *v, const nl_convolving *job, const void *from,
                       void *to)
{
    const passage p = passage_of(v, job->way);

    if (goes_in_tiles(v)) {
        NAME(convolve_tiles)(&p, job, from, to);
    } else {
        NAME(convolve)(&p, job, from, to);
    }
}

static void NAME(gradients)(const nl_convolution *v, const nl_gradient_range *range, const void *x,
                            const void *delta, void *g, void *scratch)
{
    if (goes_in_tiles(v)) {
        NAME(tile_gradients)(v, range, x, delta, g, scratch);
    } else {
        NAME(direct_gradients)(v, range, x, delta, g, scratch);
    }
}
