/** @file test_moments.c  How near right spectra come to the moments of their matrices, and which
 * wrong ones that tells.
 *
 * `whole N` measures orders up to N and prints the table of tests/README.md. */
#include "../../src/eigen/solver_work.h"
#include "linalg_fixture.h"
#include "ntklens/eigen.h"
#include "ntklens/ntk.h"

/*---------------------------------------------------------------------------------------------
 * Matrices
 *-------------------------------------------------------------------------------------------*/

enum { inputs = 60, outputs = 10, units = 48 };

/** A network on as many random samples as the kernel wants. */
typedef struct network {
    nl_net *net;
    float *theta;
    float *probe;
    nl_kernel_input input;
} network;

static bool create_network(nl_activation activation, int samples, network *n)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = units,
                              .depth = 2,
                              .activation = activation,
                              .weight_variance = 2.0};
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, (uint32_t)activation, 0, 0);

    *n = (network){0};
    if (nl_net_create(&spec, NL_SGD, &n->net) != NL_OK) {
        return false;
    }
    n->theta = nl_calloc(n->net->size, sizeof *n->theta);
    n->probe = nl_calloc((size_t)samples * inputs, sizeof *n->probe);
    if (n->theta == NULL || n->probe == NULL) {
        return false;
    }
    nl_net_initialize(n->net, 5, n->theta);
    for (int k = 0; k < samples * inputs; k++) {
        n->probe[k] = (float)(0.5 + nl_rng_normal(&rng));
    }
    n->input = (nl_kernel_input){.net = n->net,
                                 .theta = n->theta,
                                 .probe = n->probe,
                                 .samples = samples,
                                 .panel_bytes = 64e6};
    return true;
}

static void destroy_network(network *n)
{
    nl_net_destroy(&n->net);
    free(n->theta);
    free(n->probe);
}

static nl_status fill_network(nl_dmat *a, void *context)
{
    const network *n = context;

    return nl_kernel_fill(a, (nl_kernel_spec){NL_KERNEL_FULL, 0, false}, &n->input);
}

static nl_status fill_content(nl_dmat *a, void *context)
{
    content *c = context;

    nl_dmat_fill(a, c->entry, &a->n);
    return NL_OK;
}

static double walk_entry(int i, int j, const void *order)
{
    (void)i, (void)order;
    return j + 1.0;
}

static double ones_entry(int i, int j, const void *order)
{
    (void)order;
    return i == j ? 2.0 : 1.0;
}

static double decay_entry(int i, int j, const void *order)
{
    (void)order;
    return sqrt((1.0 + i % 7) * (1.0 + j % 7)) * exp(-0.1 * (i - j));
}

/* A covariance of noise and little else: eigenvalues of one size. */
static double noise_entry(int i, int j, const void *order)
{
    nl_rng rng = nl_rng_open(1, NL_PURPOSE_SELF_TEST, (uint32_t)i, (uint32_t)j, 0);

    return (i == j ? 2.0 * sqrt(*(const int *)order) : 0.0) + nl_rng_uniform(&rng) - 0.5;
}

static double identity_entry(int i, int j, const void *order)
{
    (void)order;
    return i == j ? 0.1 : 0.0;
}

typedef struct kind {
    const char *name;
    nl_entry_fn *entry; /* NULL: the kernel of a network */
    nl_activation activation;
} kind;

static const kind kinds[] = {
    {"relu network", NULL, NL_RELU},
    {"tanh network", NULL, NL_TANH},
    {"random walk", walk_entry, 0},
    {"ones and identity", ones_entry, 0},
    {"decay", decay_entry, 0},
    {"noise", noise_entry, 0},
    {"a tenth identity", identity_entry, 0},
};

/*---------------------------------------------------------------------------------------------
 * Deviations
 *-------------------------------------------------------------------------------------------*/

/** A matrix, and what fills it. */
typedef struct problem {
    nl_dmat *a;
    nl_fill_fn *fill;
    void *context;
    double trace, frobenius2;
    double *lambda; /* [n] descending */
} problem;

static bool solve(problem *p, const nl_solver *solver)
{
    const bool good = p->fill(p->a, p->context) == NL_OK &&
                      nl_dmat_moments(p->a, &p->trace, &p->frobenius2) == NL_OK &&
                      solver->eigenvalues(p->a, p->lambda) == NL_OK;

    nl_reverse(p->a->n, p->lambda);
    return good;
}

