/** @file tiles.c  The tiles of a matrix's lower half. */
#include "ntklens/linalg.h"

enum { smallest_rows = 60 }; /* of a tile that is cut in four */

/** A walk and where it leads. */
typedef struct walker {
    const nl_tile_walk *walk;
    nl_tile_place_fn *make;
    void *context;
} walker;

/* The part on and below the diagonal of a tile.  A tile that straddles it is cut in four, as long
 * as there is enough to be saved; upper parts come first. */
static void make_lower_tile(const walker *w, int i, int m, int j, int n)
{
    const int *rows = w->walk->rows + i;
    const int *cols = w->walk->cols + j;
    const int upper = m / 2;
    const int left = n / 2;

    if (rows[m - 1] < cols[0]) {
        return;
    }
    if (rows[0] >= cols[n - 1] || nl_smaller(upper, left) * w->walk->unit < smallest_rows) {
        w->make(i, m, j, n, w->context);
        return;
    }
    make_lower_tile(w, i, upper, j, left);
    make_lower_tile(w, i + upper, m - upper, j, left);
    make_lower_tile(w, i, upper, j + left, n - left);
    make_lower_tile(w, i + upper, m - upper, j + left, n - left);
}

void nl_for_each_lower_tile(const nl_tile_walk *walk, nl_tile_place_fn *make, void *context)
{
    const walker w = {walk, make, context};
    const int step = nl_larger(nl_tile_rows / walk->unit, 1);

    for (int j = 0; j < walk->n; j += step) {
        for (int i = 0; i < walk->m; i += step) {
            make_lower_tile(&w, i, nl_smaller(step, walk->m - i), j, nl_smaller(step, walk->n - j));
        }
    }
}
