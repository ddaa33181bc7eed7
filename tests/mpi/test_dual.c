/** @file test_dual.c  Duals, G = J^T J, against kernels and explicit Jacobians, on every grid. */
#include "ntklens/blas.h"
#include "ntklens/dual.h"
#include "ntklens/eigen.h"
#include "ntklens/gradients.h"
#include "ntklens/observables.h"

#include "convolutional_subject.h"
#include "linalg_fixture.h"
#include "mlp_subject.h"

enum { few_samples = 61, few_inputs = 9, classes = 3, few_units = 4, many_inputs = 110 };
/* Fewer outputs than parameters, more than rows of J are held; and the other way round. */
enum { many_images = 90, few_images = 31 };
enum { alike = 50000 }; /* samples whose squares are summed */

static const double panel_all = 1e9;

/* Constant: 1 and 4; zero: 6. */
static float pixel(int k, float drawn)
{
    return k == 1 ? 0.7F : k == 4 ? -1.3F : k == 6 ? 0.0F : drawn;
}

static void kill_units(const nl_net *net, float *theta)
{
    for (int l = 0; l + 1 < net->layers; l++) {
        theta[net->layer[l].biases + (size_t)(l % net->layer[l].fan_out)] = -1e4F;
    }
}

/* With dead units where it has biases, and columns that are constant or zero. */
static subject create_sized_subject(int samples, const nl_net_spec *spec)
{
    const subject_changes changes = {spec->bias_variance > 0.0 ? kill_units : NULL, pixel};

    return create_mlp_subject(samples, spec, &changes);
}

static subject create_subject(nl_activation activation, nl_parametrization parametrization,
                              int depth, double bias_variance)
{
    const nl_net_spec spec = {.inputs = few_inputs,
                              .outputs = classes,
                              .width = few_units,
                              .depth = depth,
                              .activation = activation,
                              .parametrization = parametrization,
                              .base_width = 3,
                              .weight_variance = 1.7,
                              .bias_variance = bias_variance};

    return create_sized_subject(few_samples, &spec);
}

static nl_kernel_input input_of(const subject *s)
{
    return (nl_kernel_input){.net = s->net,
                             .theta = s->theta,
                             .probe = s->probe,
                             .samples = s->samples,
                             .panel_bytes = panel_all};
}

/* |J w|^2 of the rows that the kernel has, w with the roots of the rates where it is weighted. */
static double reference_square(const subject *s, nl_kernel_spec spec, const double *w)
{
    double sum = 0.0;

    for (int row = 0; row < s->samples * classes; row++) {
        const double *gradient = s->jacobian + (size_t)row * s->net->size;
        double product = 0.0;

        for (int l = 0; l < s->net->layers; l++) {
            const nl_layer *layer = &s->net->layer[l];
            const double rate = sqrt(spec.rate_weighted ? layer->weight_rate : 1.0);
            const double bias_rate = sqrt(spec.rate_weighted ? layer->bias_rate : 1.0);

            for (size_t k = 0; k < nl_layer_weights(layer); k++) {
                product += rate * w[layer->weights + k] * gradient[layer->weights + k];
            }
            for (size_t k = 0; layer->trains_bias && k < (size_t)layer->fan_out; k++) {
                product += bias_rate * w[layer->biases + k] * gradient[layer->biases + k];
            }
        }
        if (spec.kind == NL_KERNEL_FULL || row % classes == spec.output) {
            sum += product * product;
        }
    }
    return sum;
}

