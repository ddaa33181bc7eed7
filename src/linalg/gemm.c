/** @file gemm.c  Matrix products as the BLAS at hand makes them quickest.
 *
 * OpenBLAS copies both factors before it multiplies, but for products of up to 10^6 multiplications
 * by its kernels for AVX-512 (kernel/x86_64/dgemm_small_kernel_permit_skylakex.c), which are a
 * fifth to a half faster where the first factor is not transposed and its columns do not share
 * cache lines.  Measured here, one core: 120 instead of 100 GFLOP/s in double, 250 instead of 200
 * to 240 in single precision. */
#include "ntklens/blas.h"
#include "ntklens/linalg.h"

#include <string.h>
#include <strings.h>

enum {
    small_product = 1000000,
    most_rows = 64, /* of a piece; it has up to small_product / (64 * 128) columns */
    most_depth = 128,
    side = 4 /* of squares that are transposed at a time */
};

#define INLINE static inline __attribute__((always_inline))

bool nl_blas_likes_pieces(void)
{
    static const char *const kernels[] = {"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"};

    for (size_t k = 0; k < NL_COUNT(kernels); k++) {
        if (strcasecmp(nl_blas_kernel(), kernels[k]) == 0) {
            return true;
        }
    }
    return false;
}

#define TEMPLATE "linalg/gemm_real.h"
#include "ntklens/formats.h"
