/** @file skip.c  Phi alone, and sums of a branch and a skip. */
#include "skip.h"

#include <string.h>

#define TEMPLATE "nn/skip_real.h"
#include "ntklens/formats.h"

#define OPS(kind, format)                                                                          \
    {                                                                                              \
        .forward = kind##_##format, .backward = kind##_back_##format,                              \
        .tangent = kind##_tangent_##format,                                                        \
    }

const nl_layer_ops nl_apply_ops = {.by_sample = {OPS(apply, double), OPS(apply, single)}};
const nl_layer_ops nl_add_ops = {.by_sample = {OPS(add, double), OPS(add, single)}};
