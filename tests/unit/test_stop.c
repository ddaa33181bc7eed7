/** @file test_stop.c  When to stop early, under a clock that the test turns. */
#include "../../src/app/stop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static double fake_clock(void *now)
{
    return *(double *)now;
}

static void without_a_limit_it_never_stops(void **state)
{
    double now = 1000.0;
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 0.0, NULL);

    (void)state;
    now += 1e8;
    assert_int_equal(nl_stop_wanted(&policy, 100.0), 0);
}

static void it_stops_as_much_ahead_as_leaving_takes(void **state)
{
    double now = 50.0;
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 600.0, NULL);

    (void)state;
    now = 50.0 + 600.0 - 4.0 - 40.0 - 0.1;
    assert_int_equal(nl_stop_wanted(&policy, 0.0), 0);
    assert_int_equal(nl_stop_wanted(&policy, 40.0), 0);
    now += 0.2;
    assert_int_equal(nl_stop_wanted(&policy, 40.0), NL_STOP_TIME);
    policy.startup = 7.0; /* where MPI was slow to start it is slow to end */
    now -= 7.2;
    assert_int_equal(nl_stop_wanted(&policy, 40.0), 0);
    now += 0.2;
    assert_int_equal(nl_stop_wanted(&policy, 40.0), NL_STOP_TIME);
}

static void a_slow_exit_never_costs_more_than_a_third_of_the_time(void **state)
{
    double now = 0.0;
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 60.0, NULL);

    (void)state;
    now = 39.9;
    assert_int_equal(nl_stop_wanted(&policy, 1000.0), 0);
    now = 40.1;
    assert_int_equal(nl_stop_wanted(&policy, 1000.0), NL_STOP_TIME);
}

static void a_stop_file_is_obeyed(void **state)
{
    char path[64];
    double now = 0.0;
    nl_stop_policy policy;
    FILE *file = NULL;

    (void)state;
    snprintf(path, sizeof path, "/tmp/ntklens-stop-%ld", (long)getpid());
    policy = nl_stop_policy_make(fake_clock, &now, 0.0, path);
    assert_int_equal(nl_stop_wanted(&policy, 0.0), 0);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(nl_stop_wanted(&policy, 0.0), 0); /* looked for twice a second only */
    now = 0.6;
    assert_int_equal(nl_stop_wanted(&policy, 0.0), NL_STOP_FILE);
    unlink(path);
}

static void time_left_counts_from_the_wish(void **state)
{
    double now = 100.0;
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 0.0, NULL);
    double left = 0.0;

    (void)state;
    now = 500.0;
    left = nl_stop_time_left(&policy, SIGTERM);
    assert_true(left > 10.0 && left < 30.0); /* Slurm kills 30 s after SIGTERM */
    assert_true(nl_stop_time_left(&policy, SIGXCPU) == left);
    assert_true(nl_stop_time_left(&policy, SIGHUP) == left);
    assert_true(nl_stop_time_left(&policy, SIGUSR2) > left);
    now += 15.0;
    assert_true(nl_stop_time_left(&policy, SIGTERM) == left - 15.0);
}

static void the_limit_bounds_the_time_left(void **state)
{
    double now = 0.0;
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 60.0, NULL);

    (void)state;
    now = 50.0;
    assert_true(nl_stop_time_left(&policy, NL_STOP_TIME) == 7.5);
    now = 58.0;
    assert_true(nl_stop_time_left(&policy, NL_STOP_TIME) < 0.0);
}

static void durations_are_read_and_nonsense_is_not(void **state)
{
    static const char *const bad[] = {"",        "x",        "-5",  "0",     "1:60",
                                      "1:2:3:4", "00:00:00", "10s", "1:-5:0"};

    (void)state;
    assert_true(nl_parse_duration("00:01:00") == 60.0);
    assert_true(nl_parse_duration("36:00:01") == 129601.0);
    assert_true(nl_parse_duration("02:30") == 150.0);
    assert_true(nl_parse_duration("90") == 90.0);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        assert_true(nl_parse_duration(bad[k]) < 0.0);
    }
}

/* Last: a signal that came stays caught. */
static void signals_are_wishes(void **state)
{
    double now = 0.0;
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU, SIGPWR, SIGTERM, SIGINT};
    nl_stop_policy policy = nl_stop_policy_make(fake_clock, &now, 0.0, NULL);

    (void)state;
    signal(SIGHUP, SIG_IGN); /* as nohup does */
    nl_stop_watch_signals();
    raise(SIGHUP);
    assert_int_equal(nl_stop_wanted(&policy, 0.0), 0);
    signal(SIGHUP, SIG_DFL);
    nl_stop_watch_signals();
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        raise(numbers[k]);
        assert_int_equal(nl_stop_wanted(&policy, 0.0), numbers[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_it_never_stops),
        cmocka_unit_test(it_stops_as_much_ahead_as_leaving_takes),
        cmocka_unit_test(a_slow_exit_never_costs_more_than_a_third_of_the_time),
        cmocka_unit_test(a_stop_file_is_obeyed),
        cmocka_unit_test(time_left_counts_from_the_wish),
        cmocka_unit_test(the_limit_bounds_the_time_left),
        cmocka_unit_test(durations_are_read_and_nonsense_is_not),
        cmocka_unit_test(signals_are_wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
