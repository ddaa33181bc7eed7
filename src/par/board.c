/** @file board.c  Which cores of a node have nothing to do, and which training they are lent to. */
#include "ntklens/board.h"

#include "cores.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const double look_seconds = 5e-3;
static const double clearly = 1.5; /* more work by core, for which a core changes hands */

enum { cache_line = 64, nobody = 0, most_at_random = 5 };

/** What a rank tells the others. */
typedef struct rank_line {
    _Alignas(cache_line) atomic_bool resting;
    atomic_int cores, most; /* that it works on, and could */
    _Atomic double left;    /* operations; 0: it wants no cores */
} rank_line;

/** A core that may be lent. */
typedef struct seat_line {
    _Alignas(cache_line) atomic_int borrower; /* its rank + 1; nobody */
    _Atomic double lent;                      /* seconds, of loans that are over */
} seat_line;

/** Whose core a seat is. */
typedef struct seat_info {
    int owner; /* rank; -1: nobody's */
    int group;
} seat_info;

/** A core that this rank has borrowed. */
typedef struct loan {
    int seat; /* -1: none */
    double since;
} loan;

struct nl_board {
    int rank, ranks; /* of the node */
    double quota;
    nl_core_group *group; /* owned; [groups] */
    int groups;
    seat_info *seat; /* owned; [seats] first those of the ranks, in order */
    int seats;
    nl_node_memory shared;      /* owned */
    rank_line *line;            /* [ranks], shared */
    seat_line *core;            /* [seats], shared */
    loan loan[nl_most_of_crew]; /* by the thread that works there */
    double borrowed;            /* seconds, of loans that are over */
    bool random;
    nl_rng rng; /* of that */
};

/*---------------------------------------------------------------------------------------------
 * Creation
 *-------------------------------------------------------------------------------------------*/

static int spare_cores(const nl_core_group *group)
{
    return nl_larger(group->cores - group->ranks, 0);
}

/* A seat for each rank, then one for each core of a group that has more than ranks. */
static void list_seats(nl_board *board, const int *group_of)
{
    int next = board->ranks;

    for (int rank = 0; rank < board->ranks; rank++) {
        board->seat[rank] = (seat_info){.owner = rank, .group = group_of[rank]};
    }
    for (int g = 0; g < board->groups; g++) {
        for (int k = spare_cores(&board->group[g]); k > 0; k--) {
            board->seat[next++] = (seat_info){.owner = -1, .group = g};
        }
    }
}

/* Who sits where.  Collective over the node. */
static nl_status find_cores(const nl_team *team, nl_board *board)
{
    int *group_of = nl_calloc((size_t)team->node_size, sizeof *group_of);
    nl_status status = NL_OK;

    board->group = nl_calloc((size_t)team->node_size, sizeof *board->group);
    if (board->group == NULL || group_of == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the cores of a node");
    }
    status = nl_agree(team->node, status);
    if (status == NL_OK) {
        nl_core_groups(team, board->group, &board->groups, group_of);
        board->seats = board->ranks;
        for (int g = 0; g < board->groups; g++) {
            board->seats += spare_cores(&board->group[g]);
        }
        board->seat = nl_calloc((size_t)board->seats, sizeof *board->seat);
        if (board->seat != NULL) {
            list_seats(board, group_of);
        } else {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the cores of a node");
        }
    }
    free(group_of);
    return nl_agree(team->node, status);
}

/* Collective over the node. */
static nl_status share(const nl_team *team, nl_board *board)
{
    const size_t lines = (size_t)board->ranks * sizeof *board->line;
    const nl_status status =
        nl_node_memory_create(team, lines + (size_t)board->seats * sizeof *board->core,
                              "the cores of a node", &board->shared);
    const nl_status worst = nl_agree(team->node, status);

    if (worst == NL_OK) {
        board->line = board->shared.bytes;
        board->core = (seat_line *)(void *)((char *)board->shared.bytes + lines);
        if (board->rank == 0) {
            memset(board->shared.bytes, 0, lines + (size_t)board->seats * sizeof *board->core);
        }
        nl_node_memory_fence(&board->shared);
    }
    return worst;
}

