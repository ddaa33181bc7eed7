/** @file test_quadrature.c  Quadrature of spectra that are known: its intervals hold what they say.
 */
#include "ntklens/blas.h"
#include "ntklens/quadrature.h"

#include "expect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { order = 3000, repeats = 10, long_repeats = 50 };
static int runs = repeats;

/** A diagonal operator, rounded as single precision rounds; one product may be spoilt. */
typedef struct diagonal {
    int n;
    double *lambda;       /* [n] */
    int products, spoilt; /* -1: none */
    double bump;          /* added to an eigenvalue from the product `spoilt` on, until renewed */
    int renewed;
    int left; /* product from which on it is left; 0: never */
} diagonal;

enum { bumped = 1234 };

static nl_status renew(void *context)
{
    diagonal *d = context;

    d->bump = 0.0;
    d->renewed++;
    return NL_OK;
}

static nl_status apply(int columns, const double *x, double *y, void *context)
{
    diagonal *d = context;

    if (d->left > 0 && d->products >= d->left) {
        return NL_STOPPED;
    }
    for (int c = 0; c < columns; c++) {
        for (int i = 0; i < d->n; i++) {
            const size_t at = (size_t)c * (size_t)d->n + (size_t)i;

            y[at] = (double)(float)(d->lambda[i] * (double)(float)x[at]);
        }
    }
    if (d->products == d->spoilt && d->bump == 0.0) {
        y[d->n / 3] += 1.0;
    }
    for (int c = 0; d->spoilt >= 0 && d->products >= d->spoilt && d->bump > 0.0 && c < columns;
         c++) {
        y[(size_t)c * (size_t)d->n + bumped] += d->bump * x[(size_t)c * (size_t)d->n + bumped];
    }
    d->products++;
    return NL_OK;
}

static double entropy_of(const double *lambda, int n)
{
    double sum = 0.0;
    double entropy = 0.0;

    for (int i = 0; i < n; i++) {
        sum += lambda[i];
    }
    for (int i = 0; i < n; i++) {
        entropy -= lambda[i] > 0.0 ? lambda[i] / sum * log(lambda[i] / sum) : 0.0;
    }
    return entropy;
}

static double sum_of(const double *lambda, int n, double power)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++) {
        sum += lambda[i] > 0.0 ? pow(lambda[i], power) : 0.0;
    }
    return sum;
}

typedef double spectrum_fn(int i);

/* As kernels have them: a few outliers, then a power law. */
static double power_law(int i)
{
    return i == 0 ? 60.0 : i < 10 ? 4.0 / i : pow(i, -1.2);
}

/* The tail reaches zero. */
static double falling(int i)
{
    return exp(-0.02 * i) + 1e-3 * exp(-0.002 * i);
}

static double flat(int i)
{
    return 1.0 + 0.0 * i;
}

static double two_clusters(int i)
{
    return i < order / 3 ? 1.0 : 1e-4;
}

static double one_of_90_percent(int i)
{
    return i == 0 ? 9.0 * order : 1.0;
}

static double rank_3(int i)
{
    return i < 3 ? 3.0 - i : 0.0;
}

/* Gives it the eigenvalues of a spectrum; returns their sum. */
static double fill(diagonal *d, spectrum_fn *spectrum)
{
    for (int i = 0; i < d->n; i++) {
        d->lambda[i] = spectrum(i);
    }
    return sum_of(d->lambda, d->n, 1.0);
}

/* Repeats with probes of their own; how often the truth lies in the interval, and the error. */
static void repeat(spectrum_fn *spectrum, double wanted, int *held, double *rms)
{
    double lambda[order];
    diagonal d = {.n = order, .lambda = lambda, .spoilt = -1};

    fill(&d, spectrum);
    *held = 0;
    *rms = 0.0;
    for (int seed = 0; seed < runs; seed++) {
        const nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                               .n = order,
                                               .trace = sum_of(lambda, order, 1.0),
                                               .frobenius2 = NAN,
                                               .wanted = wanted,
                                               .seed = (uint32_t)seed,
                                               .apply = apply,
                                               .context = &d};
        const double truth = entropy_of(lambda, order);
        nl_quadrature q;

        expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &q) == NL_OK);
        if (seed == 0) {
            print_message("S %.5f, found %.5f +- %.5f: %d kept, %d probes of %d steps, "
                          "%d products\n",
                          truth, q.entropy, q.entropy_error, q.kept, q.probes, q.steps, q.products);
        }
        *held += fabs(q.entropy - truth) <= q.entropy_error;
        *rms += (q.entropy - truth) * (q.entropy - truth) / runs;
        expect_all(MPI_COMM_WORLD, fabs(q.participation_ratio * sum_of(lambda, order, 2.0) /
                                            (request.trace * request.trace) -
                                        1.0) < 0.05);
    }
    *rms = sqrt(*rms);
    print_message("  held %d of %d, rms error %.5f\n", *held, runs, *rms);
}