static bool plausible(const problem *p, const double *lambda)
{
    return nl_spectrum_plausible(p->a->n, lambda, p->trace, p->frobenius2, p->a->precision);
}

/* How far the moments are from those of the matrix, in sqrt(n) eps |A| and sqrt(n) eps |A|^2. */
static void deviations(const problem *p, double *first, double *second)
{
    const double unit = sqrt(p->a->n) * nl_precision_eps(p->a->precision);
    double sum = 0.0;
    double squares = 0.0;

    for (int k = 0; k < p->a->n; k++) {
        sum += p->lambda[k];
        squares += p->lambda[k] * p->lambda[k];
    }
    *first = fabs(sum - p->trace) / (unit * sqrt(p->frobenius2));
    *second = fabs(squares - p->frobenius2) / (unit * p->frobenius2);
}

typedef bool problem_check(problem *p, const kind *what, void *context);

/* Every kind of matrix of order n. */
static bool on_every_kind(const nl_grid *grid, int n, nl_precision precision, problem_check *check,
                          void *context)
{
    const int block = grid->rows * grid->cols == 1 ? 80 : 20;
    problem p = {.lambda = calloc((size_t)n, sizeof *p.lambda)};
    bool good = nl_dmat_create(grid, n, block, precision, &p.a) == NL_OK;

    for (size_t k = 0; good && k < NL_COUNT(kinds); k++) {
        content c = {.entry = kinds[k].entry};
        network net = {0};

        p.fill = c.entry != NULL ? fill_content : fill_network;
        p.context = c.entry != NULL ? (void *)&c : (void *)&net;
        good = c.entry != NULL || create_network(kinds[k].activation, n / outputs, &net);
        good = good && check(&p, &kinds[k], context);
        if (!good) {
            print_error("%s, order %d\n", kinds[k].name, n);
        }
        destroy_network(&net);
    }
    nl_dmat_destroy(&p.a);
    free(p.lambda);
    return good;
}

/* As Debian builds it, ELPA is wrong about some of these, which test_spectrum.c and users know. */
static bool is_sound(const nl_solver *solver, const nl_dmat *a)
{
    return strcmp(solver->name, "elpa") != 0 &&
           nl_solver_able(solver, a->n, a->nb, a->precision, a->grid->rows, a->grid->cols);
}

/* In single precision with room to spare: three times. */
static bool solvers_pass(problem *p, const kind *what, void *context)
{
    bool good = true;

    (void)context;
    for (int s = 0; good && nl_solver_at(s) != NULL; s++) {
        double first = 0.0;
        double second = 0.0;

        if (!is_sound(nl_solver_at(s), p->a)) {
            continue;
        }
        good = solve(p, nl_solver_at(s)) && plausible(p, p->lambda);
        deviations(p, &first, &second);
        good = good && (p->a->precision == NL_DOUBLE || fmax(first, second) <= 8.0 / 3.0);
        if (!good) {
            print_error("%s, %s: off by %g and %g\n", what->name, nl_solver_at(s)->name, first,
                        second);
        }
    }
    return good;
}

static bool right_spectra_pass(const nl_grid *grid, const void *context)
{
    const int orders[] = {10, 60, 240};
    bool good = true;

    (void)context;
    for (size_t k = 0; k < NL_COUNT(orders); k++) {
        good = on_every_kind(grid, orders[k], NL_DOUBLE, solvers_pass, NULL) && good;
        good = on_every_kind(grid, orders[k], NL_SINGLE, solvers_pass, NULL) && good;
    }
    return good;
}

static void right_spectra_of_every_solver_pass(void **state)
{
    (void)state;
    expect_on_every_grid(right_spectra_pass, NULL);
}

/*---------------------------------------------------------------------------------------------
 * What wrong spectra are told
 *-------------------------------------------------------------------------------------------*/

static double effective_rank(int n, const double *lambda, nl_precision precision)
{
    return nl_observe(n, lambda, nl_precision_eps(precision)).effective_rank;
}

