/** @file test_kernel.c  Kernels against products of explicit Jacobians, on every grid. */
#include "ntklens/ntk.h"

#include "linalg_fixture.h"
#include "mlp_subject.h"

enum { few_samples = 11, inputs = 5, few_classes = 3, few_units = 8 };

static const double panel_all = 1e9;

static subject create_sized_subject(int samples, int classes, int width, nl_activation activation,
                                    nl_parametrization parametrization, int depth)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = classes,
                              .width = width,
                              .depth = depth,
                              .activation = activation,
                              .parametrization = parametrization,
                              .base_width = 4,
                              .weight_variance = 1.7,
                              .bias_variance = 0.6};
    const subject_changes none = {NULL, NULL};

    return create_mlp_subject(samples, &spec, &none);
}

static subject create_subject(nl_activation activation, nl_parametrization parametrization,
                              int depth)
{
    return create_sized_subject(few_samples, few_classes, few_units, activation, parametrization,
                                depth);
}

/* Inner product of two rows of the explicit Jacobian; rate-weighted: each layer by its rate. */
static double gradient_product(const subject *s, int row, int col, bool weighted)
{
    const double *a = s->jacobian + (size_t)row * s->net->size;
    const double *b = s->jacobian + (size_t)col * s->net->size;
    double sum = 0.0;

    for (int l = 0; l < s->net->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];
        const size_t weights = (size_t)layer->fan_in * (size_t)layer->fan_out;

        for (size_t k = layer->weights; k < layer->weights + weights; k++) {
            sum += (weighted ? layer->weight_rate : 1.0) * a[k] * b[k];
        }
        for (size_t k = layer->biases; k < layer->biases + (size_t)layer->fan_out; k++) {
            sum += (weighted ? layer->bias_rate : 1.0) * a[k] * b[k];
        }
    }
    return sum;
}

static double reference_entry(const subject *s, nl_kernel_spec spec, int i, int j)
{
    const int C = s->classes;
    double sum = 0.0;

    switch (spec.kind) {
    case NL_KERNEL_FULL:
        return gradient_product(s, i, j, spec.rate_weighted);
    case NL_KERNEL_CLASS:
        return gradient_product(s, i * C + spec.output, j * C + spec.output, spec.rate_weighted);
    case NL_KERNEL_TRACED:
    default:
        for (int a = 0; a < C; a++) {
            sum += gradient_product(s, i * C + a, j * C + a, spec.rate_weighted);
        }
        return sum / C;
    }
}

/** One kernel to be checked on a grid. */
typedef struct kernel_case {
    const subject *subject;
    nl_kernel_spec spec;
    nl_precision precision;
    double panel_bytes, tolerance;
    int wanted_block;
} kernel_case;

/* Largest deviation over the local lower half, relative to sqrt(Theta_ii Theta_jj). */
static double worst_deviation(const nl_dmat *a, const kernel_case *c)
{
    double worst = 0.0;

    for (int col = 0; col < a->local_cols; col++) {
        for (int row = 0; row < a->local_rows; row++) {
            const int i = nl_dmat_global_row(a, row);
            const int j = nl_dmat_global_col(a, col);
            const size_t at = (size_t)col * (size_t)a->ld + (size_t)row;
            const double value = a->precision == NL_DOUBLE ? ((const double *)a->local)[at]
                                                           : (double)((const float *)a->local)[at];
            const double scale = sqrt(reference_entry(c->subject, c->spec, i, i) *
                                      reference_entry(c->subject, c->spec, j, j));
            const double deviation =
                fabs(value - reference_entry(c->subject, c->spec, i, j)) / scale;

            if (i >= j && !(deviation <= worst)) {
                worst = deviation;
            }
        }
    }
    return worst;
}

static bool kernel_equals_jacobians(const nl_grid *grid, const kernel_case *c)
{
    const nl_kernel_input input = {.net = c->subject->net,
                                   .theta = c->subject->theta,
                                   .probe = c->subject->probe,
                                   .samples = c->subject->samples,
                                   .panel_bytes = c->panel_bytes};
    const int C = c->subject->classes;
    nl_dmat *a = NULL;
    bool good =
        nl_dmat_create(grid, nl_kernel_order(c->spec, c->subject->samples, C),
                       nl_kernel_block(c->spec, C, c->wanted_block), c->precision, &a) == NL_OK;

    if (good) { /* what the matrix held is no part of the kernel */
        memset(a->local, 0xff,
               (size_t)a->ld * (size_t)a->local_cols * nl_precision_bytes(c->precision));
    }

    good = good && nl_kernel_fill(a, c->spec, &input) == NL_OK;
    good = good && worst_deviation(a, c) <= c->tolerance;
    nl_dmat_destroy(&a);
    return good;
}

