/** @file test_trust.c  Right kernels hold, wrong ones do not, whatever rounding does to the gates
 * of relu. */
#include "ntklens/data.h"
#include "ntklens/ntk.h"

#include "../../src/measure/part_forms.h"
#include "linalg_fixture.h"

enum { inputs = 784, most_samples = 40, wanted_block = 16 };

/** A network and what it looks at. */
typedef struct subject {
    int samples;
    nl_net *net;
    float *theta;
    float *probe; /* [samples x inputs] */
    int labels[most_samples];
} subject;

/* Images of the generator, about standardised: much alike, as those of data sets are. */
static subject subject_of(const nl_net_spec *spec, int samples, uint32_t seed)
{
    subject s = {.samples = samples};

    assert_int_equal(nl_net_create(spec, NL_SGD, &s.net), NL_OK);
    s.theta = nl_calloc(s.net->size, sizeof *s.theta);
    s.probe = nl_calloc((size_t)samples * inputs, sizeof *s.probe);
    if (s.theta == NULL || s.probe == NULL) {
        fail_msg("out of memory");
        return s;
    }
    nl_net_initialize(s.net, seed, s.theta);
    for (int i = 0; i < samples; i++) {
        uint8_t pixels[inputs];

        s.labels[i] = nl_glyph_draw(false, i, pixels) % spec->outputs;
        for (int k = 0; k < inputs; k++) {
            s.probe[i * inputs + k] = ((float)pixels[k] / 255.0F - 0.11F) / 0.21F;
        }
    }
    return s;
}

static subject create_subject(int samples, int outputs, int width, nl_activation activation,
                              uint32_t seed)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = width,
                              .depth = 2,
                              .activation = activation,
                              .weight_variance = 2.0};

    return subject_of(&spec, samples, seed);
}

/* A unit next to its kink for every sample: bias k of the first layer leaves of z_k(x_k) what
 * rounding to float leaves. */
static void move_to_kinks(subject *s)
{
    const nl_layer *layer = &s->net->layer[0];

    for (int k = 0; k < layer->fan_out && k < s->samples; k++) {
        const float *w = s->theta + layer->weights + (size_t)(k * inputs);
        double z = 0.0;

        for (int q = 0; q < inputs; q++) {
            z += (double)w[q] * (double)s->probe[k * inputs + q];
        }
        s->theta[layer->biases + (size_t)k] = (float)-z;
    }
}

static void destroy_subject(subject *s)
{
    nl_net_destroy(&s->net);
    free(s->theta);
    free(s->probe);
}

/** A kernel that is filled and checked on a grid. */
typedef struct trust_case {
    const subject *subject;
    nl_kernel_spec spec;
    nl_precision precision;
    double panel_bytes;
    double factor; /* by which one weight of the network that is filled is wrong */
    bool ready;    /* from gradients that the check takes, too */
} trust_case;

static bool deviation_of_sums(const nl_dmat *a, const trust_case *c, const nl_kernel_input *input,
                              double *deviation)
{
    double *v = nl_calloc((size_t)a->n, sizeof *v);
    nl_kernel_sums sums = {0};
    nl_observables observed = nl_observables_unknown();
    nl_probe_state *state = NULL;
    nl_trust *trust = NULL;
    bool good =
        nl_probe_state_create(a->grid->comm, input, NL_MSE, c->subject->labels, &state) == NL_OK &&
        nl_trust_create(a->grid, input, &trust) == NL_OK &&
        nl_agree(a->grid->comm, v != NULL ? NL_OK : NL_ERR_NOMEM) == NL_OK;

    if (good) {
        nl_trust_vector(trust, c->spec, v);
    }
    good = good && nl_dmat_moments(a, &sums.trace, &sums.frobenius2) == NL_OK &&
           nl_observe_matrix(a, c->spec, state, v, &sums, &observed) == NL_OK &&
           nl_trust_deviation(trust, c->spec, c->precision, &sums, state->gradient, deviation) ==
               NL_OK;
    nl_trust_destroy(&trust);
    nl_probe_state_destroy(&state);
    free(v);
    return good;
}