/* The smallest 70 of 800 eigenvalues set to zero. */
static bool lost_tail_fails(problem *p, const kind *what, void *context)
{
    const int n = p->a->n;
    double before = 0.0;

    (void)context;
    if (what->entry != NULL) {
        return true;
    }
    if (!solve(p, nl_solver_find("scalapack")) || !plausible(p, p->lambda)) {
        return false;
    }
    before = effective_rank(n, p->lambda, p->a->precision);
    for (int k = n - 70; k < n; k++) {
        p->lambda[k] = 0.0;
    }
    print_message("%s: effective rank %.1f, without the tail %.1f\n", what->name, before,
                  effective_rank(n, p->lambda, p->a->precision));
    return !plausible(p, p->lambda);
}

/* One eigenvalue off by a part of itself, wherever that moves the effective rank by a thousandth.
 */
static bool moved_ranks_fail(problem *p, const kind *what, void *context)
{
    const double parts[] = {1e-5, -1e-5, 1e-3, -1e-3, 1e-2, -1e-2, 1e-1, -1e-1, -1.0};
    const int n = p->a->n;
    int *moved = context;
    double rank = 0.0;

    (void)what;
    if (!solve(p, nl_solver_find("scalapack"))) {
        return false;
    }
    rank = effective_rank(n, p->lambda, p->a->precision);
    for (int k = 0; k < n; k++) {
        const double right = p->lambda[k];

        for (size_t part = 0; part < NL_COUNT(parts); part++) {
            p->lambda[k] = right * (1.0 + parts[part]);
            if (fabs(effective_rank(n, p->lambda, p->a->precision) / rank - 1.0) > 1e-3) {
                ++*moved;
                if (plausible(p, p->lambda)) {
                    return false;
                }
            }
        }
        p->lambda[k] = right;
    }
    return true;
}

static bool wrong_spectra_fail(const nl_grid *grid, const void *context)
{
    int moved = 0;

    (void)context;
    return on_every_kind(grid, 800, NL_SINGLE, lost_tail_fails, NULL) &&
           on_every_kind(grid, 200, NL_SINGLE, moved_ranks_fail, &moved) &&
           on_every_kind(grid, 200, NL_DOUBLE, moved_ranks_fail, &moved) && moved > 100;
}

static void wrong_spectra_that_move_a_rank_fail(void **state)
{
    nl_grid *grid = whole_grid();

    (void)state;
    expect_all(grid->comm, wrong_spectra_fail(grid, NULL));
    nl_grid_destroy(&grid);
}

/*---------------------------------------------------------------------------------------------
 * The table
 *-------------------------------------------------------------------------------------------*/

static bool print_deviations(problem *p, const kind *what, void *context)
{
    (void)context;
    for (int s = 0; nl_solver_at(s) != NULL; s++) {
        double first = 0.0;
        double second = 0.0;

        if (!is_sound(nl_solver_at(s), p->a)) {
            continue;
        }
        if (!solve(p, nl_solver_at(s))) {
            return false;
        }
        deviations(p, &first, &second);
        print_message("%5d %s %-18s %-12s %.2f %.2f\n", p->a->n,
                      p->a->precision == NL_DOUBLE ? "double" : "single", what->name,
                      nl_solver_at(s)->name, first, second);
        if (!plausible(p, p->lambda)) {
            return false;
        }
    }
    return true;
}

static void deviations_stay_small(void **state)
{
    const int *orders = *state;
    nl_grid *grid = whole_grid();

    for (; *orders > 0; orders++) {
        expect_all(grid->comm, on_every_kind(grid, *orders, NL_SINGLE, print_deviations, NULL) &&
                                   on_every_kind(grid, *orders, NL_DOUBLE, print_deviations, NULL));
    }
    nl_grid_destroy(&grid);
}

int main(int argc, char **argv)
{
    int orders[] = {400, 1200, argc > 2 ? atoi(argv[2]) : 2500, 0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_spectra_of_every_solver_pass),
        cmocka_unit_test(wrong_spectra_that_move_a_rank_fail),
    };
    const struct CMUnitTest whole[] = {
        cmocka_unit_test_prestate(deviations_stay_small, orders),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    nl_blas_set_threads(1);
    failed = argc > 1 ? cmocka_run_group_tests(whole, NULL, NULL)
                      : cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
