/** @file test_many_rows.c  The root keeps a table of many rows and answers meanwhile: 40,000 rows,
 * or as many as the argument says; with it, waits are timed, too.  On two ranks or more. */
#include "../../src/run/collector.h"
#include "../../src/run/messages.h"
#include "ntklens/folder.h"

#include "ntklens/io.h"

#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { rows_of_a_cell = 20, most_seeds = 10000 };
static const double longest_wait = 0.1; /* seconds, of a request */
static const double longest_rest =
    3.0; /* of the lock, touched every second, by the system's clock */

static int total = 40000;
static bool timed = false;

/** What the tests share. */
typedef struct fixture {
    nl_team *team;
    nl_study *study;
    nl_cell *cells;
    int count;
    char folder[64]; /* of all ranks */
} fixture;

static int setup(void **state)
{
    static fixture f;
    char text[256];
    const int cells = (total + rows_of_a_cell - 1) / rows_of_a_cell;
    const int widths = (cells + most_seeds - 1) / most_seeds;

    snprintf(text, sizeof text,
             "data: {source: glyphs, train_sizes: [40]}\n"
             "model: {widths: {from: 1, to: %d, step: 1}}\n"
             "seeds: {from: 0, to: %d, step: 1}\n",
             widths, cells / widths - 1);
    if (nl_team_create(MPI_COMM_WORLD, &f.team) != NL_OK ||
        nl_study_parse(&(nl_study_source){"many", text, strlen(text), 0, NULL}, &f.study) !=
            NL_OK ||
        nl_study_cells(f.study, &f.cells, &f.count) != NL_OK) {
        return -1;
    }
    snprintf(f.folder, sizeof f.folder, "/tmp/ntklens-test-XXXXXX");
    if (f.team->rank == 0 && mkdtemp(f.folder) == NULL) {
        return -1;
    }
    nl_team_broadcast(f.team, f.folder, sizeof f.folder, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"results.csv", "timings.csv", "lock"};

    for (size_t k = 0; f->team->rank == 0 && k < NL_COUNT(names); k++) {
        char *path = nl_path_join(f->folder, names[k]);

        unlink(path);
        free(path);
    }
    if (f->team->rank == 0) {
        rmdir(f->folder);
    }
    free(f->cells);
    nl_study_destroy(&f->study);
    nl_team_destroy(&f->team);
    return 0;
}