/* Every kind of kernel in blocks of several sizes. */
static bool kernels_equal_jacobians(const nl_grid *grid, const subject *s, nl_precision precision,
                                    double panel_bytes, double tolerance)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 2, false},
        {NL_KERNEL_FULL, 0, true},  {NL_KERNEL_TRACED, 0, true},
    };
    static const int blocks[] = {1, 6, 64};
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        for (size_t b = 0; b < NL_COUNT(blocks); b++) {
            const kernel_case c = {.subject = s,
                                   .spec = specs[k],
                                   .precision = precision,
                                   .panel_bytes = panel_bytes,
                                   .tolerance = tolerance,
                                   .wanted_block = blocks[b]};

            good = kernel_equals_jacobians(grid, &c) && good;
        }
    }
    return good;
}

/* Every network on one rank.  How entries lie on a larger grid depends on none of them: there, one
 * parametrisation an activation keeps the run short where ranks outnumber cores. */
static bool all_networks_agree(const nl_grid *grid, const void *context)
{
    const bool alone = grid->rows * grid->cols == 1;
    bool good = true;

    (void)context;
    for (int activation = 0; activation < NL_ACTIVATION_COUNT; activation++) {
        for (int parametrization = 0; parametrization < NL_PARAMETRIZATION_COUNT;
             parametrization++) {
            if (!alone && parametrization != activation % NL_PARAMETRIZATION_COUNT) {
                continue;
            }
            subject s =
                create_subject((nl_activation)activation, (nl_parametrization)parametrization,
                               1 + (activation + parametrization) % 3);

            good = kernels_equal_jacobians(grid, &s, NL_DOUBLE, panel_all, 1e-12) && good;
            destroy_subject(&s);
        }
    }
    return good;
}

static void entries_are_products_of_gradients(void **state)
{
    (void)state;
    expect_on_every_grid(all_networks_agree, NULL);
}

static bool single_agrees(const nl_grid *grid, const void *context)
{
    return kernels_equal_jacobians(grid, context, NL_SINGLE, panel_all, 1e-5);
}

static void single_precision_is_as_good_as_it_can_be(void **state)
{
    subject s = create_subject(NL_GELU, NL_STANDARD, 2);

    (void)state;
    expect_on_every_grid(single_agrees, &s);
    destroy_subject(&s);
}

static bool panels_agree(const nl_grid *grid, const void *context)
{
    const subject *s = context;
    const double four_samples = 8.0 * nl_factors_bytes(s->net, NL_DOUBLE);

    return kernels_equal_jacobians(grid, s, NL_DOUBLE, 0.0, 1e-12) &&
           kernels_equal_jacobians(grid, s, NL_DOUBLE, four_samples, 1e-12);
}

static void panels_of_any_size_give_the_same_kernel(void **state)
{
    subject s = create_subject(NL_TANH, NL_MUP, 3);

    (void)state;
    expect_on_every_grid(panels_agree, &s);
    destroy_subject(&s);
}

/* One kernel of several tiles, those on the diagonal cut. */
static bool tiles_agree(const nl_grid *grid, const void *context)
{
    const subject *s = context;
    const double some_samples = 2.0 * 37.0 * nl_factors_bytes(s->net, NL_DOUBLE);
    const kernel_case cases[] = {
        {s, {NL_KERNEL_FULL, 0, false}, NL_DOUBLE, panel_all, 1e-12, 35},
        {s, {NL_KERNEL_FULL, 0, false}, NL_SINGLE, some_samples, 1e-5, 64},
        {s, {NL_KERNEL_TRACED, 0, false}, NL_DOUBLE, some_samples, 1e-12, 16},
        {s, {NL_KERNEL_CLASS, 4, true}, NL_DOUBLE, panel_all, 1e-12, 1},
    };
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        good = kernel_equals_jacobians(grid, &cases[k]) && good;
    }
    return good;
}

static void tiles_cut_at_the_diagonal_miss_nothing(void **state)
{
    subject s = create_sized_subject(131, 5, few_units, NL_RELU, NL_MUP, 2);

    (void)state;
    expect_on_every_grid(tiles_agree, &s);
    destroy_subject(&s);
}

static bool wide_layers_agree(const nl_grid *grid, const void *context)
{
    return kernels_equal_jacobians(grid, context, NL_DOUBLE, panel_all, 1e-12) &&
           kernels_equal_jacobians(grid, context, NL_SINGLE, panel_all, 1e-5);
}

