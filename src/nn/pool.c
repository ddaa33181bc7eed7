/** @file pool.c  Pools of square windows side by side. */
#include "pool.h"

#include <string.h>

nl_shape nl_pool_shape(nl_shape in, int side)
{
    return (nl_shape){
        .height = in.height / side, .width = in.width / side, .channels = in.channels};
}

static size_t windows_of(nl_shape in, int side, int samples)
{
    const nl_shape out = nl_pool_shape(in, side);

    return (size_t)samples * (size_t)out.height * (size_t)out.width;
}

#define TEMPLATE "nn/pool_real.h"
#include "ntklens/formats.h"
