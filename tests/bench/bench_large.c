/**
 * @file bench_large.c  Seconds of what a kernel of many samples is made of without being formed, of
 * an MLP 784-W-...-W-10 on pixels that are drawn.
 *
 *   mpirun -n R bench_large [--what dual|product] [--width W] [--depth D] [--points N]
 *                           [--precision double|single] [--repeats R]
 *
 * dual: J^T J filled, factors apart (factor_seconds).  limit_seconds: the sums that are not zero,
 * on and below the diagonal of each layer's blocks, at the rate of GEMM measured alongside.
 * product: a block of vectors with the kernel, in single precision; limit_seconds: 4 N P operations
 * a vector.  On several ranks: of the slowest one, and of its share.
 */
#include "bench.h"

#include "ntklens/dual.h"
#include "ntklens/factors.h"
#include "ntklens/kernel_operator.h"

enum { inputs = 784, outputs = 10, wanted_block = 32, panel = 512 };

/** A network and what it is shown. */
typedef struct subject {
    nl_net *net;
    float *theta, *probe;
    nl_grid *grid;
    nl_kernel_input input;
} subject;

static const nl_kernel_spec full = {.kind = NL_KERNEL_FULL};

static void create_subject(int argc, char **argv, subject *s)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = bench_number(argc, argv, "width", 8),
                              .depth = bench_number(argc, argv, "depth", 2),
                              .weight_variance = 2.0};
    const int points = bench_number(argc, argv, "points", 6000);
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    int ranks = 1;
    int rows = 1;
    int cols = 1;

    bench_check(nl_net_create(&spec, NL_SGD, &s->net) == NL_OK, "the network");
    s->theta = nl_calloc(s->net->size, sizeof *s->theta);
    s->probe = nl_calloc((size_t)points * inputs, sizeof *s->probe);
    bench_check(s->probe != NULL && s->theta != NULL, "memory");
    nl_net_initialize(s->net, 0, s->theta);
    for (int k = 0; k < points * inputs; k++) {
        s->probe[k] = (float)nl_rng_normal(&rng);
    }
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    nl_grid_shape(ranks, &rows, &cols);
    bench_check(rows * cols == ranks, "a grid of all ranks");
    bench_check(nl_grid_create(MPI_COMM_WORLD, rows, cols, &s->grid) == NL_OK, "the grid");
    s->input = (nl_kernel_input){.net = s->net,
                                 .theta = s->theta,
                                 .probe = s->probe,
                                 .samples = points,
                                 .panel_bytes = 64.0 * 1024 * 1024};
}

static void destroy_subject(subject *s)
{
    nl_grid_destroy(&s->grid);
    nl_net_destroy(&s->net);
    free(s->theta);
    free(s->probe);
}

/*---------------------------------------------------------------------------------------------
 * Sums of the dual that are not zero
 *-------------------------------------------------------------------------------------------*/

static double back_signal(const nl_factors *f, int l, int sample, int output, int unit)
{
    const size_t fan_out = (size_t)f->net->layer[l].fan_out;

    return f->delta[l] == NULL
               ? (output == unit ? 1.0 : 0.0)
               : ((const double *)
                      f->delta[l])[((size_t)sample * outputs + (size_t)output) * fan_out +
                                   (size_t)unit];
}

static bool couples(const nl_factors *f, int sample, int l, int k, int m, int j)
{
    double sum = 0.0;

    for (int a = 0; a < outputs; a++) {
        sum += back_signal(f, l, sample, a, k) * back_signal(f, m, sample, a, j);
    }
    return sum != 0.0;
}

/* Of one sample: pairs of units of a layer; units of a lower one with anything of an upper. */
static double sample_flops(const nl_factors *f, int sample)
{
    double flops = 0.0;

    for (int l = 0; l < f->layers; l++) {
        const nl_layer *upper = &f->net->layer[l];
        const double rows = upper->fan_in + 1.0;
        const bool last = upper->role == NL_ROLE_OUTPUT;

        flops += last ? rows * rows : 0.0;
        for (int k = 0; !last && k < upper->fan_out; k++) {
            for (int j = 0; j <= k; j++) {
                flops += couples(f, sample, l, k, l, j) ? rows * rows : 0.0;
            }
        }
        for (int m = 0; m < l; m++) {
            for (int j = 0; j < f->net->layer[m].fan_out; j++) {
                bool any = false;

                for (int k = 0; !any && k < upper->fan_out; k++) {
                    any = couples(f, sample, l, k, m, j);
                }
                flops += any ? 2.0 * rows * upper->fan_out * (f->net->layer[m].fan_in + 1.0) : 0.0;
            }
        }
    }
    return flops;
}