/* A last hidden layer so wide that its products are made by pairs of outputs. */
static void products_by_pairs_of_outputs_are_the_same(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 2; depth++) {
        const int units = depth == 1 ? 139 : 50;
        subject s = create_sized_subject(23, few_classes, units, NL_ERF, NL_STANDARD, depth);

        expect_on_every_grid(wide_layers_agree, &s);
        destroy_subject(&s);
    }
}

/* More outputs than a tile has rows. */
static void many_outputs_do_not_overrun_a_tile(void **state)
{
    enum { outputs = 501, rows = 3 };
    const nl_net_spec spec = {
        .inputs = 4, .outputs = outputs, .width = 6, .depth = 1, .weight_variance = 1.0};
    const nl_kernel_spec kernel = {NL_KERNEL_FULL, 0, false};
    float probe[rows * 4];
    nl_rng rng = nl_rng_open(1, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    nl_grid *grid = whole_grid();
    nl_net *net = NULL;
    nl_dmat *a = NULL;
    float *theta = NULL;
    double trace = 0.0;
    double frobenius2 = 0.0;
    double weights[2 * outputs] = {0};
    double biases[2 * outputs] = {0};
    double total = 0.0;
    nl_factors *factors = NULL;
    const int list[rows] = {0, 1, 2};

    (void)state;
    for (int k = 0; k < rows * 4; k++) {
        probe[k] = (float)nl_rng_normal(&rng);
    }
    expect_all(grid->comm, nl_net_create(&spec, NL_SGD, &net) == NL_OK);
    theta = nl_calloc(net->size, sizeof *theta);
    nl_net_initialize(net, 1, theta);
    expect_all(grid->comm, nl_dmat_create(grid, rows * outputs, outputs, NL_DOUBLE, &a) == NL_OK);
    {
        const nl_kernel_input input = {
            .net = net, .theta = theta, .probe = probe, .samples = rows, .panel_bytes = panel_all};

        expect_all(grid->comm, nl_kernel_fill(a, kernel, &input) == NL_OK);
    }
    expect_all(grid->comm, nl_dmat_moments(a, &trace, &frobenius2) == NL_OK);
    expect_all(grid->comm, nl_factors_create(net, NL_DOUBLE, rows, &factors) == NL_OK);
    nl_factors_compute(factors, theta, probe, rows, list);
    nl_factors_add_layer_traces(factors, weights, biases);
    for (int k = 0; k < 2 * outputs; k++) {
        total += weights[k] + biases[k];
    }
    expect_all(grid->comm, fabs(total - trace) <= 1e-12 * trace);
    nl_factors_destroy(&factors);
    nl_dmat_destroy(&a);
    nl_net_destroy(&net);
    free(theta);
    nl_grid_destroy(&grid);
}

/* Kernels of two states on one grid: by tiles, packed, and entry by entry. */
static bool comparisons_agree(const nl_grid *grid, const subject *s, const float *other_theta,
                              nl_kernel_spec spec, nl_precision precision)
{
    const nl_kernel_input input = {.net = s->net,
                                   .theta = s->theta,
                                   .probe = s->probe,
                                   .samples = few_samples,
                                   .panel_bytes = panel_all};
    const int n = nl_kernel_order(spec, few_samples, few_classes);
    nl_kernel_input other = input;
    nl_kernel_pair tiles = {0};
    nl_kernel_pair packed = {0};
    nl_kernel_pair itself = {0};
    nl_dmat *a = NULL;
    nl_dmat *b = NULL;
    void *room = NULL;
    double moments[4] = {0};
    bool good =
        nl_dmat_create(grid, n, nl_kernel_block(spec, few_classes, 4), precision, &a) == NL_OK &&
        nl_dmat_create(grid, n, a->nb, precision, &b) == NL_OK;

    other.theta = other_theta;
    good = good && nl_kernel_fill(a, spec, &input) == NL_OK &&
           nl_kernel_fill(b, spec, &other) == NL_OK;
    room = calloc(nl_dmat_packed_count(a) + 1, sizeof(double));
    good = good && nl_kernel_compare(a, spec, &other, &tiles) == NL_OK &&
           nl_kernel_pack(a, spec, &other, room) == NL_OK &&
           nl_kernel_compare_packed(a, room, &packed) == NL_OK;
    good = good && memcmp(&tiles, &packed, sizeof tiles) == 0;
    nl_dmat_pack(b, room);
    good = good && nl_kernel_compare_packed(a, room, &packed) == NL_OK &&
           memcmp(&tiles, &packed, sizeof tiles) == 0;
    good = good && nl_dmat_moments(a, &moments[0], &moments[1]) == NL_OK &&
           nl_dmat_moments(b, &moments[2], &moments[3]) == NL_OK;
    good = good && fabs(tiles.aa - moments[1]) <= 1e-13 * moments[1] &&
           fabs(tiles.bb - moments[3]) <= 1e-13 * moments[3] &&
           fabs(tiles.gain - (moments[1] - moments[3])) <= 1e-12 * (moments[1] + moments[3]);
    good = good && nl_kernel_compare(a, spec, &input, &itself) == NL_OK &&
           nl_kernel_pair_change(&itself) == 0.0 && nl_kernel_pair_distance(&itself) == 0.0;
    free(room);
    nl_dmat_destroy(&a);
    nl_dmat_destroy(&b);
    return good;
}

static bool kernels_are_compared(const nl_grid *grid, const void *context)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, true}, {NL_KERNEL_CLASS, 1, false}};
    subject s = create_subject(NL_TANH, NL_MUP, 2);
    float *other = nl_calloc(s.net->size, sizeof *other);
    bool good = true;

    (void)context;
    nl_net_initialize(s.net, 8, other);
    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        good = comparisons_agree(grid, &s, other, specs[k], NL_DOUBLE) && good;
        good = comparisons_agree(grid, &s, other, specs[k], NL_SINGLE) && good;
    }
    free(other);
    destroy_subject(&s);
    return good;
}