/* u^T G u against |J w|^2, w along all parameters of one layer, then of all. */
static bool forms_agree(const nl_dmat *g, const nl_dual *dual, const subject *s,
                        nl_kernel_spec spec, double tolerance)
{
    nl_rng rng = nl_rng_open(11, NL_PURPOSE_SELF_TEST, (uint32_t)g->n, 0, 0);
    double *w = nl_calloc(s->net->size, sizeof *w);
    double *u = nl_calloc((size_t)g->n, sizeof *u);
    double *y = nl_calloc((size_t)g->n, sizeof *y);
    bool good = true;

    for (int l = 0; l <= s->net->layers; l++) {
        const bool all = l == s->net->layers;
        const size_t from = all ? 0 : s->net->layer[l].weights;
        const size_t to =
            all ? s->net->size : s->net->layer[l].biases + (size_t)s->net->layer[l].fan_out;
        double form = 0.0;
        double reference = 0.0;

        memset(w, 0, s->net->size * sizeof *w);
        for (size_t k = from; k < to; k++) {
            w[k] = nl_rng_normal(&rng);
        }
        nl_dual_coordinates(dual, w, u);
        good = nl_dmat_multiply(g, 1, u, y) == NL_OK && good;
        for (int k = 0; k < g->n; k++) {
            form += u[k] * y[k];
        }
        reference = reference_square(s, spec, w);
        good = good && fabs(form - reference) <= tolerance * reference;
    }
    free(w);
    free(u);
    free(y);
    return good;
}

static nl_status fill_dual(nl_dmat *a, void *context)
{
    return nl_dual_fill(a, context, NULL);
}

/** A kernel and what it is filled from. */
typedef struct primal {
    nl_kernel_spec spec;
    nl_kernel_input input;
} primal;

static nl_status fill_primal(nl_dmat *a, void *context)
{
    const primal *p = context;

    return nl_kernel_fill(a, p->spec, &p->input);
}

/* The first of both, the rest are zeros; and what is made of them. */
static bool spectra_agree(const nl_spectrum *dual, const nl_spectrum *kernel,
                          nl_precision precision)
{
    const double eps = nl_precision_eps(precision);
    const double most = precision == NL_DOUBLE ? 1e-12 : 1e-4;
    double worst = 0.0;

    for (int k = 0; k < nl_larger(dual->n, kernel->n); k++) {
        const double one = k < dual->n ? dual->lambda[k] : 0.0;
        const double other = k < kernel->n ? kernel->lambda[k] : 0.0;
        const double deviation = fabs(one - other) / kernel->lambda[0];

        if (!(deviation <= worst)) {
            worst = deviation;
        }
    }
    return worst <= most && fabs(nl_observe(dual->n, dual->lambda, eps).entropy -
                                 nl_observe(kernel->n, kernel->lambda, eps).entropy) <=
                                (precision == NL_DOUBLE ? 1e-10 : 1e-3);
}

static bool dual_equals_kernel(const nl_grid *grid, const subject *s, nl_kernel_spec spec,
                               nl_precision precision, int block)
{
    const bool alone = grid->rows * grid->cols == 1;
    const nl_solver *solver = nl_solver_find(alone ? "lapack" : "scalapack");
    primal p = {.spec = spec, .input = input_of(s)};
    nl_dual *dual = NULL;
    nl_dmat *g = NULL;
    nl_dmat *k = NULL;
    nl_spectrum *of_dual = NULL;
    nl_spectrum *of_kernel = NULL;
    bool good = nl_dual_create(&p.input, spec, precision, &dual) == NL_OK &&
                nl_dual_order(dual) <= nl_dual_most(s->net, spec);

    good = good && nl_dmat_create(grid, nl_dual_order(dual), block, precision, &g) == NL_OK;
    if (good) { /* what the matrix held is no part of the dual */
        memset(g->local, 0xff,
               (size_t)g->ld * (size_t)g->local_cols * nl_precision_bytes(precision));
    }
    good = good && nl_dual_fill(g, dual, NULL) == NL_OK &&
           forms_agree(g, dual, s, spec, precision == NL_DOUBLE ? 1e-12 : 1e-4);
    good = good &&
           nl_dmat_create(grid, nl_kernel_order(spec, s->samples, classes),
                          nl_kernel_block(spec, classes, 16), precision, &k) == NL_OK &&
           nl_spectrum_compute(k, solver, fill_primal, &p, &of_kernel) == NL_OK &&
           nl_spectrum_compute(g, solver, fill_dual, dual, &of_dual) == NL_OK &&
           spectra_agree(of_dual, of_kernel, precision);
    nl_spectrum_destroy(&of_dual);
    nl_spectrum_destroy(&of_kernel);
    nl_dmat_destroy(&g);
    nl_dmat_destroy(&k);
    nl_dual_destroy(&dual);
    return good;
}

