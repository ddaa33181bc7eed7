/** @file convolution.c  Convolution by its definition. */
#include "convolution.h"

#include <string.h>

/** One product of the sum: where it takes and gives. */
typedef struct term {
    size_t x, w, z;
} term;

typedef void visit_term(term at, void *context);

/* All products: sample, row, column, output channel, tap row, tap column, input channel. */
static void for_each_term(const reference_convolution *s, int samples, visit_term *visit,
                          void *context)
{
    const int pad = s->kernel / 2;

    for (int i = 0; i < samples; i++) {
        for (int y = 0; y < s->out.height; y++) {
            for (int x = 0; x < s->out.width; x++) {
                for (int o = 0; o < s->out.channels; o++) {
                    for (int ky = 0; ky < s->kernel; ky++) {
                        for (int kx = 0; kx < s->kernel; kx++) {
                            for (int c = 0; c < s->in.channels; c++) {
                                const int row = y * s->stride + ky - pad;
                                const int col = x * s->stride + kx - pad;
                                const int tap = ky * s->kernel + kx;

                                if (row < 0 || row >= s->in.height || col < 0 ||
                                    col >= s->in.width) {
                                    continue;
                                }
                                visit(
                                    (term){
                                        .x = (size_t)(((i * s->in.height + row) * s->in.width +
                                                       col) *
                                                          s->in.channels +
                                                      c),
                                        .w = (size_t)((tap * s->in.channels + c) * s->out.channels +
                                                      o),
                                        .z = (size_t)(((i * s->out.height + y) * s->out.width + x) *
                                                          s->out.channels +
                                                      o)},
                                    context);
                            }
                        }
                    }
                }
            }
        }
    }
}

typedef struct arrays {
    const double *w, *x, *delta;
    double *z, *below, *g;
} arrays;

static void add_forward(term at, void *context)
{
    const arrays *a = context;

    a->z[at.z] += a->w[at.w] * a->x[at.x];
}

static void add_back(term at, void *context)
{
    const arrays *a = context;

    a->below[at.x] += a->w[at.w] * a->delta[at.z];
    a->g[at.w] += a->x[at.x] * a->delta[at.z];
}

static size_t size_of(int samples, nl_shape shape)
{
    return (size_t)samples * (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;
}

void reference_convolve(const reference_convolution *s, int samples, const double *w,
                        const double *x, double *z)
{
    arrays a = {.w = w, .x = x, .z = z};

    memset(z, 0, size_of(samples, s->out) * sizeof *z);
    for_each_term(s, samples, add_forward, &a);
}

void reference_convolve_back(const reference_convolution *s, int samples, const double *w,
                             const double *x, const double *delta, double *below, double *g)
{
    const size_t taps = (size_t)s->kernel * (size_t)s->kernel;
    arrays a = {.w = w, .x = x, .delta = delta, .below = below, .g = g};

    memset(below, 0, size_of(samples, s->in) * sizeof *below);
    memset(g, 0, taps * (size_t)s->in.channels * (size_t)s->out.channels * sizeof *g);
    for_each_term(s, samples, add_back, &a);
}
