/** @file pool.c  Pools of square windows side by side. */
#include "pool.h"

#include <string.h>

nl_shape nl_pool_shape(nl_shape in, int side)
{
    return (nl_shape){
        .height = in.height / side, .width = in.width / side, .channels = in.channels};
}

/** Rows of windows over some samples. */
typedef struct pool {
    size_t rows;   /* of windows, in all */
    size_t n, c;   /* windows of a row, channels */
    size_t wide;   /* numbers of a row of the image */
    size_t size;   /* of the image */
    size_t height; /* rows of windows of a sample */
    int side;
    bool whole; /* windows fill the image */
} pool;

static pool pool_of(nl_shape in, int side, int samples)
{
    const nl_shape out = nl_pool_shape(in, side);

    return (pool){.rows = (size_t)samples * (size_t)out.height,
                  .n = (size_t)out.width,
                  .c = (size_t)in.channels,
                  .wide = (size_t)in.width * (size_t)in.channels,
                  .size = (size_t)nl_shape_size(in),
                  .height = (size_t)out.height,
                  .side = side,
                  .whole = in.height % side == 0 && in.width % side == 0};
}

/* Where the first window of a row begins. */
static size_t first_of(const pool *p, size_t row)
{
    return row / p->height * p->size + row % p->height * (size_t)p->side * p->wide;
}

#define TEMPLATE "nn/pool_real.h"
#include "ntklens/formats.h"