static const nl_kernel_spec specs[] = {{NL_KERNEL_FULL, 0, false},
                                       {NL_KERNEL_CLASS, 2, false},
                                       {NL_KERNEL_FULL, 0, true},
                                       {NL_KERNEL_CLASS, 1, true}};

/* One network on this grid, in blocks that hold whole inputs and in others. */
static bool network_agrees(const nl_grid *grid, nl_activation activation,
                           nl_parametrization parametrization, double bias_variance)
{
    const int depth = 1 + ((int)activation + (int)parametrization) % 3;
    subject s = create_subject(activation, parametrization, depth, bias_variance);
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        const int block = k % 2 == 0 ? nl_dual_block(s.net, 16) : 7;

        if (specs[k].rate_weighted && parametrization != NL_MUP) {
            continue;
        }
        good = dual_equals_kernel(grid, &s, specs[k], NL_DOUBLE, block) && good;
    }
    if (!good) {
        print_error("%s, %s, bias_variance %g:\n", nl_activation_name(activation),
                    nl_parametrization_name(parametrization), bias_variance);
    }
    destroy_subject(&s);
    return good;
}

/* Every network on one and two ranks.  How entries lie on a larger grid depends on none of them:
 * there, one parametrisation an activation keeps the run short where ranks outnumber cores. */
static bool all_networks_agree(const nl_grid *grid, const void *context)
{
    const bool few_ranks = grid->rows * grid->cols <= 2;
    bool good = true;

    (void)context;
    for (int activation = 0; activation < NL_ACTIVATION_COUNT; activation++) {
        for (int parametrization = 0; parametrization < NL_PARAMETRIZATION_COUNT;
             parametrization++) {
            for (int biases = 0; biases < 2; biases++) {
                if (!few_ranks && (parametrization != activation % NL_PARAMETRIZATION_COUNT ||
                                   biases != activation % 2)) {
                    continue;
                }
                good = network_agrees(grid, (nl_activation)activation,
                                      (nl_parametrization)parametrization, 0.6 * biases) &&
                       good;
            }
        }
    }
    return good;
}

static void duals_have_the_eigenvalues_of_kernels(void **state)
{
    (void)state;
    expect_on_every_grid(all_networks_agree, NULL);
}

static bool single_agrees(const nl_grid *grid, const void *context)
{
    return dual_equals_kernel(grid, context, specs[0], NL_SINGLE, 8);
}

static void single_precision_is_as_good_as_it_can_be(void **state)
{
    subject s = create_subject(NL_RELU, NL_STANDARD, 2, 0.6);

    (void)state;
    expect_on_every_grid(single_agrees, &s);
    destroy_subject(&s);
}

/* Tiles cut at the diagonal, several chunks of samples, more rows of a layer than are crossed with
 * the layer below at a time. */
static void blocks_of_wide_layers_are_the_same(void **state)
{
    const nl_net_spec spec = {.inputs = many_inputs,
                              .outputs = classes,
                              .width = 36,
                              .depth = 2,
                              .activation = NL_RELU,
                              .parametrization = NL_STANDARD,
                              .weight_variance = 2.0,
                              .bias_variance = 0.1};
    subject s = create_sized_subject(300, &spec);
    const nl_kernel_input input = input_of(&s);
    nl_grid *grid = whole_grid();
    nl_dual *dual = NULL;
    nl_dmat *g = NULL;

    (void)state;
    expect_all(grid->comm, nl_dual_create(&input, specs[0], NL_DOUBLE, &dual) == NL_OK);
    expect_all(grid->comm, nl_dmat_create(grid, nl_dual_order(dual), nl_dual_block(s.net, 64),
                                          NL_DOUBLE, &g) == NL_OK);
    expect_all(grid->comm, nl_dual_fill(g, dual, NULL) == NL_OK);
    expect_all(grid->comm, forms_agree(g, dual, &s, specs[0], 1e-12));
    nl_dmat_destroy(&g);
    nl_dual_destroy(&dual);
    nl_grid_destroy(&grid);
    destroy_subject(&s);
}

