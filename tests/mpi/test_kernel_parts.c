/** @file test_kernel_parts.c  Kernels of convolutional and residual networks against products of
 *  explicit Jacobians, on every grid, whatever the memory. */
#include "convolutional_subject.h"
#include "linalg_fixture.h"

enum { samples = 9, classes = convolutional_classes };

static const double memory_for_all = 1e9;

/* Inner product of two rows of J, each layer by its rate where asked. */
static double product(const subject *s, int row, int col, bool weighted)
{
    const double *a = s->jacobian + (size_t)row * s->net->size;
    const double *b = s->jacobian + (size_t)col * s->net->size;
    double sum = 0.0;

    for (int l = 0; l < s->net->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];

        for (size_t k = layer->weights; k < layer->biases + (size_t)layer->fan_out; k++) {
            const double rate = k < layer->biases ? layer->weight_rate : layer->bias_rate;

            sum += (weighted ? rate : 1.0) * a[k] * b[k];
        }
    }
    return sum;
}

static double entry(const subject *s, nl_kernel_spec spec, int i, int j)
{
    double sum = 0.0;

    if (spec.kind == NL_KERNEL_FULL) {
        return product(s, i, j, spec.rate_weighted);
    }
    if (spec.kind == NL_KERNEL_CLASS) {
        return product(s, i * classes + spec.output, j * classes + spec.output, spec.rate_weighted);
    }
    for (int a = 0; a < classes; a++) {
        sum += product(s, i * classes + a, j * classes + a, spec.rate_weighted);
    }
    return sum / classes;
}

/** One kernel on a grid. */
typedef struct kernel_case {
    const subject *subject;
    nl_kernel_spec spec;
    nl_precision precision;
} kernel_case;

static double value_at(const nl_dmat *a, int row, int col)
{
    const size_t at = (size_t)col * (size_t)a->ld + (size_t)row;

    return a->precision == NL_DOUBLE ? ((const double *)a->local)[at]
                                     : (double)((const float *)a->local)[at];
}

/* Over sqrt(Theta_ii Theta_jj), of the lower half. */
static bool is_right(const nl_dmat *a, const kernel_case *c)
{
    const double tolerance = a->precision == NL_DOUBLE ? 1e-13 : 2e-5;

    for (int col = 0; col < a->local_cols; col++) {
        for (int row = 0; row < a->local_rows; row++) {
            const int i = nl_dmat_global_row(a, row);
            const int j = nl_dmat_global_col(a, col);
            const double scale =
                sqrt(entry(c->subject, c->spec, i, i) * entry(c->subject, c->spec, j, j));

            if (i >= j && !(fabs(value_at(a, row, col) - entry(c->subject, c->spec, i, j)) <=
                            tolerance * scale)) {
                return false;
            }
        }
    }
    return true;
}

static bool same_lower_half(const nl_dmat *a, const nl_dmat *b)
{
    for (int col = 0; col < a->local_cols; col++) {
        for (int row = 0; row < a->local_rows; row++) {
            if (nl_dmat_global_row(a, row) >= nl_dmat_global_col(a, col) &&
                value_at(a, row, col) != value_at(b, row, col)) {
                return false;
            }
        }
    }
    return true;
}

/** Where tiles go. */
typedef struct sink {
    nl_dmat *a;
} sink;

static void collect_tile(int row, int rows, int col, int cols, const void *values, void *context)
{
    const sink *s = context;
    const size_t size = nl_precision_bytes(s->a->precision);

    for (int j = 0; j < cols; j++) {
        memcpy((char *)s->a->local + ((size_t)(col + j) * (size_t)s->a->ld + (size_t)row) * size,
               (const char *)values + (size_t)j * (size_t)rows * size, (size_t)rows * size);
    }
}

/* The same bits from gradients that serve all kernels of a state, where these took the place of
 * another state's; with no gradients of its own it has nothing to read but those. */
static bool check_ready(nl_dmat *to, const nl_dmat *a, const kernel_case *c, nl_kernel_input input)
{
    float *other = nl_calloc(input.net->size, sizeof *other);
    nl_kernel_input before = input;
    nl_chunk_gradients *gradients = NULL;
    bool good = other != NULL;

    input.panel_bytes = before.panel_bytes = memory_for_all;
    before.theta = other;
    good = good && nl_kernel_gradients_fit(&input, c->precision) &&
           nl_kernel_gradients(&before, c->precision, &gradients) == NL_OK &&
           nl_kernel_gradients(&input, c->precision, &gradients) == NL_OK;
    input.gradients = gradients;
    if (c->spec.kind != NL_KERNEL_CLASS && !c->spec.rate_weighted) {
        input.theta = other;
    }
    good = good && nl_kernel_fill(to, c->spec, &input) == NL_OK && same_lower_half(a, to);
    input.panel_bytes = 1.0;
    good = good && !nl_kernel_gradients_fit(&input, c->precision);
    nl_chunk_gradients_destroy(&gradients);
    free(other);
    return good;
}

