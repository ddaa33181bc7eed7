/**
 * @file convolution.c  Convolution, compiled for each width of vectors.
 *
 * Compilers that are given wider vectors than the CPU has keep them in memory, at a hundredth of
 * the speed; hence a copy of the code for each width.
 */
#include "convolution.h"

#include <string.h>

/* Into what has a TARGET.  clang refuses wide vectors as arguments of what has none of its own. */
#ifdef __clang__
#define INLINE TARGET static inline __attribute__((always_inline))
#else
#define INLINE static inline __attribute__((always_inline))
#endif

/** From samples to samples: forward, or backward. */
typedef struct passage {
    nl_shape from, to;
    int kernel;
    int stride; /* of taps */
    int apart;  /* pixels that are taken, zeros between */
} passage;

static passage passage_of(const nl_convolution *v, nl_way_through way)
{
    return way == NL_FORWARD ? (passage){v->in, v->out, v->kernel, v->stride, 1}
                             : (passage){v->out, v->in, v->kernel, 1, v->stride};
}

/* Tiles whose transforms the caches hold, more where weights fill them: whole blocks of pixels. */
static int tiles_at_once(int in, int out)
{
    const int block = 14;
    const int channels = nl_larger(in, out);

    return channels <= 32 ? 2 * block : channels <= 128 ? 5 * block : 8 * block;
}

/* Tiles of 2 x 2 outputs of a sample. */
static int tiles_of(nl_shape shape)
{
    return (shape.height + 1) / 2 * ((shape.width + 1) / 2);
}

/** Where a tile of many samples is, one behind the other. */
typedef struct tile_place {
    nl_shape shape; /* of a sample */
    int sample, y, x;
} tile_place;

static tile_place place_of_tile(nl_shape shape, int tile)
{
    const int across = (shape.width + 1) / 2;
    const int of_sample = tile % tiles_of(shape);

    return (tile_place){shape, tile / tiles_of(shape), of_sample / across * 2,
                        of_sample % across * 2};
}

static void next_tile(tile_place *tile)
{
    tile->x += 2;
    if (tile->x >= tile->shape.width) {
        tile->x = 0;
        tile->y += 2;
    }
    if (tile->y >= tile->shape.height) {
        tile->y = 0;
        tile->sample++;
    }
}

/* Whether tiles save enough multiplications to pay for their transforms. */
static bool goes_in_tiles(const nl_convolution *v)
{
    const int fewest_channels = 16;

    return v->kernel == 3 && v->stride == 1 && v->in.channels >= fewest_channels &&
           v->out.channels >= fewest_channels &&
           16 * tiles_of(v->out) * 3 <= 9 * v->out.height * v->out.width * 2;
}

/* A block of pixels or inputs is code of its own for each count of them. */
#define EACH_COUNT(BLOCK)                                                                          \
    BLOCK(1);                                                                                      \
    BLOCK(2);                                                                                      \
    BLOCK(3);                                                                                      \
    BLOCK(4);                                                                                      \
    BLOCK(5);                                                                                      \
    BLOCK(6);                                                                                      \
    BLOCK(7);                                                                                      \
    BLOCK(8);                                                                                      \
    BLOCK(9);                                                                                      \
    BLOCK(10);                                                                                     \
    BLOCK(11);                                                                                     \
    BLOCK(12);                                                                                     \
    BLOCK(13);                                                                                     \
    BLOCK(14);

/* Each format, in vectors of each width: what a name is made of. */
#define JOIN(name, format, bytes)    name##_##format##_##bytes
#define NAME_OF(name, format, bytes) JOIN(name, format, bytes)
#define NAME(name)                   NAME_OF(name, real, vector_bytes)

#define real double
#include "convolution_widths.h"
#undef real

#define real float
#include "convolution_widths.h"
#undef real

typedef void packing(const nl_convolution *convolution, nl_way_through way, const void *w,
                     void *packed, void *scratch);

typedef void passing(const nl_convolution *convolution, const nl_convolving *job, const void *from,
                     void *to);

typedef void gradients(const nl_convolution *convolution, const nl_gradient_range *range,
                       const void *x, const void *delta, void *g, void *scratch);

