/**
 * @file bench_convolution.c  Milliseconds of one training step of a convolutional network, and
 * seconds of its kernel, on one core.
 *
 *   bench_convolution [--side H] [--colours C] [--width W] [--batch B] [--seconds S]
 *                     [--points N] [--precision double|single] [--kernel full|traced]
 *   bench_convolution --what rates
 *
 * The network: three convolutions of W channels, average pools behind the first two, global
 * average; relu, cross-entropy, plain gradient descent.  With --points the kernel instead of the
 * step. limit_milliseconds, limit_seconds: the same operations at the rate of GEMM measured
 * alongside; that rate alone, in GFLOP/s of either precision, with --what rates. Times are of the
 * CPU: other work on the machine counts little.
 */
#include "bench.h"

#include "ntklens/ntk.h"

#include <time.h>

enum { outputs = 10, most_turns = 200, gemm_order = 512 };

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations a second of one product of square matrices, the best of some. */
static double gemm_rate(nl_precision precision)
{
    const int n = gemm_order;
    const double one = 1.0;
    const float one_f = 1.0F;
    void *a = nl_calloc((size_t)n * (size_t)n, sizeof(double));
    void *c = nl_calloc((size_t)n * (size_t)n, sizeof(double));
    double best = 1e9;

    bench_check(a != NULL && c != NULL, "memory");
    for (int k = 0; k < 20; k++) {
        const double start = cpu_now();

        if (precision == NL_DOUBLE) {
            dgemm_("N", "N", &n, &n, &n, &one, a, &n, a, &n, &one, c, &n);
        } else {
            sgemm_("N", "N", &n, &n, &n, &one_f, a, &n, a, &n, &one_f, c, &n);
        }
        best = fmin(best, cpu_now() - start);
    }
    free(a);
    free(c);
    return 2.0 * n * n * n / best;
}

static nl_net *create_net(int side, int colours, int width)
{
    const nl_net_spec spec = {.kind = NL_CNN,
                              .inputs = side * side * colours,
                              .outputs = outputs,
                              .width = width,
                              .depth = 1,
                              .weight_variance = 2.0,
                              .convolutional = {.image = {side, side, colours},
                                                .stages = 3,
                                                .blocks = {1, 1, 1},
                                                .channel_growth = 1,
                                                .kernel_size = 3,
                                                .branch_scale = 1.0,
                                                .biases = true}};
    nl_net *net = NULL;

    bench_check(nl_net_create(&spec, NL_SGD, &net) == NL_OK, "the network");
    return net;
}

static float *random_images(const nl_net *net, int count)
{
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    const size_t size = (size_t)count * (size_t)net->spec.inputs;
    float *x = nl_calloc(size, sizeof *x);

    bench_check(x != NULL, "memory");
    for (size_t k = 0; k < size; k++) {
        x[k] = (float)nl_rng_normal(&rng);
    }
    return x;
}

/* Forward, gradient, and backward but for the images. */
static double step_flops(const nl_net *net, int batch)
{
    double flops = 0.0;

    for (int l = 0; l < net->layers; l++) {
        flops += (net->layer[l].from < 0 ? 2.0 : 3.0) * nl_layer_forward_flops(&net->layer[l]);
    }
    return flops * batch;
}

static void time_step(const nl_net *net, int batch, double seconds)
{
    const nl_train_spec train = {.loss = NL_CROSS_ENTROPY, .learning_rate = 0.01};
    const double rate = gemm_rate(NL_SINGLE);
    nl_model *model = NULL;
    float *x = random_images(net, batch);
    int *labels = nl_calloc((size_t)batch, sizeof *labels);
    double best = 1e9;
    const double end = cpu_now() + seconds;

    bench_check(labels != NULL && nl_model_create(net, &train, batch, &model) == NL_OK,
                "the model");
    nl_net_initialize(net, 0, nl_model_parameters(model));
    for (long step = 0; step < most_turns && (step < 4 || cpu_now() < end); step++) {
        const double start = cpu_now();

        nl_model_step(model, step, batch, x, labels);
        best = fmin(best, cpu_now() - start);
    }
    printf("{\"name\": \"convolution\", \"side\": %d, \"width\": %d, \"batch\": %d, "
           "\"milliseconds\": %.4g, \"limit_milliseconds\": %.4g, \"gflops\": %.4g}\n",
           net->spec.convolutional.image.height, net->spec.width, batch, 1e3 * best,
           1e3 * step_flops(net, batch) / rate, 1e-9 * step_flops(net, batch) / best);
    nl_model_destroy(&model);
    free(x);
    free(labels);
}

static void time_kernel(const nl_net *net, int points, nl_precision precision, bool traced)
{
    const nl_kernel_spec kernel = {.kind = traced ? NL_KERNEL_TRACED : NL_KERNEL_FULL};
    const int n = nl_kernel_order(kernel, points, outputs);
    const double rate = gemm_rate(precision);
    float *x = random_images(net, points);
    float *theta = nl_calloc(net->size, sizeof *theta);
    nl_kept_memory kept = {0}; /* as from state to state */
    nl_kernel_input input = {.net = net,
                             .theta = theta,
                             .probe = x,
                             .samples = points,
                             .panel_bytes = 512e6,
                             .kept = &kept};
    nl_grid *grid = NULL;
    nl_dmat *a = NULL;
    double best = 1e9;

    bench_check(theta != NULL && nl_grid_create(MPI_COMM_SELF, 1, 1, &grid) == NL_OK &&
                    nl_dmat_create(grid, n, nl_kernel_block(kernel, outputs, 80), precision, &a) ==
                        NL_OK,
                "the matrix");
    nl_net_initialize(net, 0, theta);
    for (int k = 0; k < 3; k++) {
        const double start = cpu_now();

        bench_check(nl_kernel_fill(a, kernel, &input) == NL_OK, "the kernel");
        best = fmin(best, cpu_now() - start);
    }
    printf("{\"name\": \"convolution-kernel\", \"width\": %d, \"points\": %d, \"kernel\": \"%s\", "
           "\"precision\": \"%s\", \"seconds\": %.4g, \"limit_seconds\": %.4g}\n",
           net->spec.width, points, traced ? "traced" : "full", bench_precision_name(precision),
           best, nl_kernel_flops(net, kernel, points) / rate);
    nl_kept_memory_free(&kept);
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
    free(x);
    free(theta);
}

int main(int argc, char **argv)
{
    const int points = bench_number(argc, argv, "points", 0);
    nl_net *net =
        create_net(bench_number(argc, argv, "side", 32), bench_number(argc, argv, "colours", 3),
                   bench_number(argc, argv, "width", 16));
    int provided = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    nl_blas_set_threads(1);
    if (strcmp(bench_option(argc, argv, "what", ""), "rates") == 0) {
        printf("{\"name\": \"rates\", \"single\": %.4g, \"double\": %.4g}\n",
               1e-9 * gemm_rate(NL_SINGLE), 1e-9 * gemm_rate(NL_DOUBLE));
    } else if (points > 0) {
        time_kernel(net, points, bench_precision(argc, argv),
                    strcmp(bench_option(argc, argv, "kernel", "full"), "traced") == 0);
    } else {
        time_step(net, bench_number(argc, argv, "batch", 32),
                  strtod(bench_option(argc, argv, "seconds", "2"), NULL));
    }
    nl_net_destroy(&net);
    MPI_Finalize();
    return 0;
}
