/** @file tile_products.h  What products of tiles need beside their operands. */
#ifndef NTKLENS_NTK_TILE_PRODUCTS_H
#define NTKLENS_NTK_TILE_PRODUCTS_H

#include "ntklens/blas.h"

enum { transposed_depth = 128 }; /* of a factor that is transposed at a time */

typedef struct product_means {
    nl_precision precision;
    bool pieces; /* nl_blas_likes_pieces() */
    void
        *transposed; /* [transposed_depth x nl_leading_dimension() of the largest tile]; borrowed */
} product_means;

#endif
