/** @file test_board.c  Cores that are lent: to whom, how many, and back as soon as they are wanted.
 */
#include "../../src/par/cores.h"
#include "ntklens/board.h"

#include "expect.h"

#include <stdlib.h>

enum { looks = 12, most = nl_most_of_crew };

/** The node that the board takes this machine for. */
static struct {
    bool apart; /* each rank may run on one core, which is its own; else all on `cores` */
    int cores;
} node;

/* Instead of the one of the library, which looks at the machine. */
void nl_core_groups(const nl_team *team, nl_core_group *groups, int *count, int *group)
{
    *count = node.apart ? team->node_size : 1;
    for (int rank = 0; rank < team->node_size; rank++) {
        nl_core_group *its = &groups[node.apart ? rank : 0];

        group[rank] = node.apart ? rank : 0;
        sched_getaffinity(0, sizeof its->mask, &its->mask); /* where threads really run */
        its->ranks++;
        its->cores = node.apart ? 1 : node.cores;
    }
}

/** A rank of that node. */
typedef struct subject {
    const nl_team *team;
    nl_board *board;
    nl_crew *crew;
} subject;

static nl_team *world;

static subject open_node(bool apart, int cores, double quota)
{
    subject s = {.team = world};
    nl_status status = NL_OK;

    node.apart = apart;
    node.cores = cores;
    status = nl_board_create(world, quota, &s.board);
    expect_all(world->comm, status == NL_OK);
    status = nl_crew_create(nl_board_every(s.board), nl_board_look, s.board, &s.crew);
    expect_all(world->comm, status == NL_OK);
    return s;
}

static void close_node(subject *s)
{
    nl_board_give_back(s->board, s->crew);
    expect_all(world->comm, nl_crew_size(s->crew) == 1);
    nl_crew_destroy(&s->crew);
    nl_board_destroy(&s->board);
    expect_all(world->comm, s->board == NULL);
}

/* One rank looks while the others wait for it; the cores it works on then, told to all. */
static int look(const subject *s, int rank)
{
    int cores = nl_crew_size(s->crew);

    nl_team_wait(s->team);
    for (int k = 0; k < looks && s->team->rank == rank; k++) {
        nl_board_look(s->board, s->crew);
        cores = nl_crew_size(s->crew);
    }
    MPI_Bcast(&cores, 1, MPI_INT, rank, s->team->comm);
    return cores;
}

static void want(const subject *s, int rank, double operations, int cores)
{
    if (s->team->rank == rank) {
        nl_board_want(s->board, operations, cores);
    }
}

static void rest(const subject *s, int rank, bool resting)
{
    if (s->team->rank == rank) {
        nl_board_rest(s->board, resting);
    }
}

static double sum(double mine)
{
    double all = 0.0;

    MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, MPI_SUM, world->comm);
    return all;
}