nl_status nl_board_create(const nl_team *team, double quota, nl_board **out)
{
    const char *random = getenv("NTKLENS_TEST_CREW");
    nl_board *board = nl_calloc(1, sizeof *board);
    nl_status status = NL_OK;

    *out = board;
    if (board == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the cores of a node");
    }
    status = nl_agree(team->node, status);
    if (status == NL_OK) {
        board->rank = team->node_rank;
        board->ranks = team->node_size;
        board->quota = quota;
        board->random = random != NULL;
        board->rng = nl_rng_open((uint32_t)team->rank, NL_PURPOSE_SELF_TEST, 0, 0, 0);
        for (int k = 0; k < nl_most_of_crew; k++) {
            board->loan[k].seat = -1;
        }
        status = find_cores(team, board);
    }
    if (status == NL_OK) {
        status = share(team, board);
    }
    status = nl_agree(team->comm, status);
    if (status != NL_OK) {
        nl_board_destroy(out);
    }
    return status;
}

void nl_board_destroy(nl_board **board)
{
    if (*board != NULL) {
        nl_node_memory_free(&(*board)->shared);
        free((*board)->group);
        free((*board)->seat);
        free(*board);
        *board = NULL;
    }
}

/*---------------------------------------------------------------------------------------------
 * What is free
 *-------------------------------------------------------------------------------------------*/

static bool is_resting(const nl_board *board, int rank)
{
    return atomic_load(&board->line[rank].resting);
}

/* Cores of a group, or (-1) of all, that somebody works on. */
static int busy_cores(const nl_board *board, int group)
{
    int busy = 0;

    for (int k = 0; k < board->seats; k++) {
        const int owner = board->seat[k].owner;

        if (group < 0 || board->seat[k].group == group) {
            busy += owner >= 0 && !is_resting(board, owner);
            busy += atomic_load(&board->core[k].borrower) != nobody;
        }
    }
    return busy;
}

/* What may still be lent; below 0: too much is. */
static int free_cores(const nl_board *board, int group)
{
    const int of_group = board->group[group].cores - busy_cores(board, group);
    const double of_all = floor(board->quota) - busy_cores(board, -1);

    return of_all < of_group ? (int)of_all : of_group;
}

static bool is_free(const nl_board *board, int seat)
{
    const int owner = board->seat[seat].owner;

    return atomic_load(&board->core[seat].borrower) == nobody &&
           (owner < 0 || is_resting(board, owner)) &&
           free_cores(board, board->seat[seat].group) > 0;
}

/*---------------------------------------------------------------------------------------------
 * Loans
 *-------------------------------------------------------------------------------------------*/

static void set_cores(nl_board *board, const nl_crew *crew)
{
    atomic_store(&board->line[board->rank].cores, nl_crew_size(crew));
}

static bool borrow(nl_board *board, nl_crew *crew, int seat)
{
    int expected = nobody;
    int worker = -1;

    if (!atomic_compare_exchange_strong(&board->core[seat].borrower, &expected, board->rank + 1)) {
        return false;
    }
    worker = nl_crew_hire(crew, &board->group[board->seat[seat].group].mask);
    if (worker < 0) {
        atomic_store(&board->core[seat].borrower, nobody);
        return false;
    }
    board->loan[worker] = (loan){.seat = seat, .since = nl_now()};
    set_cores(board, crew);
    return true;
}

static void give_back(nl_board *board, nl_crew *crew, int worker)
{
    loan *over = &board->loan[worker];
    seat_line *core = &board->core[over->seat];
    const double seconds = nl_now() - over->since;

    nl_crew_dismiss(crew, worker);
    board->borrowed += seconds;
    atomic_store(&core->lent, atomic_load(&core->lent) + seconds); /* the borrower's alone */
    atomic_store(&core->borrower, nobody);
    over->seat = -1;
    set_cores(board, crew);
}

/* Its rank has work again, or too many of its group are lent, or all want less. */
static bool is_wanted_back(const nl_board *board, const nl_crew *crew, int seat)
{
    const int owner = board->seat[seat].owner;

    return (owner >= 0 && !is_resting(board, owner)) ||
           free_cores(board, board->seat[seat].group) < 0 ||
           nl_crew_size(crew) > atomic_load(&board->line[board->rank].most);
}

static double left_by_core(const nl_board *board, int rank, int cores)
{
    return atomic_load(&board->line[rank].left) / nl_larger(cores, 1);
}