/* Rows in no order; every number has all its digits. */
static void make_rows(int cell, nl_row rows[rows_of_a_cell])
{
    nl_rng rng = nl_rng_open((uint32_t)cell, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    for (int k = 0; k < rows_of_a_cell; k++) {
        nl_row *row = &rows[k];
        double *observed = (double *)(void *)&row->observed;

        memset(row, 0, sizeof *row);
        row->cell = cell;
        row->step = (k * 7) % rows_of_a_cell;
        row->n = 150;
        snprintf(row->tag, sizeof row->tag, "log");
        snprintf(row->kernel, sizeof row->kernel, "traced");
        snprintf(row->solver, sizeof row->solver, "lapack");
        row->losses.train_loss = nl_rng_uniform(&rng);
        row->losses.test_loss = nl_rng_uniform(&rng);
        for (size_t j = 0; j < 20; j++) {
            observed[j] = nl_rng_uniform(&rng);
        }
    }
}

static int tick(void *context)
{
    return context != NULL && nl_collector_tick(context) != NL_OK ? NL_ERR_IO : 0;
}

static void deliver(void *context, int source, const void *bytes, size_t length)
{
    nl_collector_deliver(context, source, bytes, length);
}

/* Seconds since the lock was touched. */
static double rest_of_lock(const char *path)
{
    struct stat entry = {0};
    struct timespec now;

    if (stat(path, &entry) != 0) {
        return 1e9;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec - entry.st_mtim.tv_sec) +
           1e-9 * (double)(now.tv_nsec - entry.st_mtim.tv_nsec);
}

/** The longest of all waits and rests of a rank. */
typedef struct waits {
    double answer, lock;
} waits;

/* Take cells and tell their rows until none is left. */
static nl_status do_cells(const fixture *f, nl_service *service, waits *longest)
{
    char *lock = nl_path_join(f->folder, "lock");
    nl_row rows[rows_of_a_cell];
    nl_task task = {.kind = NL_TASK_ITEM};
    nl_status status = NL_OK;

    while (status == NL_OK && task.kind != NL_TASK_NONE) {
        const double start = nl_now();

        status = nl_service_take(service, &task);
        if (status == NL_OK && task.kind == NL_TASK_ITEM) {
            const double took = nl_now() - start;
            const double rest = rest_of_lock(lock);

            longest->answer = took > longest->answer ? took : longest->answer;
            longest->lock = rest > longest->lock ? rest : longest->lock;
            make_rows(task.item, rows);
            status = nl_send_rows(service, f->cells, task.item, rows, rows_of_a_cell);
        }
    }
    free(lock);
    return status;
}

/* Is the table what one would write at once?  Compared cell by cell. */
static bool table_is_right(const fixture *f)
{
    char *path = nl_path_join(f->folder, "results.csv");
    FILE *file = fopen(path, "rbe");
    nl_row rows[rows_of_a_cell];
    nl_text text = {0};
    char *got = NULL;
    size_t room = 0;
    bool right = file != NULL;

    nl_rows_write_header(&text);
    for (int k = -1; right && k < f->count; k++) {
        if (k >= 0) {
            make_rows(k, rows);
            text.length = 0;
            nl_rows_write_lines(f->cells, rows, rows_of_a_cell, &text);
        }
        if (room < text.length) {
            room = text.length;
            got = realloc(got, room);
        }
        right = got != NULL && fread(got, 1, text.length, file) == text.length &&
                memcmp(got, text.data, text.length) == 0;
    }
    right = right && fgetc(file) == EOF;
    if (file != NULL) {
        fclose(file);
    }
    free(got);
    free(path);
    nl_text_free(&text);
    return right;
}

static void many_rows_hold_nobody_up(void **state)
{
    const fixture *f = *state;
    const bool root = f->team->rank == 0;
    double *cost = nl_calloc((size_t)f->count, sizeof *cost);
    nl_collector *collector = NULL;
    nl_lock *lock = NULL;
    nl_service *service = NULL;
    waits longest = {0};
    nl_status status = NL_OK;

    if (root) {
        status = nl_lock_take(f->folder, &lock);
        if (status == NL_OK) {
            status = nl_collector_create(f->folder, f->cells, cost, f->count, NULL, &collector);
        }
    }
    expect_all(f->team->comm, cost != NULL && status == NL_OK);
    if (root) {
        nl_collector_await(collector, 0);
    }
    status = nl_service_start(
        f->team, (nl_service_hooks){.context = collector, .tick = tick, .deliver = deliver},
        &service);
    expect_all(f->team->comm, status == NL_OK);
    status = nl_service_open_queue(service, f->count, 1);
    expect_all(f->team->comm, status == NL_OK);
    status = do_cells(f, service, &longest);
    nl_service_end(&service);
    expect_all(f->team->comm, status == NL_OK);
    if (root) {
        const double start = nl_now();

        status = nl_collector_finish(collector);
        print_message("%d rows; last write %.1f s, peak %.0f MB\n", nl_collector_rows(collector),
                      nl_now() - start, 1e-6 * (double)nl_peak_memory());
    }
    print_message("rank %d: longest wait for an answer %.3f s, of the lock %.1f s\n", f->team->rank,
                  longest.answer, longest.lock);
    expect_all(f->team->comm, status == NL_OK);
    expect_all(f->team->comm, !root || nl_collector_rows(collector) == f->count * rows_of_a_cell);
    expect_all(f->team->comm, !root || table_is_right(f));
    expect_all(f->team->comm, !timed || longest.answer <= longest_wait);
    expect_all(f->team->comm, !timed || longest.lock <= longest_rest);
    nl_collector_destroy(&collector);
    nl_lock_release(&lock);
    free(cost);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_rows_hold_nobody_up)};
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    timed = argc > 1;
    total = timed ? atoi(argv[1]) : total;
    failed = cmocka_run_group_tests(tests, setup, teardown);
    MPI_Finalize();
    return failed;
}