static bool fill_and_check(const nl_grid *grid, const trust_case *c, double *deviation)
{
    const subject *s = c->subject;
    const size_t wrong = s->net->layer[nl_net_is_dense(s->net) ? 1 : 0].weights + 7;
    nl_kernel_input input = {.net = s->net,
                             .theta = s->theta,
                             .probe = s->probe,
                             .samples = s->samples,
                             .panel_bytes = c->panel_bytes};
    const float right = s->theta[wrong];
    const int outputs = s->net->spec.outputs;
    nl_chunk_gradients *gradients = NULL;
    nl_dmat *a = NULL;
    bool good =
        nl_dmat_create(grid, nl_kernel_order(c->spec, s->samples, outputs),
                       nl_kernel_block(c->spec, outputs, wanted_block), c->precision, &a) == NL_OK;

    s->theta[wrong] = (float)(c->factor * (double)right);
    if (c->ready && nl_kernel_gradients_fit(&input, c->precision)) {
        good = good && nl_kernel_gradients(&input, c->precision, &gradients) == NL_OK;
        input.gradients = gradients;
    }
    good = good && nl_kernel_fill(a, c->spec, &input) == NL_OK;
    s->theta[wrong] = right;
    good = good && deviation_of_sums(a, c, &input, deviation);
    nl_chunk_gradients_destroy(&gradients);
    nl_dmat_destroy(&a);
    return good;
}

static bool every_kernel(const nl_grid *grid, nl_activation activation, double factor, bool holds)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 2, false}};
    subject s = create_subject(most_samples, 3, 40, activation, 1);
    bool good = true;

    move_to_kinks(&s);
    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        for (int precision = NL_DOUBLE; precision <= NL_SINGLE; precision++) {
            /* a window of some samples need not see one weight */
            for (int panels = 0; panels < (holds ? 2 : 1); panels++) {
                const trust_case c = {.subject = &s,
                                      .spec = specs[k],
                                      .precision = (nl_precision)precision,
                                      .panel_bytes = panels != 0 ? 1e5 : 1e9,
                                      .factor = factor};
                double deviation = 0.0;

                if (!fill_and_check(grid, &c, &deviation) || (deviation <= 1.0) != holds) {
                    print_error("kernel %d, precision %d, panels %d: %g\n", (int)k, precision,
                                panels, deviation);
                    good = false;
                }
            }
        }
    }
    destroy_subject(&s);
    return good;
}

static bool right_ones(const nl_grid *grid, const void *context)
{
    (void)context;
    return every_kernel(grid, NL_RELU, 1.0, true) && every_kernel(grid, NL_GELU, 1.0, true);
}

/* Two units: what rounding does to one of them, it does to half of every row. */
static bool narrow_ones(const nl_grid *grid, const void *context)
{
    const uint32_t seeds = grid->rows * grid->cols == 1 ? 200 : 10;
    bool good = true;

    (void)context;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        subject s = create_subject(4, 10, 2, NL_RELU, seed);
        trust_case c = {.subject = &s,
                        .spec = {.kind = NL_KERNEL_FULL},
                        .precision = seed % 2 == 0 ? NL_DOUBLE : NL_SINGLE,
                        .panel_bytes = 1e9,
                        .factor = 1.0};
        double deviation = 0.0;

        if (!fill_and_check(grid, &c, &deviation) || !(deviation <= 1.0)) {
            print_error("seed %d: %g\n", (int)seed, deviation);
            good = false;
        }
        destroy_subject(&s);
    }
    return good;
}

static bool wrong_ones(const nl_grid *grid, const void *context)
{
    (void)context;
    return every_kernel(grid, NL_RELU, 64.0, false);
}

/*---------------------------------------------------------------------------------------------
 * Kernels of the first samples
 *-------------------------------------------------------------------------------------------*/

/* The part by itself, right or with a flipped bit in one entry. */
static bool part_is_judged(const nl_grid *grid, const nl_kernel_task *task, int samples)
{
    const nl_measurer *m = task->measurer;
    const nl_precision precision = m->plan->precision;
    const int outputs = m->plan->classes;
    nl_kernel_input input = m->input;
    nl_dmat *a = NULL;
    bool right = false;
    bool wrong = true;
    bool good =
        nl_dmat_create(grid, nl_kernel_order(task->spec, samples, outputs),
                       nl_kernel_block(task->spec, outputs, wanted_block), precision, &a) == NL_OK;

    input.samples = samples;
    good = good && nl_kernel_fill(a, task->spec, &input) == NL_OK &&
           nl_part_form_holds(task, a, samples, &right) == NL_OK;
    if (good && nl_grid_root(grid) && precision == NL_DOUBLE) {
        *(double *)a->local *= 1.5;
    } else if (good && nl_grid_root(grid)) {
        *(float *)a->local *= 1.5F;
    }
    good = good && nl_part_form_holds(task, a, samples, &wrong) == NL_OK;
    nl_dmat_destroy(&a);
    /* of two units an image may have next to no gradient */
    return good && right && (!wrong || m->state.net->spec.width == 2);
}

