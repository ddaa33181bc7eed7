/** @file test_nn.c  Activations, losses, layout, multipliers, rates and initial draws. */
#include "ntklens/nn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nl_net *make_net(nl_net_spec spec, nl_optimizer optimizer)
{
    nl_net *net = NULL;

    assert_int_equal(nl_net_create(&spec, optimizer, &net), NL_OK);
    return net;
}

static void names_are_those_of_the_study_file(void **state)
{
    (void)state;
    assert_string_equal(nl_activation_name(NL_GELU), "gelu");
    assert_string_equal(nl_activation_name(NL_RELU), "relu");
    assert_string_equal(nl_parametrization_name(NL_STANDARD), "standard");
    assert_string_equal(nl_parametrization_name(NL_MUP), "mup");
    assert_string_equal(nl_optimizer_name(NL_ADAM), "adam");
    assert_string_equal(nl_optimizer_name(NL_OPTIMIZER_COUNT), "unknown");
}

/*---------------------------------------------------------------------------------------------
 * Activations
 *-------------------------------------------------------------------------------------------*/

static void activations_have_known_values(void **state)
{
    (void)state;
    assert_true(nl_activation_value(NL_RELU, -2.0) == 0.0);
    assert_true(nl_activation_value(NL_RELU, 2.5) == 2.5);
    assert_true(nl_activation_slope(NL_RELU, 0.0) == 0.0);
    assert_true(fabs(nl_activation_value(NL_TANH, 1.0) - 0.76159415595576489) < 1e-15);
    assert_true(fabs(nl_activation_value(NL_ERF, 1.0) - 0.84270079294971487) < 1e-15);
    /* 1 * Phi(1), and the left tail -10 Phi(-10) that 1 + erf would lose */
    assert_true(fabs(nl_activation_value(NL_GELU, 1.0) - 0.84134474606854293) < 1e-15);
    assert_true(fabs(nl_activation_value(NL_GELU, -10.0) / -7.6198530241605e-23 - 1.0) < 1e-11);
}

static void slopes_equal_central_differences(void **state)
{
    const double h = 1e-5;

    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        for (double z = -5.05; z < 5.1; z += 0.1) {
            double difference = (nl_activation_value((nl_activation)a, z + h) -
                                 nl_activation_value((nl_activation)a, z - h)) /
                                (2.0 * h);

            assert_true(fabs(nl_activation_slope((nl_activation)a, z) - difference) < 1e-9);
        }
    }
}

/* A 1-1-1 network of unit weights: f(x) = phi(x); momentum's state after one step is the gradient,
 * that of the hidden bias 2 (f - 1) phi'(x) under mse. */
static void training_evaluates_the_activations_as_they_are_defined(void **state)
{
    const nl_train_spec training = {.loss = NL_MSE, .optimizer = NL_MOMENTUM, .momentum = 0.9};
    const int label = 0;

    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        nl_net *net = make_net((nl_net_spec){.inputs = 1,
                                             .outputs = 1,
                                             .width = 1,
                                             .depth = 1,
                                             .activation = (nl_activation)a,
                                             .weight_variance = 1.0},
                               NL_MOMENTUM);

        for (int k = -240; k <= 240; k++) {
            const float x = (float)k / 40.0F;
            const double value = nl_activation_value((nl_activation)a, x);
            const double slope = nl_activation_slope((nl_activation)a, x);
            nl_model *model = NULL;
            size_t size = 0;

            assert_int_equal(nl_model_create(net, &training, 1, &model), NL_OK);
            nl_model_parameters(model)[net->layer[0].weights] = 1.0F;
            nl_model_parameters(model)[net->layer[1].weights] = 1.0F;
            assert_true(fabs(nl_model_forward(model, 1, &x)[0] - value) <
                        2e-7 * (1.0 + fabs(value)));
            nl_model_step(model, 0, 1, &x, &label);
            assert_true(fabs(nl_model_optimizer_state(model, &size)[net->layer[0].biases] -
                             2.0 * (value - 1.0) * slope) < 2e-6 * (1.0 + fabs(value)));
            nl_model_destroy(&model);
        }
        nl_net_destroy(&net);
    }
}