static void intervals_hold_on_spectra_like_kernels(void **state)
{
    static spectrum_fn *const spectra[] = {power_law, falling};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(spectra); k++) {
        int held = 0;
        double rms = 0.0;

        repeat(spectra[k], 0.01, &held, &rms);
        expect_all(MPI_COMM_WORLD, runs - held <= fmax(0.05 * runs, 1.0));
        expect_all(MPI_COMM_WORLD, rms <= 0.006);
    }
}

static void hard_spectra_are_right_or_honestly_wide(void **state)
{
    static spectrum_fn *const spectra[] = {flat, two_clusters, one_of_90_percent, rank_3};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(spectra); k++) {
        int held = 0;
        double rms = 0.0;

        repeat(spectra[k], 0.01, &held, &rms);
        expect_all(MPI_COMM_WORLD, held >= 0.95 * runs);
    }
}

static nl_status compute(diagonal *d, int n, nl_quadrature *q)
{
    const nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                           .n = n,
                                           .trace = sum_of(d->lambda, n, 1.0),
                                           .frobenius2 = NAN,
                                           .wanted = 0.02,
                                           .apply = apply,
                                           .renew = renew,
                                           .context = d};

    return nl_quadrature_compute(&request, q);
}

/* Orders below that of the Krylov space. */
static void small_orders_are_exact(void **state)
{
    static const int orders[] = {1, 2, 15, 16, 17, 100};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(orders); k++) {
        double lambda[100];
        diagonal d = {.n = orders[k], .lambda = lambda, .spoilt = -1};
        nl_quadrature q;

        fill(&d, power_law);
        expect_all(MPI_COMM_WORLD, compute(&d, orders[k], &q) == NL_OK);
        expect_all(MPI_COMM_WORLD,
                   fabs(q.entropy - entropy_of(lambda, orders[k])) <= q.entropy_error + 1e-4);
        expect_all(MPI_COMM_WORLD, q.entropy_error < 0.02);
        expect_all(MPI_COMM_WORLD, fabs(q.lambda_max / lambda[0] - 1.0) < 1e-5);
    }
}

/* Of a power law, with products that are all right. */
static void compute_undisturbed(diagonal *d, nl_quadrature *right)
{
    fill(d, power_law);
    expect_all(MPI_COMM_WORLD, compute(d, order, right) == NL_OK && !right->repeated);
}

/* One product that is spoilt is made again, and the result is that of all right ones. */
static void a_spoilt_product_is_made_again(void **state)
{
    double lambda[order];
    diagonal d = {.n = order, .lambda = lambda, .spoilt = -1};
    nl_quadrature q;
    nl_quadrature right;

    (void)state;
    compute_undisturbed(&d, &right);
    for (int spoilt = 0; spoilt < 12; spoilt += 5) {
        d.products = 0;
        d.spoilt = spoilt;
        expect_all(MPI_COMM_WORLD, compute(&d, order, &q) == NL_OK && q.repeated);
        expect_all(MPI_COMM_WORLD, q.entropy == right.entropy);
        expect_all(MPI_COMM_WORLD, q.entropy_error == right.entropy_error);
    }
}

/* An operator that is another one, as symmetric, from some product on: what products are made of
 * changed in memory. */
static void another_operator_is_found(void **state)
{
    double lambda[order];
    diagonal d = {.n = order, .lambda = lambda, .spoilt = -1};
    nl_quadrature q;
    nl_quadrature right;

    (void)state;
    compute_undisturbed(&d, &right);
    for (int spoilt = 1; spoilt < 12; spoilt += 3) {
        d.products = 0;
        d.spoilt = spoilt;
        d.bump = 2e-3 * sum_of(lambda, order, 1.0);
        d.renewed = 0;
        expect_all(MPI_COMM_WORLD, compute(&d, order, &q) == NL_OK && q.repeated);
        expect_all(MPI_COMM_WORLD, d.renewed == 1);
        expect_all(MPI_COMM_WORLD, q.entropy == right.entropy);
    }
}

/* Vectors of more than one piece of random numbers, in slices and whole. */
static void slices_make_what_whole_vectors_make(void **state)
{
    enum { long_order = 9000 };
    static double lambda[long_order];
    diagonal d = {.n = long_order, .lambda = lambda, .spoilt = -1};
    nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                     .n = long_order,
                                     .frobenius2 = NAN,
                                     .wanted = 0.05,
                                     .apply = apply,
                                     .context = &d};
    nl_quadrature shared;
    nl_quadrature whole;

    (void)state;
    request.trace = fill(&d, power_law);
    expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &shared) == NL_OK);
    request.comm = MPI_COMM_SELF;
    expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &whole) == NL_OK);
    expect_all(MPI_COMM_WORLD, fabs(shared.entropy - whole.entropy) <= 1e-7 * whole.entropy);
    expect_all(MPI_COMM_WORLD, shared.products == whole.products && shared.kept == whole.kept);
}