/* The rank that deserves a core most, itself: -1, nobody. */
static int most_deserving(const nl_board *board)
{
    int best = -1;
    double most = 0.0;

    for (int rank = 0; rank < board->ranks; rank++) {
        const int cores = atomic_load(&board->line[rank].cores);
        const double left = left_by_core(board, rank, cores);

        if (cores < atomic_load(&board->line[rank].most) && left > most) {
            most = left;
            best = rank;
        }
    }
    return best;
}

/* Has this rank a core too many, compared with the one that deserves most? */
static bool has_too_many(const nl_board *board, const nl_crew *crew, int best)
{
    const int cores = nl_crew_size(crew);

    return best >= 0 && best != board->rank && cores > 1 &&
           left_by_core(board, best, atomic_load(&board->line[best].cores)) >
               clearly * left_by_core(board, board->rank, cores - 1);
}

static bool borrow_any(nl_board *board, nl_crew *crew)
{
    for (int k = 0; k < board->seats; k++) {
        if (is_free(board, k) && borrow(board, crew, k)) {
            return true;
        }
    }
    return false;
}

static bool any_free(const nl_board *board)
{
    for (int k = 0; k < board->seats; k++) {
        if (is_free(board, k)) {
            return true;
        }
    }
    return false;
}

/* Tests: somebody comes or goes, whatever there is to be had. */
static void come_and_go(nl_board *board, nl_crew *crew)
{
    const int worker = 1 + (int)nl_rng_below(&board->rng, most_at_random - 1);

    if (board->loan[worker].seat >= 0) {
        nl_crew_dismiss(crew, worker);
        board->loan[worker].seat = -1;
    } else {
        const int hired = nl_crew_hire(crew, NULL);

        if (hired > 0) {
            board->loan[hired].seat = 0;
        }
    }
}

void nl_board_look(void *context, nl_crew *crew)
{
    nl_board *board = context;
    const int best = most_deserving(board);
    int last = -1;

    if (board->random) {
        come_and_go(board, crew);
        return;
    }
    for (int worker = 1; worker < nl_most_of_crew; worker++) {
        if (board->loan[worker].seat >= 0) {
            last = worker;
            if (is_wanted_back(board, crew, board->loan[worker].seat)) {
                give_back(board, crew, worker);
                last = -1;
            }
        }
    }
    if (best == board->rank) {
        (void)borrow_any(board, crew);
    } else if (last > 0 && has_too_many(board, crew, best) && !any_free(board)) {
        give_back(board, crew, last);
    }
}

int nl_board_most(const nl_board *board)
{
    double cores = 0.0;

    for (int g = 0; g < board->groups; g++) {
        cores += board->group[g].cores;
    }
    return board->random ? most_at_random
                         : (int)fmax(1.0, fmin(nl_most_of_crew, fmin(cores, floor(board->quota))));
}

double nl_board_every(const nl_board *board)
{
    return board->random ? 0.0 : look_seconds;
}

void nl_board_give_back(nl_board *board, nl_crew *crew)
{
    for (int worker = 1; worker < nl_most_of_crew; worker++) {
        if (board->loan[worker].seat >= 0 && board->random) {
            nl_crew_dismiss(crew, worker);
            board->loan[worker].seat = -1;
        } else if (board->loan[worker].seat >= 0) {
            give_back(board, crew, worker);
        }
    }
    nl_board_want(board, 0.0, 1);
}

/*---------------------------------------------------------------------------------------------
 * What a rank tells, and is told
 *-------------------------------------------------------------------------------------------*/

void nl_board_rest(nl_board *board, bool resting)
{
    atomic_store(&board->line[board->rank].resting, resting);
}

void nl_board_want(nl_board *board, double operations, int cores)
{
    rank_line *line = &board->line[board->rank];

    atomic_store(&line->left, operations);
    atomic_store(&line->most, nl_smaller(cores, nl_most_of_crew));
}

double nl_board_lent(const nl_board *board)
{
    return atomic_load(&board->core[board->rank].lent);
}

double nl_board_borrowed(const nl_board *board)
{
    const double now = nl_now();
    double borrowed = board->borrowed;

    for (int worker = 1; worker < nl_most_of_crew && !board->random; worker++) {
        borrowed += board->loan[worker].seat >= 0 ? now - board->loan[worker].since : 0.0;
    }
    return borrowed;
}

bool nl_board_is_random(const nl_board *board)
{
    return board->random;
}