/*---------------------------------------------------------------------------------------------
 * Losses
 *-------------------------------------------------------------------------------------------*/

static void losses_are_summed_over_samples(void **state)
{
    const float logits[] = {1.0F, 2.0F, 0.5F, -1.0F, 0.0F, 3.0F};
    const int labels[] = {1, 0};
    nl_loss_sum sum = {10.0, 5}; /* added to, not set */
    double expected = 10.0;

    (void)state;
    expected += log(exp(1.0) + exp(2.0) + exp(0.5)) - 2.0;
    expected += log(exp(-1.0) + exp(0.0) + exp(3.0)) + 1.0;
    nl_loss_add(NL_CROSS_ENTROPY, 2, 3, logits, labels, &sum);
    assert_true(fabs(sum.loss - expected) < 1e-14);
    assert_int_equal(sum.correct, 6);

    sum.loss = 0.0;
    nl_loss_add(NL_MSE, 2, 3, logits, labels, &sum);
    expected = (1.0 + 1.0 + 0.25) / 3.0 + (4.0 + 0.0 + 9.0) / 3.0; /* mean over classes */
    assert_true(fabs(sum.loss - expected) < 1e-14);
    assert_int_equal(sum.correct, 7);
}

static long hits(const float logits[3], int label)
{
    nl_loss_sum sum = {0};

    nl_loss_add(NL_CROSS_ENTROPY, 1, 3, logits, &label, &sum);
    return sum.correct;
}

static void the_first_of_equal_logits_wins_and_a_nan_never_hits(void **state)
{
    const float tie[] = {2.0F, 2.0F, 1.0F};
    const float infinite[] = {1.0F, 1.0F, INFINITY};

    (void)state;
    assert_int_equal(hits(tie, 0), 1);
    assert_int_equal(hits(tie, 1), 0);
    assert_int_equal(hits(infinite, 2), 1);
    for (int at = 0; at < 3; at++) {
        float logits[] = {0.0F, 0.0F, 0.0F};

        logits[at] = NAN;
        for (int label = 0; label < 3; label++) {
            assert_int_equal(hits(logits, label), 0);
        }
    }
}

static void a_nan_among_the_logits_makes_the_loss_nan(void **state)
{
    const int label = 1;
    float gradient[3];

    (void)state;
    for (int loss = 0; loss < NL_LOSS_COUNT; loss++) {
        for (int at = 0; at < 3; at++) {
            float logits[] = {0.0F, 1.0F, 2.0F};
            nl_loss_sum sum = {0};

            logits[at] = NAN;
            nl_loss_add((nl_loss)loss, 1, 3, logits, &label, &sum);
            assert_true(isnan(sum.loss));
            assert_true(isnan(nl_loss_gradient((nl_loss)loss, 1, 3, logits, &label, gradient)));
        }
    }
}

static void cross_entropy_is_stable_for_huge_logits(void **state)
{
    const float logits[] = {3e38F, -3e38F, 0.0F, 1e4F, 0.0F, -1e4F};
    const int labels[] = {0, 0};
    const int wrong[] = {1, 1};
    float gradient[6];
    nl_loss_sum sum = {0};

    (void)state;
    nl_loss_add(NL_CROSS_ENTROPY, 2, 3, logits, labels, &sum);
    assert_true(sum.loss == 0.0);
    nl_loss_add(NL_CROSS_ENTROPY, 2, 3, logits, wrong, &sum);
    assert_true(fabs(sum.loss / 6e38 - 1.0) < 1e-6);
    assert_true(isfinite(nl_loss_gradient(NL_CROSS_ENTROPY, 2, 3, logits, wrong, gradient)));
    assert_true(gradient[0] == 0.5F && gradient[1] == -0.5F && gradient[2] == 0.0F);
}

static void gradients_keep_their_digits_where_the_fit_is_good(void **state)
{
    const float logits[] = {20.0F, 0.0F};
    const int label = 0;
    float gradient[2];

    (void)state;
    nl_loss_gradient(NL_CROSS_ENTROPY, 1, 2, logits, &label, gradient);
    assert_true(fabs(gradient[0] / -exp(-20.0) - 1.0) < 1e-6); /* p - 1 would be 0 in float */
    assert_true(gradient[1] == -gradient[0]);
}