static double dual_flops(const subject *s)
{
    nl_factors *factors = NULL;
    int list[panel];
    double flops = 0.0;

    bench_check(nl_factors_create(s->net, NL_DOUBLE, panel, &factors) == NL_OK, "factors");
    for (int first = 0; first < s->input.samples; first += panel) {
        const int count = nl_smaller(panel, s->input.samples - first);

        for (int k = 0; k < count; k++) {
            list[k] = first + k;
        }
        nl_factors_compute(factors, s->theta, s->probe, count, list);
        for (int k = 0; k < count; k++) {
            flops += sample_flops(factors, k);
        }
    }
    nl_factors_destroy(&factors);
    return flops;
}

/*---------------------------------------------------------------------------------------------
 * What is timed
 *-------------------------------------------------------------------------------------------*/

static void time_dual(const subject *s, nl_precision precision, double *make, double *fill)
{
    double start = nl_now();
    nl_dual *dual = NULL;
    nl_dmat *a = NULL;

    bench_check(nl_dual_create(&s->input, full, precision, &dual) == NL_OK, "the dual");
    *make = nl_now() - start;
    bench_check(nl_dmat_create(s->grid, nl_dual_order(dual), nl_dual_block(s->net, wanted_block),
                               precision, &a) == NL_OK,
                "the matrix");
    MPI_Barrier(MPI_COMM_WORLD);
    start = nl_now();
    bench_check(nl_dual_fill(a, dual, NULL) == NL_OK, "the fill");
    *fill = nl_now() - start;
    nl_dmat_destroy(&a);
    nl_dual_destroy(&dual);
}

static void time_product(const subject *s, int repeats, double *make, double *product)
{
    const nl_gradients g = {s->grid, &s->input, full};
    double start = nl_now();
    double *x = NULL;
    nl_kernel_operator *op = NULL;

    bench_check(nl_kernel_operator_create(&g, (double)(1 << 30), &op) == NL_OK, "the operator");
    *make = nl_now() - start;
    {
        const size_t size = (size_t)nl_kernel_operator_order(op) * nl_kernel_operator_columns;
        nl_rng rng = nl_rng_open(1, NL_PURPOSE_SELF_TEST, 0, 0, 0);

        x = nl_calloc(2 * size, sizeof *x);
        bench_check(x != NULL, "memory");
        for (size_t k = 0; k < size; k++) {
            x[k] = nl_rng_normal(&rng);
        }
        for (int turn = 0; turn < repeats; turn++) {
            MPI_Barrier(MPI_COMM_WORLD);
            start = nl_now();
            bench_check(nl_kernel_operator_apply(nl_kernel_operator_columns, x, x + size, op) ==
                            NL_OK,
                        "the product");
            product[turn] = nl_now() - start;
        }
    }
    free(x);
    nl_kernel_operator_destroy(&op);
}

int main(int argc, char **argv)
{
    const nl_precision precision = bench_precision(argc, argv);
    const bool dual = strcmp(bench_option(argc, argv, "what", "dual"), "dual") == 0;
    const int repeats = bench_repeats(argc, argv, 3);
    double seconds[bench_most_repeats];
    double most[2] = {0};
    double rate = 0.0;
    double flops = 0.0;
    subject s = {0};
    int ranks = 1;
    int rank = 0;

    MPI_Init(&argc, &argv);
    nl_blas_set_threads(1);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    create_subject(argc, argv, &s);
    if (dual) {
        for (int turn = 0; turn < repeats; turn++) {
            time_dual(&s, precision, &most[0], &seconds[turn]);
        }
        flops = dual_flops(&s);
    } else {
        time_product(&s, repeats, &most[0], seconds);
        flops = 4.0 * s.input.samples * (double)s.net->size * nl_kernel_operator_columns;
    }
    rate = 1e9 * nl_blas_speed(dual ? precision : NL_SINGLE);
    most[1] = bench_best(repeats, seconds);
    MPI_Allreduce(MPI_IN_PLACE, most, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (rank == 0) {
        printf("{\"name\": \"large\", \"what\": \"%s\", \"points\": %d, \"width\": %d, \"ranks\": "
               "%d, \"seconds\": %.9g, \"factor_seconds\": %.9g, \"limit_seconds\": %.9g, "
               "\"gemm_gflops\": %.4g, \"gflops\": %.4g}\n",
               dual ? "dual" : "product", s.input.samples, s.net->spec.width, ranks, most[1],
               most[0], flops / rate / ranks, 1e-9 * rate, 1e-9 * flops / most[1]);
    }
    destroy_subject(&s);
    MPI_Finalize();
    return 0;
}