/* Right with room for all parts, the same bits with less, tile by tile, and from what is ready. */
static bool check_kernel(const nl_grid *grid, const kernel_case *c)
{
    static const double memories[] = {memory_for_all, 3e4, 1.0};
    nl_kernel_input input = {.net = c->subject->net,
                             .theta = c->subject->theta,
                             .probe = c->subject->probe,
                             .samples = samples};
    const int n = nl_kernel_order(c->spec, samples, classes);
    const int nb = nl_kernel_block(c->spec, classes, 4);
    nl_dmat *a = NULL;
    nl_dmat *b = NULL;
    sink s = {0};
    bool good = nl_dmat_create(grid, n, nb, c->precision, &a) == NL_OK &&
                nl_dmat_create(grid, n, nb, c->precision, &b) == NL_OK;

    for (size_t k = 0; good && k < NL_COUNT(memories); k++) {
        nl_dmat *to = k == 0 ? a : b;

        memset(to->local, 0xff,
               (size_t)to->ld * (size_t)to->local_cols * nl_precision_bytes(c->precision));
        input.panel_bytes = memories[k];
        good = nl_kernel_fill(to, c->spec, &input) == NL_OK &&
               (k == 0 ? is_right(a, c) : same_lower_half(a, b));
    }
    s.a = b;
    good = good && nl_kernel_for_each_tile(a, c->spec, &input, collect_tile, &s) == NL_OK &&
           same_lower_half(a, b);
    good = good && (grid->rows * grid->cols > 1 || check_ready(b, a, c, input));
    nl_dmat_destroy(&a);
    nl_dmat_destroy(&b);
    return good;
}

static bool check_all(const nl_grid *grid, const void *context)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 2, false},
        {NL_KERNEL_FULL, 0, true},  {NL_KERNEL_TRACED, 0, true},
    };
    kernel_case c = {.subject = context};
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        c.spec = specs[k];
        c.precision = NL_DOUBLE;
        good = check_kernel(grid, &c) && good;
        if (grid->rows * grid->cols <= 2) {
            c.precision = NL_SINGLE;
            good = check_kernel(grid, &c) && good;
        }
    }
    return good;
}

static bool same_traces(const nl_probe_state *a, const nl_probe_state *b)
{
    const size_t traces = (size_t)a->layers * (size_t)a->outputs * sizeof(double);
    const size_t outputs = (size_t)a->samples * (size_t)a->outputs * sizeof(double);

    return memcmp(a->weight_trace, b->weight_trace, traces) == 0 &&
           memcmp(a->bias_trace, b->bias_trace, traces) == 0 &&
           memcmp(a->probability, b->probability, outputs) == 0;
}

/* Of each layer and output against the Jacobian. */
static bool traces_are_right(const subject *s, const nl_probe_state *state)
{
    for (int l = 0; l < state->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];

        for (int a = 0; layer->fan_out > 0 && a < classes; a++) {
            double sums[2] = {0};

            for (int i = 0; i < samples; i++) {
                const double *row = s->jacobian + (size_t)(i * classes + a) * s->net->size;

                for (size_t k = layer->weights; k < layer->biases + (size_t)layer->fan_out; k++) {
                    sums[k >= layer->biases] += row[k] * row[k];
                }
            }
            if (!(fabs(state->weight_trace[l * classes + a] - sums[0]) <= 1e-12 * sums[0]) ||
                !(fabs(state->bias_trace[l * classes + a] - sums[1]) <= 1e-12 * sums[1])) {
                return false;
            }
        }
    }
    return true;
}

/* The same bits from gradients that are ready, and from a few samples and chunks at a time. */
static bool check_traces(const subject *s)
{
    static const int labels[samples] = {0};
    nl_kernel_input input = {.net = s->net,
                             .theta = s->theta,
                             .probe = s->probe,
                             .samples = samples,
                             .panel_bytes = 1.0};
    nl_probe_state *by_parts = NULL;
    nl_probe_state *ready = NULL;
    nl_chunk_gradients *gradients = NULL;
    bool good = nl_probe_state_create(MPI_COMM_SELF, &input, NL_MSE, labels, &by_parts) == NL_OK;

    input.panel_bytes = memory_for_all;
    good = good && nl_kernel_gradients(&input, NL_DOUBLE, &gradients) == NL_OK;
    input.gradients = gradients;
    good = good && nl_probe_state_create(MPI_COMM_SELF, &input, NL_MSE, labels, &ready) == NL_OK &&
           same_traces(by_parts, ready) && traces_are_right(s, ready);
    nl_probe_state_destroy(&by_parts);
    nl_probe_state_destroy(&ready);
    nl_chunk_gradients_destroy(&gradients);
    return good;
}

static void kernels_equal_products_of_jacobians(void **state)
{
    int ranks = 0;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (int kind = NL_CNN; kind <= NL_RESNET; kind++) {
        /* How entries lie on a larger grid does not depend on these. */
        for (int p = ranks > 2 ? NL_MUP : 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            for (int plain = 0; plain < 2; plain++) {
                const nl_net_spec spec =
                    convolutional_spec((nl_net_kind)kind, (nl_parametrization)p, plain != 0);
                subject s = create_convolutional_subject(samples, &spec);

                expect_all(MPI_COMM_WORLD, s.net != NULL);
                expect_all(MPI_COMM_WORLD, check_traces(&s));
                expect_on_every_grid(check_all, &s);
                destroy_subject(&s);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_equal_products_of_jacobians),
    };
    int failures = 0;

    MPI_Init(&argc, &argv);
    nl_blas_set_threads(1);
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failures;
}