static void exact_loss_gradients_equal_those_of_training(void **state)
{
    const float logits[6] = {0.5F, -1.25F, 2.0F, 30.0F, -2.0F, 1.0F};
    const int labels[2] = {1, 0};
    double exact[6];
    double probability[6];
    double gradient[6];
    float expected[6];

    (void)state;
    for (int loss = 0; loss < NL_LOSS_COUNT; loss++) {
        for (int k = 0; k < 6; k++) {
            exact[k] = (double)logits[k];
            probability[k] = (double)logits[k];
        }
        nl_loss_gradient((nl_loss)loss, 2, 3, logits, labels, expected);
        nl_loss_gradient_exact((nl_loss)loss, 2, 3, labels, probability, gradient);
        for (int k = 0; k < 6; k++) {
            assert_true(fabs(gradient[k] - (double)expected[k]) <=
                        2e-7 * fabs((double)expected[k]));
            assert_true(k % 3 == 0 ||
                        fabs(probability[k] / probability[k - 1] - exp(exact[k] - exact[k - 1])) <=
                            1e-12 * exp(exact[k] - exact[k - 1]));
        }
    }
}

static void loss_gradients_equal_central_differences(void **state)
{
    enum { rows = 3, outputs = 4, count = rows * outputs };
    const float h = 0x1p-8F; /* logits in eighths: f + h and f - h are exact */
    const int labels[rows] = {2, 0, 3};
    float logits[count];
    float gradient[count];

    (void)state;
    for (int k = 0; k < count; k++) {
        logits[k] = (float)((k * 7) % 11 - 5) / 8.0F;
    }
    for (int loss = 0; loss < NL_LOSS_COUNT; loss++) {
        nl_loss_sum mean = {0};
        double returned = nl_loss_gradient((nl_loss)loss, rows, outputs, logits, labels, gradient);

        nl_loss_add((nl_loss)loss, rows, outputs, logits, labels, &mean);
        assert_true(fabs(returned - mean.loss / rows) < 1e-15);
        for (int k = 0; k < count; k++) {
            const float kept = logits[k];
            nl_loss_sum above = {0};
            nl_loss_sum below = {0};

            logits[k] = kept + h;
            nl_loss_add((nl_loss)loss, rows, outputs, logits, labels, &above);
            logits[k] = kept - h;
            nl_loss_add((nl_loss)loss, rows, outputs, logits, labels, &below);
            logits[k] = kept;
            assert_true(fabs(gradient[k] - (above.loss - below.loss) / (2.0 * (double)h * rows)) <
                        1e-6);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Layout, multipliers, rates
 *-------------------------------------------------------------------------------------------*/

static const nl_net_spec sample = {.inputs = 7,
                                   .outputs = 3,
                                   .width = 8,
                                   .depth = 2,
                                   .activation = NL_RELU,
                                   .parametrization = NL_STANDARD,
                                   .base_width = 2,
                                   .weight_variance = 1.7,
                                   .bias_variance = 0.3};

static nl_net_spec sample_as(nl_parametrization parametrization, double bias_variance)
{
    nl_net_spec spec = sample;

    spec.parametrization = parametrization;
    spec.bias_variance = bias_variance;
    return spec;
}

static void parameters_lie_layer_by_layer_weights_first(void **state)
{
    const int fan_in[] = {7, 8, 8};
    const int fan_out[] = {8, 8, 3};
    nl_net *net = make_net(sample, NL_SGD);
    size_t at = 0;

    (void)state;
    assert_int_equal(net->layers, 3);
    for (int l = 0; l < 3; l++) {
        assert_int_equal(net->layer[l].fan_in, fan_in[l]);
        assert_int_equal(net->layer[l].fan_out, fan_out[l]);
        assert_int_equal(net->layer[l].weights, at);
        at += (size_t)(fan_in[l] * fan_out[l]);
        assert_int_equal(net->layer[l].biases, at);
        at += (size_t)fan_out[l];
    }
    assert_int_equal(net->size, at);
    nl_net_destroy(&net);
    assert_null(net);
    nl_net_destroy(&net);
}

static void an_mlp_is_a_chain_of_dense_layers_with_roles(void **state)
{
    const nl_role roles[] = {NL_ROLE_INPUT, NL_ROLE_HIDDEN, NL_ROLE_OUTPUT};
    nl_net *net = make_net(sample, NL_SGD);
    double flops = 0.0;

    (void)state;
    for (int l = 0; l < 3; l++) {
        const nl_layer *layer = &net->layer[l];
        size_t shape[nl_most_weight_dimensions];

        assert_int_equal(layer->kind, NL_DENSE);
        assert_int_equal(layer->role, roles[l]);
        assert_int_equal(layer->from, l - 1);
        assert_true(layer->activates == (l < 2));
        assert_int_equal(nl_shape_size(layer->in), layer->fan_in);
        assert_int_equal(nl_shape_size(layer->out), layer->fan_out);
        assert_int_equal(nl_layer_weight_shape(layer, shape), 2);
        assert_int_equal(shape[0], layer->fan_out);
        assert_int_equal(shape[1], layer->fan_in);
        assert_int_equal(nl_layer_weights(layer), shape[0] * shape[1]);
        flops += 2.0 * (double)nl_layer_weights(layer);
    }
    assert_int_equal(nl_net_output(net), 2);
    assert_int_equal(nl_net_last_hidden(net), 1);
    assert_int_equal(nl_net_widest(net), 8);
    assert_true(nl_net_forward_flops(net) == flops);
    nl_net_destroy(&net);
}

static void networks_are_equal_in_all_of_their_specification(void **state)
{
    nl_net_spec other[] = {sample, sample, sample, sample, sample, sample, sample, sample, sample};

    (void)state;
    assert_true(nl_net_spec_equal(&sample, &other[0]));
    other[0].inputs++;
    other[1].outputs++;
    other[2].width++;
    other[3].depth++;
    other[4].activation = NL_ERF;
    other[5].parametrization = NL_NTK;
    other[6].base_width++;
    other[7].weight_variance = 1.0;
    other[8].bias_variance = 0.0;
    for (size_t k = 0; k < NL_COUNT(other); k++) {
        assert_false(nl_net_spec_equal(&sample, &other[k]));
    }
}

static void trained_parameters_leave_out_the_biases_ntk_does_not_have(void **state)
{
    const size_t weights = 7 * 8 + 8 * 8 + 8 * 3;
    const size_t biases = 8 + 8 + 3;

    (void)state;
    for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
        for (int with = 0; with <= 1; with++) {
            const bool trains = p != NL_NTK || with == 1;
            nl_net *net = make_net(sample_as((nl_parametrization)p, 0.3 * with), NL_SGD);

            assert_int_equal(net->size, weights + biases);
            assert_int_equal(net->trained, weights + (trains ? biases : 0));
            assert_true(net->layer[2].trains_bias == trains);
            nl_net_destroy(&net);
        }
    }
}

static void multipliers_and_draws_are_those_of_the_parametrization(void **state)
{
    nl_net *standard = make_net(sample_as(NL_STANDARD, 0.3), NL_SGD);
    nl_net *ntk = make_net(sample_as(NL_NTK, 0.3), NL_SGD);
    nl_net *mup = make_net(sample_as(NL_MUP, 0.3), NL_SGD); /* r = 4 */

    (void)state;
    for (int l = 0; l < 3; l++) {
        const double root = sqrt(1.7 / (l == 0 ? 7.0 : 8.0));
        const nl_layer *s = &standard->layer[l];
        const nl_layer *n = &ntk->layer[l];
        const nl_layer *m = &mup->layer[l];

        assert_true(s->weight_scale == 1.0 && s->bias_scale == 1.0 && s->bias_std == sqrt(0.3));
        assert_true(fabs(s->weight_std - root) < 1e-15);
        assert_true(fabs(n->weight_scale - root) < 1e-15 && n->bias_scale == sqrt(0.3));
        assert_true(n->weight_std == 1.0 && n->bias_std == 1.0);
        assert_true(m->weight_scale == (l == 2 ? 0.25 : 1.0) && m->bias_scale == 1.0 &&
                    m->bias_std == sqrt(0.3));
        assert_true(fabs(m->weight_std - (l == 2 ? sqrt(1.7 / 2.0) : root)) < 1e-15);
    }
    nl_net_destroy(&mup);
    nl_net_destroy(&ntk);
    nl_net_destroy(&standard);
}

static void expect_rates(nl_parametrization parametrization, nl_optimizer optimizer, int depth,
                         double input, double hidden, double output, double hidden_bias)
{
    nl_net_spec spec = sample_as(parametrization, 0.3);
    nl_net *net = NULL;

    spec.depth = depth;
    net = make_net(spec, optimizer);
    for (int l = 0; l <= depth; l++) {
        const double weight = l == 0 ? input : l == depth ? output : hidden;

        assert_true(net->layer[l].weight_rate == weight);
        assert_true(net->layer[l].bias_rate == (l == depth ? 1.0 : hidden_bias));
    }
    nl_net_destroy(&net);
}

static void mup_rates_are_those_of_the_optimizer(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 3; depth++) { /* depth 1 has no hidden weights */
        expect_rates(NL_MUP, NL_SGD, depth, 4.0, 1.0, 4.0, 4.0);
        expect_rates(NL_MUP, NL_MOMENTUM, depth, 4.0, 1.0, 4.0, 4.0);
        expect_rates(NL_MUP, NL_ADAM, depth, 1.0, 0.25, 1.0, 1.0);
        expect_rates(NL_STANDARD, NL_SGD, depth, 1.0, 1.0, 1.0, 1.0);
        expect_rates(NL_NTK, NL_ADAM, depth, 1.0, 1.0, 1.0, 1.0);
    }
}

static void senseless_networks_are_refused(void **state)
{
    nl_net_spec bad[6];
    nl_net *net = NULL;

    (void)state;
    for (size_t k = 0; k < NL_COUNT(bad); k++) {
        bad[k] = sample;
    }
    bad[0].depth = 0;
    bad[1].width = 0;
    bad[2].weight_variance = NAN;
    bad[3].bias_variance = -1.0;
    bad[4].activation = NL_ACTIVATION_COUNT;
    bad[5].parametrization = NL_MUP;
    bad[5].base_width = 0;
    for (size_t k = 0; k < NL_COUNT(bad); k++) {
        assert_int_equal(nl_net_create(&bad[k], NL_SGD, &net), NL_ERR_ARG);
        assert_null(net);
    }
}

/*---------------------------------------------------------------------------------------------
 * Initial draw
 *-------------------------------------------------------------------------------------------*/

static float *draw(nl_net_spec spec, uint32_t seed, size_t *size)
{
    nl_net *net = make_net(spec, NL_SGD);
    float *theta = nl_calloc(net->size, sizeof *theta);

    assert_non_null(theta);
    memset(theta, 0xff, net->size * sizeof *theta); /* NaN where nothing is written */
    nl_net_initialize(net, seed, theta);
    *size = net->size;
    nl_net_destroy(&net);
    return theta;
}

static void initial_parameters_come_from_the_documented_streams(void **state)
{
    size_t size = 0;

    (void)state;
    for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
        nl_net *net = make_net(sample_as((nl_parametrization)p, 0.3), NL_SGD);
        float *theta = draw(net->spec, 11, &size);

        for (int l = 0; l < net->layers; l++) {
            const nl_layer *layer = &net->layer[l];
            const uint32_t c = (uint32_t)(l + 1 + (p == NL_NTK ? 65536 : 0));
            nl_rng rng = nl_rng_open(11, NL_PURPOSE_INIT, 8, 2, c);

            for (size_t k = layer->weights; k < layer->biases; k++) {
                assert_true(theta[k] == (float)(layer->weight_std * nl_rng_normal(&rng)));
            }
            for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
                assert_true(theta[layer->biases + k] ==
                            (float)(layer->bias_std * nl_rng_normal(&rng)));
            }
        }
        free(theta);
        nl_net_destroy(&net);
    }
}