/** By precision. */
typedef struct convolution_code {
    packing *pack[2];
    passing *pass[2];
    gradients *gradient[2];
} convolution_code;

#define CODE(bytes)                                                                                \
    {                                                                                              \
        .pack = {packed_double_##bytes, packed_float_##bytes},                                     \
        .pass = {pass_double_##bytes, pass_float_##bytes},                                         \
        .gradient = {gradients_double_##bytes, gradients_float_##bytes},                           \
    }

static const convolution_code *code_for(const nl_convolution *convolution)
{
    static const convolution_code narrowest = CODE(16);
#ifdef VECTOR_TARGETS
    static const convolution_code avx2 = CODE(32);
    static const convolution_code avx512 = CODE(64);

    if (convolution->vector_bytes >= 32) {
        return convolution->vector_bytes >= 64 ? &avx512 : &avx2;
    }
#endif
    (void)convolution;
    return &narrowest;
}

static int steps(int length, int kernel, int stride)
{
    return (length + 2 * (kernel / 2) - kernel) / stride + 1;
}

nl_convolution nl_convolution_of(nl_shape in, int channels, int kernel, int stride,
                                 int vector_bytes)
{
    return (nl_convolution){.in = in,
                            .out = {.height = steps(in.height, kernel, stride),
                                    .width = steps(in.width, kernel, stride),
                                    .channels = channels},
                            .kernel = kernel,
                            .stride = stride,
                            .vector_bytes = vector_bytes};
}

enum { most_lanes = 16, entries = 16 /* of a tile */ };

static size_t taps_of(const nl_convolution *v)
{
    return (size_t)v->kernel * (size_t)v->kernel;
}

size_t nl_convolution_packed(const nl_convolution *convolution)
{
    return (goes_in_tiles(convolution) ? entries : taps_of(convolution)) *
           (size_t)(convolution->in.channels + most_lanes) *
           (size_t)(convolution->out.channels + most_lanes);
}

size_t nl_convolution_scratch(const nl_convolution *convolution)
{
    const size_t pixels = (size_t)(convolution->in.height + convolution->kernel - 1) *
                          (size_t)(convolution->in.width + convolution->kernel - 1);
    const size_t in = (size_t)convolution->in.channels + most_lanes;
    const size_t out = (size_t)convolution->out.channels + most_lanes;
    const size_t both = in + out + (size_t)3 * most_lanes;
    const size_t tiles = (size_t)tiles_at_once(convolution->in.channels, convolution->out.channels);

    /* samples or their tiles, and gradients; or the weights before they are packed */
    return (goes_in_tiles(convolution) ? (entries * tiles + 4) * both : pixels * both) + both +
           nl_convolution_packed(convolution);
}

void nl_convolution_pack_double(const nl_convolution *convolution, nl_way_through way,
                                const double *w, double *packed, double *scratch)
{
    code_for(convolution)->pack[0](convolution, way, w, packed, scratch);
}

void nl_convolution_pack_single(const nl_convolution *convolution, nl_way_through way,
                                const float *w, float *packed, float *scratch)
{
    code_for(convolution)->pack[1](convolution, way, w, packed, scratch);
}

void nl_convolution_pass_double(const nl_convolution *convolution, const nl_convolving *job,
                                const double *from, double *to)
{
    code_for(convolution)->pass[0](convolution, job, from, to);
}

void nl_convolution_pass_single(const nl_convolution *convolution, const nl_convolving *job,
                                const float *from, float *to)
{
    code_for(convolution)->pass[1](convolution, job, from, to);
}

void nl_convolution_gradient_double(const nl_convolution *convolution,
                                    const nl_gradient_range *range, const double *x,
                                    const double *delta, double *g, double *scratch)
{
    code_for(convolution)->gradient[0](convolution, range, x, delta, g, scratch);
}

void nl_convolution_gradient_single(const nl_convolution *convolution,
                                    const nl_gradient_range *range, const float *x,
                                    const float *delta, float *g, float *scratch)
{
    code_for(convolution)->gradient[1](convolution, range, x, delta, g, scratch);
}
