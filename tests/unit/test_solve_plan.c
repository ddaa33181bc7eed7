/** @file test_solve_plan.c  Who shares a kernel, and how it is solved: the rule of ARCHITECTURE.md.
 */
#include "ntklens/measure.h"
#include "outcome.h"

static const double gigabyte = 0x1p30;
static const nl_dataset_info images = {.inputs = 784, .classes = 10};

/* The plan for a full kernel of 10 outputs; status of the making. */
static nl_status make(const char *set[], int sets, int ranks, double memory, nl_solve_plan *out)
{
    outcome o = parse(DATA MODEL "measure: {kernels: [full]}\n", sets, set);
    nl_measure_plan *measure = NULL;
    nl_status status = o.status;

    assert_int_equal(status, NL_OK);
    status = nl_measure_plan_create(o.study, &images, &measure);
    assert_int_equal(status, NL_OK);
    status = nl_solve_plan_make(&o.study->spec.solve, measure, 0,
                                &(nl_solve_room){10, ranks, memory, NULL}, out);
    assert_int_equal(nl_solve_plan_fits(&o.study->spec.solve, measure, 0,
                                        &(nl_solve_room){10, ranks, memory, NULL}, out),
                     status == NL_OK);
    nl_measure_plan_destroy(&measure);
    forget(&o);
    return status;
}

static bool has_elpa(void)
{
    return nl_solver_find("elpa") != NULL;
}

static void a_kernel_that_fits_is_solved_alone(void **state)
{
    const char *set[] = {"data.probe_size=2000", "data.test_size=3000"};
    nl_solve_plan plan;

    (void)state;
    for (int ranks = 1; ranks <= 64; ranks *= 4) {
        assert_int_equal(make(set, 2, ranks, 3.2 * gigabyte, &plan), NL_OK);
        assert_int_equal(plan.n, 20000);
        assert_int_equal(plan.team, 1);
        assert_string_equal(plan.solver->name, "lapack");
        assert_true(plan.solver->workspace(plan.n, plan.block, NL_DOUBLE, 1, 1) < 0.1 * gigabyte);
    }
}