static void initial_parameters_depend_on_seed_and_size_only(void **state)
{
    nl_net_spec deeper = sample;
    size_t size = 0;
    float *one = draw(sample, 1, &size);
    float *again = draw(sample, 1, &size);
    float *other = draw(sample, 2, &size);
    float *other_depth = NULL;

    (void)state;
    deeper.depth = 3;
    assert_memory_equal(one, again, size * sizeof *one);
    other_depth = draw(deeper, 1, &size);
    for (size_t k = 0; k < 7 * 8; k++) {
        assert_true(one[k] != other[k] && one[k] != other_depth[k]);
    }
    free(other_depth);
    free(other);
    free(again);
    free(one);
}

static void biases_of_no_variance_are_zero_and_cost_no_numbers(void **state)
{
    (void)state;
    for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
        nl_net *net = make_net(sample_as((nl_parametrization)p, 0.0), NL_SGD);
        size_t size = 0;
        float *without = draw(sample_as((nl_parametrization)p, 0.0), 5, &size);
        float *with = draw(sample_as((nl_parametrization)p, 0.3), 5, &size);

        for (int l = 0; l < net->layers; l++) {
            const nl_layer *layer = &net->layer[l];

            assert_memory_equal(without + layer->weights, with + layer->weights,
                                (layer->biases - layer->weights) * sizeof *with);
            for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
                assert_true(without[layer->biases + k] == 0.0F);
                assert_true(with[layer->biases + k] != 0.0F);
            }
        }
        free(with);
        free(without);
        nl_net_destroy(&net);
    }
}