/* Theta of the rows that the kernel has, from the reference's Jacobian. */
static double *reference_kernel(const subject *s, nl_kernel_spec spec)
{
    const bool full = spec.kind == NL_KERNEL_FULL;
    const int n = nl_kernel_order(spec, s->samples, classes);
    const int size = (int)s->net->size;
    const int lead = full ? size : classes * size;
    const double one = 1.0;
    const double zero = 0.0;
    const double *j = s->jacobian + (full ? 0 : (size_t)spec.output * s->net->size);
    double *theta = nl_calloc((size_t)n * (size_t)n, sizeof *theta);

    dgemm_("T", "N", &n, &n, &size, &one, j, &lead, j, &lead, &zero, theta, &n);
    return theta;
}

/* <Theta_a, Theta_b> of two states, and of each with itself. */
static bool inner_products_agree(const nl_grid *grid, const subject *a, const subject *b,
                                 nl_kernel_spec spec)
{
    const subject *pairs[][2] = {{a, b}, {b, a}, {b, b}};
    const int n = nl_kernel_order(spec, a->samples, classes);
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(pairs); k++) {
        const nl_kernel_input one = input_of(pairs[k][0]);
        const nl_kernel_input other = input_of(pairs[k][1]);
        double *first = reference_kernel(pairs[k][0], spec);
        double *second = reference_kernel(pairs[k][1], spec);
        const double wanted = nl_inner((size_t)n * (size_t)n, first, second);
        nl_dual *left = NULL;
        nl_dual *right = NULL;
        double inner = 0.0;

        good = nl_dual_create(&one, spec, NL_DOUBLE, &left) == NL_OK &&
               nl_dual_create(&other, spec, NL_DOUBLE, &right) == NL_OK && good;
        good = good && nl_dual_inner(grid, left, right, NULL, &inner) == NL_OK &&
               fabs(inner - wanted) <= 1e-12 * wanted;
        good = good && nl_dual_inner(grid, left, left, NULL, &inner) == NL_OK &&
               fabs(inner - nl_squares_double((size_t)n * (size_t)n, first)) <=
                   1e-12 * nl_squares_double((size_t)n * (size_t)n, first);
        nl_dual_destroy(&left);
        nl_dual_destroy(&right);
        free(first);
        free(second);
    }
    return good;
}

static void move_parameters(const nl_net *net, float *theta)
{
    for (size_t k = 0; k < net->size; k++) {
        theta[k] += 0.3F * (float)sin((double)k);
    }
    kill_units(net, theta);
}

/* A layer's product is cut at the diagonal, and rows of a layer are more than are taken at a time.
 */
static void inner_products_are_those_of_kernels(void **state)
{
    const subject_changes kept = {kill_units, pixel};
    const subject_changes moved = {move_parameters, pixel};
    nl_grid *grid = whole_grid();

    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        const nl_net_spec spec = {.inputs = wide ? many_inputs : few_inputs,
                                  .outputs = classes,
                                  .width = wide ? 36 : few_units,
                                  .depth = wide ? 2 : 3,
                                  .activation = wide ? NL_RELU : NL_TANH,
                                  .parametrization = wide ? NL_STANDARD : NL_NTK,
                                  .weight_variance = 2.0,
                                  .bias_variance = 0.1};
        subject a = create_mlp_subject(wide ? 150 : few_samples, &spec, &kept);
        subject b = create_mlp_subject(wide ? 150 : few_samples, &spec, &moved);

        expect_all(grid->comm, inner_products_agree(grid, &a, &b, specs[0]));
        expect_all(grid->comm, inner_products_agree(grid, &a, &b, specs[1]));
        destroy_subject(&a);
        destroy_subject(&b);
    }
    nl_grid_destroy(&grid);
}