static bool parts_of_one(const nl_grid *grid, const subject *s, nl_kernel_spec spec,
                         nl_precision precision)
{
    const nl_measure_plan plan = {.classes = s->net->spec.outputs,
                                  .precision = precision,
                                  .auxiliary_traced = true,
                                  .auxiliary_full = true};
    nl_measurer m = {.plan = &plan,
                     .state = {.net = s->net},
                     .input = {.net = s->net,
                               .theta = s->theta,
                               .probe = s->probe,
                               .samples = s->samples,
                               .panel_bytes = 1e9}};
    nl_measurement out = {.method = NL_METHOD_PRIMAL};
    nl_checked checked = {0};
    const nl_kernel_task task = {.measurer = &m, .spec = spec, .out = &out, .checked = &checked};
    nl_dmat *a = NULL;
    bool good =
        nl_dmat_create(grid, nl_kernel_order(spec, s->samples, plan.classes),
                       nl_kernel_block(spec, plan.classes, wanted_block), precision, &a) == NL_OK;

    good =
        good && nl_kernel_fill(a, spec, &m.input) == NL_OK && nl_part_forms_note(&task, a) == NL_OK;
    nl_dmat_destroy(&a);
    for (int k = 0; good && k < nl_probe_parts; k++) {
        good = part_is_judged(grid, &task, nl_part_samples(s->samples, k));
    }
    return good;
}

static bool parts_on_grid(const nl_grid *grid, const void *context)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 2, false}};
    bool good = true;

    (void)context;
    for (uint32_t seed = 0; seed < 12; seed++) {
        subject s = create_subject(seed % 2 == 0 ? most_samples : 9, 3, seed % 3 == 0 ? 2 : 40,
                                   NL_RELU, seed);

        for (size_t k = 0; k < NL_COUNT(specs); k++) {
            for (int precision = NL_DOUBLE; precision <= NL_SINGLE; precision++) {
                if (!parts_of_one(grid, &s, specs[k], (nl_precision)precision)) {
                    print_error("seed %d, kernel %d, precision %d\n", (int)seed, (int)k, precision);
                    good = false;
                }
            }
        }
        destroy_subject(&s);
    }
    return good;
}

/*---------------------------------------------------------------------------------------------
 * Convolutional and residual networks
 *-------------------------------------------------------------------------------------------*/

/* The k-th of all combinations of kind, activation, parametrisation, norm, head, downsampling and
 * biases. */
static nl_net_spec convolutional_spec(int k, int width, int depth)
{
    const int norm = k / 24 % 2;
    const int head = k / 48 % 2;
    const int downsampling = k / 96 % NL_DOWNSAMPLING_COUNT;
    const bool residual = k % 2 == 1;
    const nl_parametrization parametrization = (nl_parametrization)(k / 8 % 3);

    return (nl_net_spec){
        .kind = residual ? NL_RESNET : NL_CNN,
        .inputs = inputs,
        .outputs = 3,
        .width = width,
        .depth = depth,
        .activation = (nl_activation)(k / 2 % NL_ACTIVATION_COUNT),
        .parametrization = parametrization,
        .base_width = 4,
        .weight_variance = 2.0,
        .bias_variance = k % 3 == 0 ? 0.1 : 0.0,
        .convolutional = {.image = {28, 28, 1},
                          .stages = 3,
                          .blocks = {1, 1, 1},
                          .channel_growth = residual ? 2 : 1,
                          .kernel_size = 3,
                          .downsampling = (nl_downsampling)downsampling,
                          .head = (nl_head)head,
                          .dense_multiple = k % 5 == 0 ? 2 : 0,
                          .normalization = (nl_normalization)norm,
                          .branch_scale = k % 7 == 0 ? 0.0 : 1.0,
                          .biases = k % 3 == 0 || k % 2 == 0},
    };
}

enum { convolutional_specs = 96 * NL_DOWNSAMPLING_COUNT };

/** Largest deviations: [double, single][full, traced, class]. */
typedef struct largest {
    double deviation[2][3];
    long checks;
} largest;

static bool convolutional_holds(const nl_grid *grid, const nl_net_spec *spec, uint32_t seed,
                                largest *all)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 1, true}};
    subject s = subject_of(spec, 1 + (int)(seed % 7), seed);
    bool good = true;

    for (int kind = 0; kind < (int)NL_COUNT(specs); kind++) {
        for (int precision = NL_DOUBLE; precision <= NL_SINGLE; precision++) {
            const trust_case c = {.subject = &s,
                                  .spec = specs[kind],
                                  .precision = (nl_precision)precision,
                                  .panel_bytes = seed % 4 == 3 ? 1e6 : 1e9,
                                  .factor = 1.0,
                                  .ready = grid->rows * grid->cols == 1 && seed % 3 != 0};
            double deviation = 0.0;
            double *most = &all->deviation[precision][kind];

            if (!fill_and_check(grid, &c, &deviation) || !(deviation <= 1.0)) {
                print_error(
                    "%s %d wide, depth %d, %s, %s, norm %d, head %d, downsampling %d, seed %d, "
                    "kernel %d, precision %d: %g\n",
                    nl_net_kind_name(spec->kind), spec->width, spec->depth,
                    nl_activation_name(spec->activation),
                    nl_parametrization_name(spec->parametrization),
                    (int)spec->convolutional.normalization, (int)spec->convolutional.head,
                    (int)spec->convolutional.downsampling, (int)seed, kind, precision, deviation);
                good = false;
            }
            *most = fmax(*most, deviation);
            all->checks++;
        }
    }
    destroy_subject(&s);
    return good;
}