static void initial_weights_have_the_moments_asked_for(void **state)
{
    nl_net_spec spec = sample_as(NL_STANDARD, 0.3);
    nl_net *net = NULL;
    size_t size = 0;
    float *theta = NULL;

    (void)state;
    spec.inputs = 300;
    spec.width = 200;
    net = make_net(spec, NL_SGD);
    theta = draw(spec, 3, &size);
    for (int l = 0; l < 2; l++) {
        const nl_layer *layer = &net->layer[l];
        const double count = (double)(layer->biases - layer->weights);
        double mean = 0.0;
        double variance = 0.0;

        for (size_t k = layer->weights; k < layer->biases; k++) {
            mean += theta[k] / count;
            variance += (double)theta[k] * theta[k] / count;
        }
        variance *= layer->fan_in / 1.7;
        assert_true(fabs(mean) < 5.0 * layer->weight_std / sqrt(count));
        assert_true(fabs(variance - 1.0) < 5.0 * sqrt(2.0 / count));
    }
    free(theta);
    nl_net_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_study_file),
        cmocka_unit_test(activations_have_known_values),
        cmocka_unit_test(slopes_equal_central_differences),
        cmocka_unit_test(training_evaluates_the_activations_as_they_are_defined),
        cmocka_unit_test(losses_are_summed_over_samples),
        cmocka_unit_test(the_first_of_equal_logits_wins_and_a_nan_never_hits),
        cmocka_unit_test(a_nan_among_the_logits_makes_the_loss_nan),
        cmocka_unit_test(cross_entropy_is_stable_for_huge_logits),
        cmocka_unit_test(gradients_keep_their_digits_where_the_fit_is_good),
        cmocka_unit_test(exact_loss_gradients_equal_those_of_training),
        cmocka_unit_test(loss_gradients_equal_central_differences),
        cmocka_unit_test(parameters_lie_layer_by_layer_weights_first),
        cmocka_unit_test(an_mlp_is_a_chain_of_dense_layers_with_roles),
        cmocka_unit_test(networks_are_equal_in_all_of_their_specification),
        cmocka_unit_test(trained_parameters_leave_out_the_biases_ntk_does_not_have),
        cmocka_unit_test(multipliers_and_draws_are_those_of_the_parametrization),
        cmocka_unit_test(mup_rates_are_those_of_the_optimizer),
        cmocka_unit_test(senseless_networks_are_refused),
        cmocka_unit_test(initial_parameters_come_from_the_documented_streams),
        cmocka_unit_test(initial_parameters_depend_on_seed_and_size_only),
        cmocka_unit_test(biases_of_no_variance_are_zero_and_cost_no_numbers),
        cmocka_unit_test(initial_weights_have_the_moments_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
