/** @file test_trust.c  Right kernels hold, wrong ones do not, whatever rounding does to the gates
 * of relu. */
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include "linalg_fixture.h"

enum { inputs = 784, outputs = 3, samples = 40, width = 40, wanted_block = 16 };

/** A network that has a unit next to its kink for every sample, and what it looks at. */
typedef struct subject {
    nl_net *net;
    float *theta;
    float *probe; /* [samples x inputs] */
    int labels[samples];
} subject;

/* Bias k of the first layer leaves of z_k(x_k) what rounding to float leaves. */
static void move_to_kinks(subject *s)
{
    const nl_layer *layer = &s->net->layer[0];

    for (int k = 0; k < width; k++) {
        const float *w = s->theta + layer->weights + (size_t)(k * inputs);
        double z = 0.0;

        for (int q = 0; q < inputs; q++) {
            z += (double)w[q] * (double)s->probe[k * inputs + q];
        }
        s->theta[layer->biases + (size_t)k] = (float)-z;
    }
}

static subject create_subject(nl_activation activation)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = width,
                              .depth = 2,
                              .activation = activation,
                              .weight_variance = 2.0};
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    subject s = {0};

    assert_int_equal(nl_net_create(&spec, NL_SGD, &s.net), NL_OK);
    s.theta = nl_calloc(s.net->size, sizeof *s.theta);
    s.probe = nl_calloc((size_t)samples * inputs, sizeof *s.probe);
    if (s.theta == NULL || s.probe == NULL) {
        fail_msg("out of memory");
        return s;
    }
    nl_net_initialize(s.net, 1, s.theta);
    for (int k = 0; k < samples * inputs; k++) {
        s.probe[k] = (float)nl_rng_uniform(&rng);
    }
    for (int i = 0; i < samples; i++) {
        s.labels[i] = i % outputs;
    }
    move_to_kinks(&s);
    return s;
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
} trust_case;

static bool sums_and_verdict(const nl_dmat *a, const trust_case *c, const nl_kernel_input *input,
                             bool *holds)
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
           nl_trust_holds(trust, c->spec, c->precision, &sums, state->gradient, holds) == NL_OK;
    nl_trust_destroy(&trust);
    nl_probe_state_destroy(&state);
    free(v);
    return good;
}

static bool fill_and_check(const nl_grid *grid, const trust_case *c, bool *holds)
{
    const subject *s = c->subject;
    const size_t wrong = s->net->layer[1].weights + 7;
    nl_kernel_input input = {.net = s->net,
                             .theta = s->theta,
                             .probe = s->probe,
                             .samples = samples,
                             .panel_bytes = c->panel_bytes};
    const float right = s->theta[wrong];
    nl_dmat *a = NULL;
    bool good =
        nl_dmat_create(grid, nl_kernel_order(c->spec, samples, outputs),
                       nl_kernel_block(c->spec, outputs, wanted_block), c->precision, &a) == NL_OK;

    s->theta[wrong] = (float)(c->factor * (double)right);
    good = good && nl_kernel_fill(a, c->spec, &input) == NL_OK;
    s->theta[wrong] = right;
    good = good && sums_and_verdict(a, c, &input, holds);
    nl_dmat_destroy(&a);
    return good;
}

static bool every_kernel(const nl_grid *grid, nl_activation activation, double factor, bool holds)
{
    static const nl_kernel_spec specs[] = {
        {NL_KERNEL_FULL, 0, false}, {NL_KERNEL_TRACED, 0, false}, {NL_KERNEL_CLASS, 2, false}};
    subject s = create_subject(activation);
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(specs); k++) {
        for (int precision = NL_DOUBLE; precision <= NL_SINGLE; precision++) {
            /* a window of some samples need not see one weight */
            for (int panels = 0; panels < (holds ? 2 : 1); panels++) {
                const trust_case c = {.subject = &s,
                                      .spec = specs[k],
                                      .precision = (nl_precision)precision,
                                      .panel_bytes = panels != 0 ? 1e5 : 1e9,
                                      .factor = factor};
                bool found = false;

                if (!fill_and_check(grid, &c, &found) || found != holds) {
                    print_error("kernel %d, precision %d, panels %d: %d\n", (int)k, precision,
                                panels, found);
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

static bool wrong_ones(const nl_grid *grid, const void *context)
{
    (void)context;
    return every_kernel(grid, NL_RELU, 64.0, false);
}

static void right_kernels_hold(void **state)
{
    (void)state;
    expect_on_every_grid(right_ones, NULL);
}

static void a_wrong_weight_is_found(void **state)
{
    (void)state;
    expect_on_every_grid(wrong_ones, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernels_hold),
        cmocka_unit_test(a_wrong_weight_is_found),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
