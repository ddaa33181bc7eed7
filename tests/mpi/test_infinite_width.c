/** @file test_infinite_width.c  Kernels of sampled wide networks against the closed forms; one
 * rank.
 *
 * Of every entry of the full kernel the mean over networks is compared with the closed form, in
 * units of its standard error, which the networks themselves give.  Entries of one network vary
 * together (the norm of a layer's output scales them all), so their root mean square z is about 1,
 * but scatters more than that of independent numbers.
 *
 *     test_infinite_width [width networks depths]      print the table for other numbers */
#include "ntklens/ntk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { samples = 16, inputs = 32, outputs = 6, order = samples * outputs, cases = 8 };

static const double panel_bytes = 1e9;

/** How many, how wide, and what is asked of them. */
typedef struct scale {
    int width, networks, depths;
    double most_z, most_difference;
} scale;

/** Of a case: the closed form, and how the networks' entries deviate from it. */
typedef struct moments {
    nl_net *net;
    double closed[samples * samples];
    double sum[order * order], squares[order * order];
} moments;

static const scale quick = {512, 64, 2, 1.3, 0.015};
static const scale whole = {4096, 64, 3, 1.3, 0.005};

/* Of all lengths and angles: two nearly equal, two opposite, one short, one long. */
static void draw_probe(float *x)
{
    nl_rng rng = nl_rng_open(21, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    for (int k = 0; k < samples * inputs; k++) {
        x[k] = (float)nl_rng_normal(&rng);
    }
    for (int c = 0; c < inputs; c++) {
        x[inputs + c] = x[c] + 0.1F * x[inputs + c];
        x[3 * inputs + c] = -x[2 * inputs + c];
        x[4 * inputs + c] *= 0.2F;
        x[5 * inputs + c] *= 3.0F;
    }
}

/* relu, erf; with and without biases that are drawn; standard, ntk */
static nl_net_spec case_spec(int c, int width, int depth)
{
    return (nl_net_spec){.inputs = inputs,
                         .outputs = outputs,
                         .width = width,
                         .depth = depth,
                         .activation = c % 2 == 0 ? NL_RELU : NL_ERF,
                         .parametrization = c / 4 == 0 ? NL_STANDARD : NL_NTK,
                         .weight_variance = 1.6,
                         .bias_variance = c / 2 % 2 == 0 ? 0.5 : 0.0};
}

static void kernel_of(const nl_grid *grid, const nl_net *net, const float *theta,
                      const float *probe, double *full)
{
    const nl_kernel_spec spec = {NL_KERNEL_FULL, 0, false};
    const nl_kernel_input input = {
        .net = net, .theta = theta, .probe = probe, .samples = samples, .panel_bytes = panel_bytes};
    nl_dmat *a = NULL;

    assert_int_equal(nl_dmat_create(grid, order, order, NL_DOUBLE, &a), NL_OK);
    assert_int_equal(nl_kernel_fill(a, spec, &input), NL_OK);
    assert_int_equal(nl_dmat_gather(a, 0, full), NL_OK);
    nl_dmat_destroy(&a);
}

/* The draw without biases is the draw with them but for the biases: weights come first in their
 * stream.  That of relu is that of erf. */
static void drop_biases(const nl_net *net, float *theta)
{
    for (int l = 0; l < net->layers; l++) {
        for (int k = 0; k < net->layer[l].fan_out; k++) {
            theta[net->layer[l].biases + (size_t)k] = 0.0F;
        }
    }
}

static void add_network(const nl_grid *grid, moments *of, uint32_t seed, const float *probe,
                        float *theta)
{
    double full[order * order];

    for (int c = 0; c < cases; c++) {
        if (c % 4 == 0) {
            nl_net_initialize(of[c].net, seed, theta);
        } else if (c % 4 == 2) {
            drop_biases(of[c].net, theta);
        }
        kernel_of(grid, of[c].net, theta, probe, full);
        for (int e = 0; e < order * order; e++) {
            const int i = e / order;
            const int j = e % order;
            const bool same = i % outputs == j % outputs;
            const double miss =
                full[e] - (same ? of[c].closed[i / outputs * samples + j / outputs] : 0.0);

            of[c].sum[e] += miss;
            of[c].squares[e] += miss * miss;
        }
    }
}

/** How a case's networks deviate from the closed form. */
typedef struct verdict {
    double z;         /* root mean square over entries, in standard errors */
    double mean;      /* of the mean over entries of the traced kernel, relative */
    double frobenius; /* of the traced kernel, relative */
} verdict;

/* Squared deviation in standard errors.  What does not vary (x and -x share no relu unit) is exact
 * but for rounding: of an angle of pi about the root of eps. */
static double square_z(double sum, double squares, int networks, double largest)
{
    const double mean = sum / networks;
    const double error2 = (squares / networks - mean * mean) / (networks - 1);
    const double rounding = 1e-7 * largest;

    return mean * mean / (fmax(error2, 0.0) + rounding * rounding);
}

static verdict judge(const moments *m, int networks)
{
    verdict v = {0};
    double entries = 0.0;
    double difference2 = 0.0;
    double sum = 0.0;
    double norm2 = 0.0;

    for (int e = 0; e < order * order; e++) {
        v.z += square_z(m->sum[e], m->squares[e], networks, m->closed[0]) / (order * order);
    }
    for (int i = 0; i < samples; i++) {
        for (int j = 0; j < samples; j++) {
            const double closed = m->closed[i * samples + j];
            double miss = 0.0;

            for (int a = 0; a < outputs; a++) {
                miss += m->sum[(i * outputs + a) * order + j * outputs + a] / outputs / networks;
            }
            entries += miss;
            sum += closed;
            difference2 += miss * miss;
            norm2 += closed * closed;
        }
    }
    v.z = sqrt(v.z);
    v.mean = fabs(entries / sum);
    v.frobenius = sqrt(difference2 / norm2);
    return v;
}

static void closed_form(const nl_net *net, const float *probe, double *out)
{
    nl_infinite *k = NULL;
    int list[samples];

    for (int i = 0; i < samples; i++) {
        list[i] = i;
    }
    assert_int_equal(nl_infinite_create(net, NL_INFINITE_AT_WIDTH, false, samples, probe, &k),
                     NL_OK);
    nl_infinite_block(k, NL_INFINITE_NTK, &(nl_sample_pairs){samples, samples, list, list}, out,
                      samples);
    nl_infinite_destroy(&k);
}

static bool case_is_good(const moments *m, const scale *s)
{
    const nl_net_spec *spec = &m->net->spec;
    const verdict v = judge(m, s->networks);

    print_message("depth %d  %-8s  %-4s  sb2 %.1f   rms z %.2f   mean off by %.2f %%, entries by "
                  "%.2f %%\n",
                  spec->depth, nl_parametrization_name(spec->parametrization),
                  nl_activation_name(spec->activation), spec->bias_variance, v.z, 1e2 * v.mean,
                  1e2 * v.frobenius);
    return v.z <= s->most_z && v.mean <= s->most_difference;
}

static bool depth_is_good(const nl_grid *grid, const scale *s, int depth)
{
    float probe[samples * inputs];
    moments *of = nl_calloc(cases, sizeof *of);
    float *theta = NULL;
    bool good = true;

    draw_probe(probe);
    for (int c = 0; c < cases; c++) {
        const nl_net_spec spec = case_spec(c, s->width, depth);

        assert_int_equal(nl_net_create(&spec, NL_SGD, &of[c].net), NL_OK);
        closed_form(of[c].net, probe, of[c].closed);
    }
    theta = nl_calloc(of[0].net->size, sizeof *theta);
    for (int k = 0; k < s->networks; k++) {
        add_network(grid, of, (uint32_t)k, probe, theta);
    }
    for (int c = 0; c < cases; c++) {
        good = case_is_good(&of[c], s) && good;
        nl_net_destroy(&of[c].net);
    }
    free(theta);
    free(of);
    return good;
}

static void sampled_networks_have_the_closed_form(void **state)
{
    const scale *s = *state;
    nl_grid *grid = NULL;
    bool good = true;

    assert_int_equal(nl_grid_create(MPI_COMM_SELF, 1, 1, &grid), NL_OK);
    print_message("%d networks of width %d\n", s->networks, s->width);
    for (int depth = 1; depth <= s->depths; depth++) {
        good = depth_is_good(grid, s, depth) && good;
    }
    nl_grid_destroy(&grid);
    assert_true(good);
}

/* What sampling above takes for granted. */
static void draws_differ_in_biases_only(void **state)
{
    (void)state;
    for (int c = 0; c < cases; c++) {
        const nl_net_spec spec = case_spec(c, 20, 2);
        const nl_net_spec drawn = case_spec(c / 4 * 4, 20, 2);
        nl_net *net = NULL;
        nl_net *from = NULL;
        float *theta = NULL;
        float *expected = NULL;

        assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
        assert_int_equal(nl_net_create(&drawn, NL_SGD, &from), NL_OK);
        theta = nl_calloc(net->size, sizeof *theta);
        expected = nl_calloc(net->size, sizeof *expected);
        nl_net_initialize(net, 4, theta);
        nl_net_initialize(from, 4, expected);
        if (spec.bias_variance == 0.0) {
            drop_biases(net, expected);
        }
        for (size_t k = 0; k < net->size; k++) {
            assert_true(theta[k] == expected[k]);
        }
        free(theta);
        free(expected);
        nl_net_destroy(&net);
        nl_net_destroy(&from);
    }
}

int main(int argc, char **argv)
{
    scale given = argc > 1 ? whole : quick;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_differ_in_biases_only),
        cmocka_unit_test_prestate(sampled_networks_have_the_closed_form, &given),
    };
    int provided = 0;
    int failed = 0;

    if (argc == 4) {
        given.width = atoi(argv[1]);
        given.networks = atoi(argv[2]);
        given.depths = atoi(argv[3]);
    }
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    nl_blas_set_threads(1);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
