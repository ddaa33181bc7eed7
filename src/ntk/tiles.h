/** @file tiles.h  The tiles of a kernel's lower half.  Local. */
#ifndef NTKLENS_NTK_TILES_H
#define NTKLENS_NTK_TILES_H

/** Rows of a tile: large enough for GEMM to run at speed, small enough for the tile and its Gram to
 *  stay in cache. */
enum { nl_tile_rows = 640 };

/** What is walked over.  Borrowed. */
typedef struct nl_tile_walk {
    const int *rows, *cols; /* samples [m], [n], in rising order */
    int m, n;
    int unit; /* matrix rows of a sample */
} nl_tile_walk;

/** The tile of the row samples i .. i + m and column samples j .. j + n of the lists. */
typedef void nl_tile_place_fn(int i, int m, int j, int n, void *context);

/** Tiles on and below the diagonal, those over a column from top to bottom.  What straddles the
 *  diagonal is cut down to small tiles, so that little above it is made. */
void nl_for_each_lower_tile(const nl_tile_walk *walk, nl_tile_place_fn *make, void *context);

#endif