static void kernels_are_compared_the_same_however_the_other_one_is_given(void **state)
{
    (void)state;
    expect_on_every_grid(kernels_are_compared, NULL);
}

/* Symmetric; *coupling scales what different outputs have in common, 0: traced x identity. */
static double coupled_entry(int row, int col, const void *context)
{
    const double coupling = *(const double *)context;
    const int i = row > col ? row : col;
    const int j = row > col ? col : row;
    const double traced = 1.0 / (1.0 + i / few_classes - j / few_classes); /* samples */

    if (i % few_classes == j % few_classes) {
        return traced + coupling * (i % few_classes - 1.0); /* their mean over outputs stays */
    }
    return coupling * sin(1.0 + i + 3.0 * j);
}

/* |Theta - T x I|_F / |Theta|_F, entry by entry. */
static double reference_identity_distance(double coupling)
{
    const int n = few_samples * few_classes;
    double difference2 = 0.0;
    double square = 0.0;

    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            const double none = 0.0;
            const double value = coupled_entry(i, j, &coupling);
            const double d = value - coupled_entry(i, j, &none);

            difference2 += d * d;
            square += value * value;
        }
    }
    return sqrt(difference2 / square);
}

/* The upper half is poisoned, blocks are of one sample and of two. */
static bool outputs_are_observed(const nl_grid *grid, const void *context)
{
    static const double couplings[] = {0.0, 1e-7, 0.3};
    bool good = true;

    (void)context;
    for (size_t k = 0; k < NL_COUNT(couplings); k++) {
        const double wanted = reference_identity_distance(couplings[k]);
        nl_observables o = nl_observables_unknown();
        double trace = 0.0;
        double frobenius2 = 0.0;
        nl_dmat *a = NULL;

        good = nl_dmat_create(grid, few_samples * few_classes,
                              k == 1 ? few_classes : 2 * few_classes, NL_DOUBLE, &a) == NL_OK &&
               good;
        nl_dmat_fill(a, coupled_entry, &couplings[k]);
        poison_upper_half(a);
        good = nl_dmat_moments(a, &trace, &frobenius2) == NL_OK &&
               nl_observe_outputs(a, few_classes, frobenius2, &o) == NL_OK && good;
        good = good && fabs(o.identity_distance - wanted) <= 1e-9 * wanted;
        /* B of independent, like outputs is a multiple of the identity */
        good = good && (couplings[k] > 0.0 ? o.effective_rank_outputs < few_classes
                                           : fabs(o.effective_rank_outputs - few_classes) <= 1e-12);
        good = good && same_on_all_ranks(grid, &o, sizeof o);
        nl_dmat_destroy(&a);
    }
    return good;
}

static void outputs_that_move_alike_are_told_from_coupled_ones(void **state)
{
    (void)state;
    expect_on_every_grid(outputs_are_observed, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_products_of_gradients),
        cmocka_unit_test(single_precision_is_as_good_as_it_can_be),
        cmocka_unit_test(panels_of_any_size_give_the_same_kernel),
        cmocka_unit_test(tiles_cut_at_the_diagonal_miss_nothing),
        cmocka_unit_test(products_by_pairs_of_outputs_are_the_same),
        cmocka_unit_test(many_outputs_do_not_overrun_a_tile),
        cmocka_unit_test(kernels_are_compared_the_same_however_the_other_one_is_given),
        cmocka_unit_test(outputs_that_move_alike_are_told_from_coupled_ones),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