/* The same seconds, added up in another order. */
static bool agrees(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void cores_that_no_rank_has_are_borrowed(void **state)
{
    subject s = open_node(false, world->size + 3, 1e3);

    (void)state;
    expect_all(world->comm, look(&s, 0) == 1); /* it wants none */
    want(&s, 0, 1e9, most);
    expect_all(world->comm, look(&s, 0) == 4);
    want(&s, 0, 1e9, 3);
    expect_all(world->comm, look(&s, 0) == 3); /* gives back what it has no use for */
    expect_all(world->comm, sum(nl_board_lent(s.board)) == 0.0); /* no rank's */
    expect_all(world->comm, sum(nl_board_borrowed(s.board)) > 0.0);
    close_node(&s);
}

static void a_quota_counts_all_that_work(void **state)
{
    subject s = open_node(false, world->size + 3, world->size + 1.9);

    (void)state;
    want(&s, 0, 1e9, most);
    expect_all(world->comm, look(&s, 0) == 2);
    close_node(&s);
}

static void a_rank_lends_its_core_while_it_rests(void **state)
{
    const int last = world->size - 1;
    subject s = open_node(true, 0, 1e3);

    (void)state;
    want(&s, 0, 1e9, most);
    for (int turn = 0; turn < 3 && last > 0; turn++) {
        expect_all(world->comm, look(&s, 0) == 1);
        rest(&s, last, true);
        expect_all(world->comm, look(&s, 0) == 2);
        rest(&s, last, false); /* it goes on at once, and gets its core back at the next look */
        expect_all(world->comm, look(&s, 0) == 1);
        expect_all(world->comm,
                   (nl_board_lent(s.board) > 0.0) == (world->rank == last)); /* whose core it was */
        expect_all(world->comm,
                   agrees(sum(nl_board_lent(s.board)), sum(nl_board_borrowed(s.board))));
    }
    close_node(&s);
}

static void nothing_is_lent_where_ranks_outnumber_cores(void **state)
{
    const int cores = nl_larger(world->size - 1, 1);
    subject s = open_node(false, cores, 1e3);

    (void)state;
    want(&s, 0, 1e9, most);
    expect_all(world->comm, look(&s, 0) == 1);
    for (int rank = 1; rank < world->size; rank++) {
        rest(&s, rank, true);
        expect_all(world->comm,
                   look(&s, 0) == (rank == 1 ? 1 : rank)); /* the first one's is used */
    }
    for (int rank = 1; rank < world->size; rank++) {
        rest(&s, rank, false);
    }
    expect_all(world->comm, look(&s, 0) == 1);
    close_node(&s);
}

static void nothing_is_lent_where_cores_are_unknown(void **state)
{
    subject s = open_node(false, 0, 1e3);

    (void)state;
    want(&s, 0, 1e9, most);
    rest(&s, world->size > 1 ? world->size - 1 : -1, true);
    expect_all(world->comm, look(&s, 0) == 1);
    close_node(&s);
}

static void who_has_most_left_gets_a_core_and_passes_it_on(void **state)
{
    subject s = open_node(false, world->size + 1, 1e3);

    (void)state;
    if (world->size > 1) {
        want(&s, 0, 100.0, most);
        want(&s, 1, 300.0, most);
        expect_all(world->comm, look(&s, 0) == 1);
        expect_all(world->comm, look(&s, 1) == 2);
        want(&s, 1, 80.0, most); /* not worth a change yet */
        expect_all(world->comm, look(&s, 1) == 2);
        expect_all(world->comm, look(&s, 0) == 1);
        want(&s, 1, 60.0, most);
        expect_all(world->comm, look(&s, 1) == 1);
        expect_all(world->comm, look(&s, 0) == 2);
    }
    close_node(&s);
}

/** While a rank surely held a core. */
typedef struct holding {
    double from, to;
} holding;

enum { turns = 20000 };

/* Borrow and give back, all ranks at once; how often it had the core, and when. */
static int compete(const subject *s, holding *held)
{
    int count = 0;

    for (int turn = 0; turn < turns; turn++) {
        double since = 0.0;

        nl_board_want(s->board, 1e9 * (turn + 1), 2);
        nl_board_look(s->board, s->crew);
        since = nl_now();
        if (nl_crew_size(s->crew) > 1) {
            held[count++] = (holding){.from = since, .to = nl_now()};
        }
        nl_board_give_back(s->board, s->crew);
    }
    return count;
}

static int compare_holdings(const void *a_, const void *b_)
{
    const holding *a = a_;
    const holding *b = b_;

    return (a->from > b->from) - (a->from < b->from);
}

/* On the root: of all ranks, times that begin before the one before them is over. */
static int count_overlaps(const holding *held)
{
    const size_t size = (size_t)world->size * turns;
    holding *all = calloc(size, sizeof *all);
    int overlaps = 0;

    assert_non_null(all);
    MPI_Gather(held, 2 * turns, MPI_DOUBLE, all, 2 * turns, MPI_DOUBLE, 0, world->comm);
    qsort(all, size, sizeof *all, compare_holdings);
    for (size_t k = 1; k < size && world->rank == 0; k++) {
        overlaps += all[k].from > 0.0 && all[k].from < all[k - 1].to;
    }
    free(all);
    return overlaps;
}

static void no_core_is_lent_twice(void **state)
{
    subject s = open_node(false, world->size + 1, 1e3);
    holding *held = calloc(turns, sizeof *held);
    int count = 0;

    (void)state;
    expect_all(world->comm, held != NULL);
    nl_team_wait(world);
    count = compete(&s, held);
    expect_all(world->comm, sum(count) > 0.0);
    expect_all(world->comm, count_overlaps(held) == 0);
    free(held);
    close_node(&s);
}

/* A rank that dies takes its job with it, and the board: the next job's knows of no loan. */
static void a_board_begins_with_nothing_lent(void **state)
{
    (void)state;
    for (int job = 0; job < 3; job++) {
        subject s = open_node(false, world->size + 2, 1e3);

        expect_all(world->comm, nl_board_borrowed(s.board) == 0.0 && nl_board_lent(s.board) == 0.0);
        want(&s, job % world->size, 1e9, most);
        expect_all(world->comm, look(&s, job % world->size) == 3);
        nl_crew_destroy(&s.crew); /* nothing given back */
        nl_board_destroy(&s.board);
    }
}

static int setup(void **state)
{
    (void)state;
    return nl_team_create(MPI_COMM_WORLD, &world) == NL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    nl_team_destroy(&world);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_that_no_rank_has_are_borrowed),
        cmocka_unit_test(a_quota_counts_all_that_work),
        cmocka_unit_test(a_rank_lends_its_core_while_it_rests),
        cmocka_unit_test(nothing_is_lent_where_ranks_outnumber_cores),
        cmocka_unit_test(nothing_is_lent_where_cores_are_unknown),
        cmocka_unit_test(who_has_most_left_gets_a_core_and_passes_it_on),
        cmocka_unit_test(no_core_is_lent_twice),
        cmocka_unit_test(a_board_begins_with_nothing_lent),
    };
    int failed = 0;

    unsetenv("NTKLENS_TEST_CREW");
    MPI_Init(&argc, &argv);
    failed = cmocka_run_group_tests(tests, setup, teardown);
    MPI_Finalize();
    return failed;
}