static void a_larger_one_is_shared_by_as_few_as_its_solver_needs(void **state)
{
    const char *set[] = {"data.probe_size=2000", "data.test_size=3000", "measure.precision=single"};
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(make(set, 2, 2, 2.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.team, 2);
    assert_string_equal(plan.solver->name, "twostage");
    assert_true(nl_solve_memory(&plan, NL_DOUBLE) <
                1.25 * 20000.0 * 20000.0 * 8 / 2 + 300e6 - 100e6);
    assert_int_equal(make(set, 2, 64, 2.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.team, 2);
    assert_true(nl_solve_memory(&plan, NL_DOUBLE) <= 2.0 * gigabyte);
    assert_int_equal(make(set, 2, 2, 1.57 * gigabyte, &plan), NL_OK); /* no room for panels */
    assert_string_equal(plan.solver->name, "scalapack");
    assert_int_equal(make(set, 3, 64, 1.0 * gigabyte, &plan), NL_OK);
    assert_true(nl_solver_able(plan.solver, plan.n, plan.block, NL_SINGLE, 8, 8));
}

static void a_solver_that_cannot_is_replaced_or_refused(void **state)
{
    const char *set[] = {"measure.solver=elpa", "measure.team_size=all", "data.probe_size=4",
                         "measure.precision=single"};
    nl_solve_plan plan;
    nl_status status = make(set, 3, 64, gigabyte, &plan);

    (void)state;
    assert_int_equal(status, has_elpa() ? NL_OK : NL_ERR_STUDY);
    if (has_elpa()) { /* two blocks on an 8 x 8 grid */
        assert_int_equal(plan.team, 64);
        assert_string_equal(plan.solver->name, "scalapack");
        set[2] = "data.probe_size=100";
        assert_int_equal(make(set, 3, 4, gigabyte, &plan), NL_OK);
        assert_string_equal(plan.solver->name, "elpa");
        status = make(set, 4, 4, gigabyte, &plan);
        assert_int_equal(status, nl_solver_find("elpa")->double_only ? NL_ERR_STUDY : NL_OK);
    }
}

static void a_team_is_as_large_as_its_grid(void **state)
{
    const char *set[] = {"measure.team_size=all"};
    nl_solve_plan plan;

    (void)state;
    for (int ranks = 1; ranks <= 16; ranks++) {
        int rows = 0;
        int cols = 0;

        nl_grid_shape(ranks, &rows, &cols);
        assert_int_equal(make(set, 1, ranks, gigabyte, &plan), NL_OK);
        assert_int_equal(plan.team, rows * cols);
    }
    set[0] = "measure.team_size=5";
    assert_int_equal(make(set, 1, 8, gigabyte, &plan), NL_OK);
    assert_int_equal(plan.team, 4);
}

static void more_than_32_bits_count_is_never_one_ranks(void **state)
{
    const char *set[] = {"data.probe_size=6000", "data.test_size=3000"};
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(make(set, 2, 1, 1e15, &plan), NL_ERR_STUDY);
    assert_int_equal(make(set, 2, 2, 1e15, &plan), NL_OK);
    assert_int_equal(plan.team, 2);
}

/* infinite.csv is made last: what does not fit must be refused before the first training. */
static void kernels_of_infinite_width_are_planned_in_double(void **state)
{
    const char *set[] = {"data.probe_size=6000", "data.test_size=3000", "measure.kernels=[traced]",
                         "measure.precision=single", "measure.infinite=true"};
    outcome o = parse(DATA MODEL, 5, set);
    nl_measure_plan *measure = NULL;
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(o.status, NL_OK);
    assert_int_equal(nl_measure_plan_create(o.study, &images, &measure), NL_OK);
    assert_int_equal(nl_solve_plan_make(&o.study->spec.solve, measure, 0,
                                        &(nl_solve_room){10, 1, 300e6, NULL}, &plan),
                     NL_OK);
    assert_int_equal(
        nl_infinite_plan(&o.study->spec, measure, &(nl_solve_room){10, 1, 300e6, NULL}, &plan),
        NL_ERR_STUDY);
    assert_int_equal(
        nl_infinite_plan(&o.study->spec, measure, &(nl_solve_room){10, 1, 400e6, NULL}, &plan),
        NL_OK);
    assert_int_equal(plan.n, 6000);
    nl_measure_plan_destroy(&measure);
    forget(&o);
}

/* dsyevd counts 2 n^2 elements of work space. */
static void eigenvectors_reach_that_limit_sooner(void **state)
{
    const char *set[] = {"data.probe_size=3300", "data.test_size=3000",
                         "measure.eigenvectors=true"};
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(make(set, 2, 1, 1e15, &plan), NL_OK);
    assert_int_equal(make(set, 3, 1, 1e15, &plan), NL_ERR_STUDY);
    assert_int_equal(make(set, 3, 4, 1e15, &plan), NL_OK);
    assert_true(plan.team > 1);
}

/* The plan for the full kernel of a network, by the method that is asked for or chosen. */
static nl_status make_of_net(const nl_net_spec *spec, const char *set[], int sets, int ranks,
                             double memory, nl_solve_plan *out)
{
    outcome o = parse(DATA MODEL "measure: {kernels: [full]}\n", sets, set);
    nl_measure_plan *measure = NULL;
    nl_net *net = NULL;
    nl_status status = o.status;

    assert_int_equal(status, NL_OK);
    assert_int_equal(nl_net_create(spec, NL_SGD, &net), NL_OK);
    assert_int_equal(nl_measure_plan_create(o.study, &images, &measure), NL_OK);
    status = nl_solve_plan_make(&o.study->spec.solve, measure, 0,
                                &(nl_solve_room){10, ranks, memory, net}, out);
    nl_measure_plan_destroy(&measure);
    nl_net_destroy(&net);
    forget(&o);
    return status;
}

static nl_status make_of(int width, const char *set[], int sets, int ranks, double memory,
                         nl_solve_plan *out)
{
    const nl_net_spec spec = {.inputs = 784,
                              .outputs = 10,
                              .width = width,
                              .depth = 2,
                              .activation = NL_RELU,
                              .weight_variance = 1.0};

    return make_of_net(&spec, set, sets, ranks, memory, out);
}

/* To n = 40,000 what there was before there were other methods; then the dual, if it is small. */
static void the_method_is_primal_as_long_as_that_takes_no_longer_than_allowed(void **state)
{
    const char *set[] = {"data.probe_size=4000", "data.test_size=3000",
                         "measure.exact_operations=1e14"};
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(make_of(8, set, 2, 4, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_PRIMAL);
    assert_int_equal(plan.n, 40000);
    assert_int_equal(plan.order, 40000);
    assert_true(plan.team > 1);
    assert_int_equal(make_of(8, set, 2, 1, 1.0 * gigabyte, &plan), NL_OK); /* it does not fit */
    assert_int_equal(plan.method, NL_METHOD_DUAL);
    assert_int_equal(plan.order, 785 * 8 + 9 * 8 + 9 * 10);
    set[0] = "data.probe_size=6000";
    assert_int_equal(make_of(8, set, 2, 64, 5.0 * gigabyte, &plan), NL_OK); /* it takes 3e14 */
    assert_int_equal(plan.method, NL_METHOD_DUAL);
    assert_int_equal(plan.n, 60000);
    assert_int_equal(plan.team, 1);
    assert_true(plan.operations > 4.0 / 3.0 * pow(plan.order, 3.0) && plan.operations < 1e14);
    assert_int_equal(make_of(256, set, 2, 64, 5.0 * gigabyte, &plan), NL_OK); /* 2e16 */
    assert_int_equal(plan.method, NL_METHOD_QUADRATURE);
    assert_int_equal(plan.order, 60000);
    assert_true(nl_solve_memory(&plan, NL_DOUBLE) < 4.0 * gigabyte);
    assert_int_equal(make_of(256, set, 2, 1, 0.5 * gigabyte, &plan), NL_ERR_STUDY);
    set[2] = "measure.exact_operations=1e15";
    assert_int_equal(make_of(8, set, 3, 64, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_PRIMAL);
    set[2] = "measure.method=dual";
    set[0] = "data.probe_size=10";
    assert_int_equal(make_of(8, set, 3, 1, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_DUAL);
}

/* A traced kernel that is too much to be solved is stored, on as many ranks as that takes. */
static void traced_kernels_are_stored_where_they_are_not_solved(void **state)
{
    const char *set[] = {"measure.kernels=[traced]", "data.probe_from=train",
                         "data.train_sizes=[60000]", "data.probe_size=60000",
                         "measure.exact_operations=1e14"};
    nl_solve_plan plan;

    (void)state;
    assert_int_equal(make_of(64, set, 5, 4, 5.0 * gigabyte, &plan), NL_OK); /* 3e14 */
    assert_int_equal(plan.method, NL_METHOD_QUADRATURE);
    assert_true(plan.stored);
    assert_int_equal(plan.order, 60000);
    assert_int_equal(plan.team, 2);
    assert_true(nl_solve_memory(&plan, NL_DOUBLE) > 3.6e9 &&
                nl_solve_memory(&plan, NL_DOUBLE) < 4.3e9);
    assert_int_equal(make_of(64, set, 5, 1, 10.0 * gigabyte, &plan), NL_OK); /* beyond 2^31 */
    assert_int_equal(plan.team, 1);
    assert_int_equal(make_of(64, set, 5, 1, 5.0 * gigabyte, &plan), NL_ERR_STUDY);
    set[3] = "data.probe_size=40000";
    assert_int_equal(make_of(64, set, 5, 4, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_PRIMAL);
    set[4] = "measure.method=dual"; /* there is none */
    assert_int_equal(make_of(64, set, 5, 4, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_PRIMAL);
}

/* Two stages of so many channels on 28 x 28. */
static nl_net_spec convolutional(int channels)
{
    return (nl_net_spec){.kind = NL_CNN,
                         .inputs = 784,
                         .outputs = 10,
                         .width = channels,
                         .depth = 1,
                         .activation = NL_RELU,
                         .weight_variance = 1.0,
                         .convolutional = {.image = {28, 28, 1},
                                           .stages = 2,
                                           .blocks = {1, 1},
                                           .channel_growth = 1,
                                           .kernel_size = 3,
                                           .downsampling = NL_AVERAGE_POOLING,
                                           .head = NL_GLOBAL_AVERAGE_HEAD,
                                           .branch_scale = 1.0,
                                           .biases = true}};
}

/* A wide one, whose fill takes more than is allowed; a narrow one of too many images. */
static void kernels_of_convolutional_networks_go_by_their_solves(void **state)
{
    const char *set[] = {"data.probe_size=2000", "data.test_size=3000"};
    nl_net_spec spec = convolutional(512);
    nl_solve_plan plan;

    (void)state;
    spec.convolutional.head = NL_FLATTEN_HEAD; /* no layer's part is joined */
    assert_int_equal(make_of_net(&spec, set, 2, 1, 5.0 * gigabyte, &plan), NL_OK);
    assert_true(plan.operations > 1e14);
    assert_int_equal(plan.method, NL_METHOD_PRIMAL);
    spec = convolutional(8); /* and a global average */
    set[0] = "data.probe_size=6000";
    assert_int_equal(make_of_net(&spec, set, 2, 64, 5.0 * gigabyte, &plan), NL_OK);
    assert_int_equal(plan.method, NL_METHOD_DUAL);
    assert_int_equal(plan.order, 10 * 8 + 73 * 8 + 9 * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_that_fits_is_solved_alone),
        cmocka_unit_test(a_larger_one_is_shared_by_as_few_as_its_solver_needs),
        cmocka_unit_test(a_solver_that_cannot_is_replaced_or_refused),
        cmocka_unit_test(a_team_is_as_large_as_its_grid),
        cmocka_unit_test(more_than_32_bits_count_is_never_one_ranks),
        cmocka_unit_test(kernels_of_infinite_width_are_planned_in_double),
        cmocka_unit_test(eigenvectors_reach_that_limit_sooner),
        cmocka_unit_test(kernels_of_convolutional_networks_go_by_their_solves),
        cmocka_unit_test(the_method_is_primal_as_long_as_that_takes_no_longer_than_allowed),
        cmocka_unit_test(traced_kernels_are_stored_where_they_are_not_solved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
