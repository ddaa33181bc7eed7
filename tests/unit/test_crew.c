/** @file test_crew.c  Threads that share pieces of work: each piece once, whoever comes and goes.
 */
#include "ntklens/crew.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum { most_pieces = 1000 };

/** What pieces left behind. */
typedef struct ledger {
    atomic_int times[most_pieces];
    atomic_int by[nl_most_of_crew];
    atomic_int wait; /* pieces that wait for each other */
} ledger;

static void note(void *context, int piece, int worker)
{
    ledger *book = context;

    atomic_fetch_add(&book->times[piece], 1);
    atomic_fetch_add(&book->by[worker], 1);
}

static void expect_each_once(const ledger *book, int pieces, int times)
{
    for (int k = 0; k < most_pieces; k++) {
        assert_int_equal(atomic_load(&book->times[k]), k < pieces ? times : 0);
    }
}

static nl_crew *make_crew(int threads)
{
    nl_crew *crew = NULL;

    assert_int_equal(nl_crew_create(0.0, NULL, NULL, &crew), NL_OK);
    for (int k = 1; k < threads; k++) {
        assert_int_equal(nl_crew_hire(crew, NULL), k);
    }
    assert_int_equal(nl_crew_size(crew), threads);
    return crew;
}

static void alone_it_is_a_loop(void **state)
{
    ledger book = {0};
    nl_crew *crew = make_crew(1);

    (void)state;
    nl_crew_run(NULL, note, &book, 7);
    nl_crew_run(crew, note, &book, 7);
    expect_each_once(&book, 7, 2);
    assert_int_equal(book.by[0], 14);
    nl_crew_run(crew, note, &book, 0);
    expect_each_once(&book, 7, 2);
    nl_crew_destroy(&crew);
    assert_null(crew);
    nl_crew_destroy(&crew);
}

static void each_piece_is_done_once(void **state)
{
    static const int sizes[] = {2, 3, 6};

    (void)state;
    for (size_t s = 0; s < NL_COUNT(sizes); s++) {
        nl_crew *crew = make_crew(sizes[s]);

        for (int pieces = 1; pieces < most_pieces; pieces += 1 + pieces / 3) {
            ledger book = {0};

            for (int turn = 0; turn < 20; turn++) {
                nl_crew_run(crew, note, &book, pieces);
            }
            expect_each_once(&book, pieces, 20);
        }
        nl_crew_destroy(&crew);
    }
}

/* Two pieces that both wait for the other are two threads' work, the second one's first asleep. */
static void meet(void *context, int piece, int worker)
{
    ledger *book = context;

    note(context, piece, worker);
    atomic_fetch_add(&book->wait, 1);
    while (atomic_load(&book->wait) < 2) {
    }
}

static void threads_take_part_awake_or_asleep(void **state)
{
    nl_crew *crew = make_crew(2);

    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        ledger book = {0};

        nl_crew_run(crew, meet, &book, 2);
        expect_each_once(&book, 2, 1);
        assert_int_equal(book.by[0], 1);
        assert_int_equal(book.by[1], 1);
        usleep(turn < 3 ? 10000 : 0);
    }
    nl_crew_destroy(&crew);
}

/* At every look somebody comes or goes. */
static void come_and_go(void *context, nl_crew *crew)
{
    unsigned *looks = context;
    const int worker = 1 + (int)(*looks % 3);

    if (*looks / 3 % 2 == 0) {
        assert_int_equal(nl_crew_hire(crew, NULL), worker);
    } else {
        nl_crew_dismiss(crew, worker);
    }
    ++*looks;
}

static void threads_come_and_go_between_runs(void **state)
{
    nl_crew *crew = NULL;
    ledger book = {0};
    unsigned looks = 0;

    (void)state;
    assert_int_equal(nl_crew_create(0.0, come_and_go, &looks, &crew), NL_OK);
    for (int turn = 0; turn < 3000; turn++) {
        nl_crew_run(crew, note, &book, 10);
        if (turn % 100 == 0) {
            usleep(1000);
        }
    }
    expect_each_once(&book, 10, 3000);
    assert_int_equal(looks, 3000);
    nl_crew_destroy(&crew);
}

static void nobody_is_hired_beyond_the_most(void **state)
{
    nl_crew *crew = make_crew(nl_most_of_crew);
    ledger book = {0};
    cpu_set_t none;

    (void)state;
    assert_int_equal(nl_crew_hire(crew, NULL), -1);
    nl_crew_run(crew, note, &book, most_pieces);
    expect_each_once(&book, most_pieces, 1);
    nl_crew_dismiss(crew, 5);
    CPU_ZERO(&none);
    assert_int_equal(nl_crew_hire(crew, &none), -1); /* no such core */
    assert_int_equal(nl_crew_size(crew), nl_most_of_crew - 1);
    assert_int_equal(nl_crew_hire(crew, NULL), 5);
    nl_crew_destroy(&crew);
}

#ifdef __SSE2__
static void note_rounding(void *context, int piece, int worker)
{
    atomic_int *modes = context;

    (void)worker;
    atomic_store(&modes[piece], (int)(_mm_getcsr() & 0x8040));
    atomic_fetch_add(&modes[2], 1);
    while (atomic_load(&modes[2]) < 2) {
    }
}

static void threads_round_as_the_caller_does(void **state)
{
    nl_crew *crew = make_crew(2);
    const unsigned usual = _mm_getcsr();

    (void)state;
    for (int flush = 0; flush < 2; flush++) {
        atomic_int modes[3] = {0};

        _mm_setcsr(flush ? usual | 0x8040 : usual);
        nl_crew_run(crew, note_rounding, modes, 2);
        assert_int_equal(modes[0], flush ? 0x8040 : 0);
        assert_int_equal(modes[1], modes[0]);
    }
    _mm_setcsr(usual);
    nl_crew_destroy(&crew);
}
#else
static void threads_round_as_the_caller_does(void **state)
{
    (void)state;
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_is_a_loop),
        cmocka_unit_test(each_piece_is_done_once),
        cmocka_unit_test(threads_take_part_awake_or_asleep),
        cmocka_unit_test(threads_come_and_go_between_runs),
        cmocka_unit_test(nobody_is_hired_beyond_the_most),
        cmocka_unit_test(threads_round_as_the_caller_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
