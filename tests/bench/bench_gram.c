/**
 * @file bench_gram.c  Seconds of one kernel of an MLP 784-W-...-W-10, back-signals included, on one
 * rank.
 *
 *   bench_gram [--width W] [--depth D] [--points N] [--precision double|single]
 *              [--kernel full|traced] [--repeats R]
 *
 * limit_seconds: the lower half of the hidden layers' back-signal Grams and the back-signals at the
 * rate of GEMM measured alongside.  What is made by pairs of outputs, or in small products, can be
 * quicker than that.  check_seconds: to hold the kernel against its network's Jacobian afterwards.
 */
#include "bench.h"

#include "ntklens/ntk.h"

enum { inputs = 784, outputs = 10, block = 64 };

static double counted_flops(const nl_net *net, nl_kernel_spec kernel, int points)
{
    const double n = nl_kernel_order(kernel, points, outputs);
    const double summed = kernel.kind == NL_KERNEL_TRACED ? outputs : 1.0;
    double flops = 0.0;

    for (int l = nl_net_last_hidden(net); l >= 0; l = net->layer[l].from) {
        flops += n * (n + 1.0) * net->layer[l].fan_out * summed;
        if (net->layer[l].from >= 0) {
            flops += points * outputs * nl_layer_forward_flops(&net->layer[l]);
        }
    }
    return flops;
}

/* Factors that fit at once are made beforehand, as a study does. */
static double fill_seconds(nl_dmat *a, nl_kernel_spec kernel, nl_kernel_input *input,
                           nl_factors **factors)
{
    const double start = nl_now();

    input->ready = NULL;
    if (nl_kernel_one_panel(input, a->precision)) {
        bench_check(nl_kernel_factors(input, a->precision, factors) == NL_OK, "factors");
        input->ready = *factors;
    }
    bench_check(nl_kernel_fill(a, kernel, input) == NL_OK, "the kernel");
    return nl_now() - start;
}

/* What the kernel says to its check, outside the time. */
static nl_kernel_sums sums_of(const nl_dmat *a, nl_kernel_spec kernel, const nl_trust *trust,
                              const nl_probe_state *state)
{
    double *v = nl_calloc((size_t)a->n, sizeof *v);
    nl_kernel_sums sums = {0};
    nl_observables observed = nl_observables_unknown();

    bench_check(v != NULL, "memory");
    nl_trust_vector(trust, kernel, v);
    bench_check(nl_dmat_moments(a, &sums.trace, &sums.frobenius2) == NL_OK &&
                    nl_observe_matrix(a, kernel, state, v, &sums, &observed) == NL_OK,
                "the sums");
    free(v);
    return sums;
}

static double check_seconds(const nl_dmat *a, nl_kernel_spec kernel, const nl_kernel_input *input)
{
    int *labels = nl_calloc((size_t)input->samples, sizeof *labels);
    nl_probe_state *state = NULL;
    nl_trust *trust = NULL;
    nl_kernel_sums sums;
    double deviation = 0.0;
    double seconds = nl_now();

    bench_check(labels != NULL && nl_trust_create(a->grid, input, &trust) == NL_OK, "the check");
    seconds -= nl_now();
    bench_check(nl_probe_state_create(MPI_COMM_SELF, input, NL_MSE, labels, &state) == NL_OK,
                "the probe");
    sums = sums_of(a, kernel, trust, state);
    seconds += nl_now();
    bench_check(nl_trust_deviation(trust, kernel, a->precision, &sums, state->gradient,
                                   &deviation) == NL_OK &&
                    deviation <= 1.0,
                "the check");
    seconds = nl_now() - seconds;
    nl_trust_destroy(&trust);
    nl_probe_state_destroy(&state);
    free(labels);
    return seconds;
}

int main(int argc, char **argv)
{
    const nl_precision precision = bench_precision(argc, argv);
    const bool traced = strcmp(bench_option(argc, argv, "kernel", "full"), "traced") == 0;
    const nl_kernel_spec kernel = {.kind = traced ? NL_KERNEL_TRACED : NL_KERNEL_FULL};
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = bench_number(argc, argv, "width", 512),
                              .depth = bench_number(argc, argv, "depth", 2),
                              .weight_variance = 2.0};
    const int points = bench_number(argc, argv, "points", 400);
    const int repeats = bench_repeats(argc, argv, 5);
    const int n = nl_kernel_order(kernel, points, outputs);
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    float *probe = nl_calloc((size_t)points * inputs, sizeof *probe);
    double seconds[bench_most_repeats];
    double check[bench_most_repeats];
    float *theta = NULL;
    nl_net *net = NULL;
    nl_grid *grid = NULL;
    nl_dmat *a = NULL;
    nl_factors *factors = NULL;
    double rate = 0.0;
    double flops = 0.0;

    MPI_Init(&argc, &argv);
    nl_blas_set_threads(1);
    bench_check(nl_net_create(&spec, NL_SGD, &net) == NL_OK, "the network");
    theta = nl_calloc(net->size, sizeof *theta);
    bench_check(probe != NULL && theta != NULL, "memory");
    nl_net_initialize(net, 0, theta);
    for (int k = 0; k < points * inputs; k++) {
        probe[k] = (float)nl_rng_uniform(&rng);
    }
    bench_check(nl_grid_create(MPI_COMM_SELF, 1, 1, &grid) == NL_OK, "the grid");
    bench_check(nl_dmat_create(grid, n, nl_kernel_block(kernel, outputs, block), precision, &a) ==
                    NL_OK,
                "the matrix");
    {
        nl_kernel_input input = {.net = net,
                                 .theta = theta,
                                 .probe = probe,
                                 .samples = points,
                                 .panel_bytes = 64.0 * 1024 * 1024};

        fill_seconds(a, kernel, &input, &factors);
        for (int turn = 0; turn < repeats; turn++) {
            seconds[turn] = fill_seconds(a, kernel, &input, &factors);
            check[turn] = check_seconds(a, kernel, &input);
        }
    }
    rate = nl_blas_speed(precision);
    flops = 1e-9 * counted_flops(net, kernel, points);
    printf("{\"name\": \"gram\", \"kernel\": \"%s\", \"n\": %d, \"width\": %d, \"precision\": "
           "\"%s\", \"seconds\": %.9g, \"check_seconds\": %.9g, \"limit_seconds\": %.9g, "
           "\"gemm_gflops\": %.4g, \"gflops\": "
           "%.4g}\n",
           traced ? "traced" : "full", n, spec.width, bench_precision_name(precision),
           bench_best(repeats, seconds), bench_best(repeats, check), flops / rate, rate,
           flops / bench_best(repeats, seconds));
    nl_factors_destroy(&factors);
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
    nl_net_destroy(&net);
    free(theta);
    free(probe);
    MPI_Finalize();
    return 0;
}