/* A stop says so, whatever was under way: deflation, the first probes, further ones. */
static void it_can_be_left_at_any_product(void **state)
{
    enum { small = 600 };
    double lambda[small];
    diagonal d = {.n = small, .lambda = lambda, .spoilt = -1};
    int products = 0;
    nl_quadrature q;

    (void)state;
    fill(&d, power_law);
    expect_all(MPI_COMM_WORLD, compute(&d, small, &q) == NL_OK);
    products = d.products;
    for (d.left = 1; d.left < products; d.left++) {
        d.products = 0;
        expect_all(MPI_COMM_WORLD, compute(&d, small, &q) == NL_STOPPED);
    }
}

/* What is known of the squares makes fewer probes do. */
static void a_known_norm_spares_probes(void **state)
{
    static double lambda[order];
    diagonal d = {.n = order, .lambda = lambda, .spoilt = -1};
    nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                     .n = order,
                                     .frobenius2 = NAN,
                                     .wanted = 0.003,
                                     .apply = apply,
                                     .context = &d};
    double truth = 0.0;
    nl_quadrature without;
    nl_quadrature with;

    (void)state;
    request.trace = fill(&d, falling);
    truth = entropy_of(lambda, order);
    expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &without) == NL_OK);
    request.frobenius2 = sum_of(lambda, order, 2.0);
    expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &with) == NL_OK);
    print_message("%d and %d products, %.5f and %.5f +- %.5f\n", without.products, with.products,
                  without.entropy - truth, with.entropy - truth, with.entropy_error);
    expect_all(MPI_COMM_WORLD, with.products < 0.7 * without.products);
    expect_all(MPI_COMM_WORLD, fabs(with.entropy - truth) <= with.entropy_error);
    expect_all(MPI_COMM_WORLD, with.squares_error == 0.0 && without.squares_error > 0.0);
    expect_all(MPI_COMM_WORLD, fabs(with.participation_ratio * request.frobenius2 /
                                        (request.trace * request.trace) -
                                    1.0) < 1e-6);
}

/* Eigenvectors are unit vectors here: a target's part along the i-th is its i-th entry. */
static void leading_directions_and_the_counting_function_are_told(void **state)
{
    static double lambda[order];
    static double target[2 * order];
    diagonal d = {.n = order, .lambda = lambda, .spoilt = -1};
    nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                     .n = order,
                                     .frobenius2 = NAN,
                                     .wanted = 0.01,
                                     .targets = 2,
                                     .target = target,
                                     .apply = apply,
                                     .context = &d};
    double error = 0.0;
    int counted = 0;
    nl_quadrature q;

    (void)state;
    for (int i = 0; i < order; i++) {
        lambda[i] = falling(i);
        target[i] = cos(i);
        target[order + i] = 1.0 / (i + 1);
    }
    request.trace = sum_of(lambda, order, 1.0);
    expect_all(MPI_COMM_WORLD, nl_quadrature_compute(&request, &q) == NL_OK);
    expect_all(MPI_COMM_WORLD, q.top_count >= 10);
    for (int i = 0; i < q.top_count; i++) {
        const double power = target[i] * target[i] + target[order + i] * target[order + i];

        expect_all(MPI_COMM_WORLD, fabs(q.top[i] / lambda[i] - 1.0) < 1e-3);
        if (q.tilt[i] < 1e-3 && (i == 0 || q.tilt[i - 1] < 1e-3)) {
            expect_all(MPI_COMM_WORLD, fabs(q.power[i] - power) < 0.01);
        }
    }
    for (int k = 1; k < q.points; k++) {
        expect_all(MPI_COMM_WORLD, q.value[k] <= q.value[k - 1] && q.rank[k] >= q.rank[k - 1]);
        if (k >= q.kept && q.rank[k] < 800.0) {
            const double off = log(q.value[k] / falling((int)lround(q.rank[k]) - 1));

            error += off * off;
            counted++;
        }
    }
    print_message("%d right, %d kept; %d nodes, rms of ln lambda %.3f\n", q.top_count, q.kept,
                  counted, sqrt(error / counted));
    expect_all(MPI_COMM_WORLD, counted > 10 && sqrt(error / counted) < 0.15);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_hold_on_spectra_like_kernels),
        cmocka_unit_test(hard_spectra_are_right_or_honestly_wide),
        cmocka_unit_test(small_orders_are_exact),
        cmocka_unit_test(a_spoilt_product_is_made_again),
        cmocka_unit_test(another_operator_is_found),
        cmocka_unit_test(slices_make_what_whole_vectors_make),
        cmocka_unit_test(it_can_be_left_at_any_product),
        cmocka_unit_test(a_known_norm_spares_probes),
        cmocka_unit_test(leading_directions_and_the_counting_function_are_told),
    };
    int failed = 0;

    MPI_Init(&argc, &argv);
    runs = argc > 1 ? long_repeats : repeats;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
