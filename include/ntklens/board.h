/**
 * @file board.h  Which cores of a node have nothing to do, and which training they are lent to.
 *
 * A board is memory shared by the ranks of a node.  A core is a rank's, while that rank has no
 * work, or nobody's, where ranks may run on more cores than there are ranks.  Whoever borrows one
 * hires a thread for it, and dismisses that as soon as the rank has work again: nobody waits for
 * anybody.
 */
#ifndef NTKLENS_BOARD_H
#define NTKLENS_BOARD_H

#include "ntklens/crew.h"
#include "ntklens/par.h"

/** Opaque.  Of the main thread. */
typedef struct nl_board nl_board;

/**
 * Find out which cores there are: those of ranks with the same affinity are shared by them, and
 * lent if they are nobody else's.  Collective over the node.
 *
 * @param[in] quota  cores' worth of time that the ranks of the node may use, all together
 */
NL_MUST_CHECK nl_status nl_board_create(const nl_team *team, double quota, nl_board **out);

/** Collective over the node; NULL-safe. */
void nl_board_destroy(nl_board **board);

/** This rank has nothing to do from now on, or has again.  Local. */
void nl_board_rest(nl_board *board, bool resting);

/** What this rank could use cores for: operations that are left, and how many cores at most, itself
 * among them.  Local. */
void nl_board_want(nl_board *board, double operations, int cores);

/** nl_crew_look_fn: give back what is wanted elsewhere; borrow what is free, but where another rank
 *  has more left to do by core.  context: the board.  Local. */
void nl_board_look(void *context, nl_crew *crew);

/** Cores that a rank could have at most, its own among them, when all others rest. */
int nl_board_most(const nl_board *board);

/** Seconds between two looks. */
double nl_board_every(const nl_board *board);

/** Give all back, and want nothing more.  Local. */
void nl_board_give_back(nl_board *board, nl_crew *crew);

/** Seconds that this rank's core was lent; that this rank has borrowed cores, added up over them.
 *  Local. */
double nl_board_lent(const nl_board *board);
double nl_board_borrowed(const nl_board *board);

/** Do threads come and go at random, for tests (environment variable NTKLENS_TEST_CREW)? */
bool nl_board_is_random(const nl_board *board);

#endif