/* Sums of ten million products: their rounding is the largest of all. */
static bool wide_ones(const nl_grid *grid, largest *all)
{
    bool good = true;

    for (int k = 1; k < convolutional_specs; k += 58) {
        nl_net_spec spec = convolutional_spec(k, 64, 1);

        spec.outputs = 10;
        good = convolutional_holds(grid, &spec, 1, all) && good;
    }
    return good;
}

static bool convolutional_ones(const nl_grid *grid, const void *context)
{
    static const int widths[] = {1, 2, 3, 16};
    const int *step = context;
    largest all = {0};
    bool good = true;

    for (int k = 0; k < convolutional_specs; k += *step) {
        for (int depth = 1; depth <= (*step > 11 ? 1 : 3); depth++) {
            for (int w = 0; w < (int)NL_COUNT(widths); w++) {
                const nl_net_spec spec = convolutional_spec(k, widths[w], depth);

                good = convolutional_holds(grid, &spec, (uint32_t)(k + w + depth), &all) && good;
            }
        }
    }
    if (*step == 11) {
        good = wide_ones(grid, &all) && good;
        print_message("%ld checks, largest deviations: double %.3f full, %.3f traced, %.3f class, "
                      "rate-weighted; single %.3f, %.3f, %.3f\n",
                      all.checks, all.deviation[0][0], all.deviation[0][1], all.deviation[0][2],
                      all.deviation[1][0], all.deviation[1][1], all.deviation[1][2]);
    }
    return good;
}

/* A wrong weight of the first layer: in what a kernel is filled from and, where gradients are
 * ready, in what its check takes, too. */
static bool wrong_convolutional_ones(const nl_grid *grid, const void *context)
{
    static const nl_kernel_spec specs[] = {{NL_KERNEL_FULL, 0, false},
                                           {NL_KERNEL_TRACED, 0, false}};
    bool good = true;

    (void)context;
    for (int k = 0; k < 2 * (int)NL_COUNT(specs); k++) {
        const nl_net_spec spec = convolutional_spec(k % 2, 16, 1);
        subject s = subject_of(&spec, 5, (uint32_t)k);

        for (int ready = 0; ready < (grid->rows * grid->cols == 1 ? 2 : 1); ready++) {
            for (int precision = NL_DOUBLE; precision <= NL_SINGLE; precision++) {
                const trust_case c = {.subject = &s,
                                      .spec = specs[k / 2],
                                      .precision = (nl_precision)precision,
                                      .panel_bytes = 1e9,
                                      .factor = 64.0,
                                      .ready = ready != 0};
                double deviation = 0.0;

                if (!fill_and_check(grid, &c, &deviation) || !(deviation > 1.0)) {
                    print_error("case %d, ready %d, precision %d: %g\n", k, ready, precision,
                                deviation);
                    good = false;
                }
            }
        }
        destroy_subject(&s);
    }
    return good;
}

static void right_kernels_hold(void **state)
{
    (void)state;
    expect_on_every_grid(right_ones, NULL);
}

static void kernels_of_narrow_networks_hold(void **state)
{
    (void)state;
    expect_on_every_grid(narrow_ones, NULL);
}

static void a_wrong_weight_is_found(void **state)
{
    (void)state;
    expect_on_every_grid(wrong_ones, NULL);
    expect_on_every_grid(wrong_convolutional_ones, NULL);
}

static void parts_are_held_against_the_whole(void **state)
{
    (void)state;
    expect_on_every_grid(parts_on_grid, NULL);
}

static void some_convolutional_kernels_hold(void **state)
{
    static const int alone = 37;
    static const int shared = 131;
    int ranks = 0;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    expect_on_every_grid(convolutional_ones, ranks == 1 ? &alone : &shared);
}

static void many_convolutional_kernels_hold(void **state)
{
    static const int step = 11;

    (void)state;
    expect_on_every_grid(convolutional_ones, &step);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest whole[] = {cmocka_unit_test(many_convolutional_kernels_hold)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_convolutional_kernels_hold),
        cmocka_unit_test(right_kernels_hold),
        cmocka_unit_test(kernels_of_narrow_networks_hold),
        cmocka_unit_test(a_wrong_weight_is_found),
        cmocka_unit_test(parts_are_held_against_the_whole),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    failed = argc > 1 ? cmocka_run_group_tests(whole, NULL, NULL)
                      : cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