/* By J_a^T J_b over the grid, of more samples than a panel has, and of more parameters than rows.
 */
static void inner_products_of_convolutional_networks_are_those_of_kernels(void **state)
{
    nl_grid *grid = whole_grid();

    (void)state;
    for (int kind = NL_CNN; kind <= NL_RESNET; kind++) {
        nl_net_spec spec = convolutional_spec((nl_net_kind)kind, NL_MUP, false);
        subject a = {0};
        subject b = {0};

        spec.width = 2;
        a = create_convolutional_subject(kind == NL_CNN ? many_images : few_images, &spec);
        spec.weight_variance *= 1.5; /* other parameters of the same shape */
        b = create_convolutional_subject(kind == NL_CNN ? many_images : few_images, &spec);
        for (size_t k = 0; k < 2; k++) {
            expect_all(grid->comm, inner_products_agree(grid, &a, &b, specs[k]));
        }
        destroy_subject(&a);
        destroy_subject(&b);
    }
    nl_grid_destroy(&grid);
}

/* Dead: unit 0 of the first layer, unit 1 of the second.  Of nine inputs six vary. */
static void what_has_no_gradient_has_no_row(void **state)
{
    subject s = create_subject(NL_RELU, NL_STANDARD, 2, 0.6);
    const nl_kernel_input input = input_of(&s);
    nl_dual *dual = NULL;
    const int first = (6 + 1) * (few_units - 1);
    const int second = few_units * (few_units - 1);
    const int output = few_units;

    (void)state;
    s.theta[s.net->layer[1].biases + 3] = 5.0F; /* as it is drawn, this one is dead, too */
    expect_all(MPI_COMM_WORLD, nl_dual_create(&input, specs[0], NL_DOUBLE, &dual) == NL_OK);
    expect_all(MPI_COMM_WORLD, nl_dual_order(dual) == first + second + output * classes);
    nl_dual_destroy(&dual);
    expect_all(MPI_COMM_WORLD, nl_dual_create(&input, specs[1], NL_DOUBLE, &dual) == NL_OK);
    expect_all(MPI_COMM_WORLD, nl_dual_order(dual) == first + second + output);
    nl_dual_destroy(&dual);
    expect_all(MPI_COMM_WORLD, !nl_dual_is_known(s.net, (nl_kernel_spec){NL_KERNEL_TRACED, 0, 0}));
    destroy_subject(&s);
}

/* ntk without biases, all units dead: no gradient at all. */
static bool nothing_is_a_zero(const nl_grid *grid, const void *context)
{
    const subject *s = context;
    const nl_kernel_input input = input_of(s);
    nl_dual *dual = NULL;
    nl_dmat *g = NULL;
    double trace = NAN;
    double frobenius2 = NAN;
    bool good = nl_dual_create(&input, specs[0], NL_DOUBLE, &dual) == NL_OK &&
                nl_dual_order(dual) == 1 && nl_dmat_create(grid, 1, 4, NL_DOUBLE, &g) == NL_OK &&
                nl_dual_fill(g, dual, NULL) == NL_OK &&
                nl_dmat_moments(g, &trace, &frobenius2) == NL_OK && trace == 0.0;

    nl_dmat_destroy(&g);
    nl_dual_destroy(&dual);
    return good;
}

static void a_network_without_gradients_has_a_zero(void **state)
{
    subject s = create_subject(NL_RELU, NL_NTK, 1, 0.0);

    (void)state;
    memset(s.theta, 0, s.net->size * sizeof *s.theta);
    expect_on_every_grid(nothing_is_a_zero, &s);
    destroy_subject(&s);
}

/* |J w|^2 of as many copies of a sample as were asked for. */
static bool square_of_copies(const nl_grid *grid, const subject *s, int copies, double *square)
{
    float *probe = nl_calloc((size_t)copies * few_inputs, sizeof *probe);
    double *w = nl_calloc(s->net->size, sizeof *w);
    nl_kernel_input input = input_of(s);
    const nl_gradients g = {grid, &input, {.kind = NL_KERNEL_FULL}};
    bool good = probe != NULL && w != NULL;

    for (size_t k = 0; good && k < (size_t)copies * few_inputs; k++) {
        probe[k] = s->probe[k % few_inputs];
    }
    for (size_t k = 0; good && k < s->net->size; k++) {
        w[k] = k % 3 == 0 ? 1.0 : -0.7;
    }
    input.probe = probe;
    input.samples = copies;
    good = good && nl_gradients_squares(&g, 1, w, square) == NL_OK;
    free(probe);
    free(w);
    return good;
}

/* Sums of terms that are alike round the same way each time. */
static bool sums_stay_exact(const nl_grid *grid, const void *context)
{
    const subject *s = context;
    const double allowed = 3e-13;
    double one = 0.0;
    double all = 0.0;
    bool good =
        square_of_copies(grid, s, 1, &one) && square_of_copies(grid, s, alike, &all) && one > 0.0;

    good = good && fabs(all / alike - one) <= allowed * one;
    if (!good) {
        print_error("%d samples alike: %.17g each, one: %.17g\n", alike, all / alike, one);
    }
    return good;
}

static void squares_of_samples_that_are_alike_are_right(void **state)
{
    subject s = create_subject(NL_TANH, NL_STANDARD, 2, 0.3);

    (void)state;
    expect_on_every_grid(sums_stay_exact, &s);
    destroy_subject(&s);
}

/* Convolutional: more rows than parameters; residual: fewer. */
static bool convolutional_agrees(const nl_grid *grid, const void *context)
{
    const nl_parametrization parametrization = *(const nl_parametrization *)context;
    const bool few_ranks = grid->rows * grid->cols <= 2; /* others: as of chains of dense layers */
    bool good = true;

    for (int kind = NL_CNN; kind <= (few_ranks ? NL_RESNET : NL_CNN); kind++) {
        nl_net_spec spec = convolutional_spec((nl_net_kind)kind, parametrization, false);
        subject s = {0};

        spec.width = 2;
        s = create_convolutional_subject(kind == NL_CNN ? many_images : few_images, &spec);
        for (size_t k = 0; k < NL_COUNT(specs); k++) {
            if (!specs[k].rate_weighted || parametrization == NL_MUP) {
                good =
                    dual_equals_kernel(grid, &s, specs[k], NL_DOUBLE, k % 2 == 0 ? 16 : 7) && good;
            }
        }
        good = good && (kind == NL_CNN || dual_equals_kernel(grid, &s, specs[0], NL_SINGLE, 8));
        destroy_subject(&s);
    }
    return good;
}

static void duals_of_convolutional_networks_are_as_good(void **state)
{
    static const nl_parametrization parametrizations[] = {NL_MUP, NL_NTK};
    int ranks = 0;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (int p = 0; p < (ranks > 1 ? 1 : 2); p++) { /* on several ranks the one with rates */
        expect_on_every_grid(convolutional_agrees, &parametrizations[p]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duals_have_the_eigenvalues_of_kernels),
        cmocka_unit_test(single_precision_is_as_good_as_it_can_be),
        cmocka_unit_test(blocks_of_wide_layers_are_the_same),
        cmocka_unit_test(duals_of_convolutional_networks_are_as_good),
        cmocka_unit_test(inner_products_are_those_of_kernels),
        cmocka_unit_test(inner_products_of_convolutional_networks_are_those_of_kernels),
        cmocka_unit_test(what_has_no_gradient_has_no_row),
        cmocka_unit_test(a_network_without_gradients_has_a_zero),
        cmocka_unit_test(squares_of_samples_that_are_alike_are_right),
    };
    int failed = 0;

    MPI_Init(&argc, &argv);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
