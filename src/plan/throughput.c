/** @file throughput.c  How long work takes: measured here on a few cells. */
#include "throughput.h"
#include "cost.h"

#include "ntklens/measure.h"
#include "ntklens/plan.h"
#include "ntklens/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*---------------------------------------------------------------------------------------------
 * Rates
 *-------------------------------------------------------------------------------------------*/

void nl_throughput_add(nl_throughput *throughput, double flops, double seconds)
{
    int at = 0;

    while (at < throughput->count && throughput->point[at].flops < flops) {
        at++;
    }
    if (at < throughput->count && throughput->point[at].flops == flops) {
        throughput->point[at].seconds = 0.5 * (throughput->point[at].seconds + seconds);
    } else if (throughput->count < nl_throughput_points && flops > 0.0 && seconds > 0.0) {
        memmove(throughput->point + at + 1, throughput->point + at,
                (size_t)(throughput->count - at) * sizeof *throughput->point);
        throughput->point[at] = (nl_throughput_point){flops, seconds};
        throughput->count++;
    }
}

double nl_throughput_seconds(const nl_throughput *throughput, double flops)
{
    const nl_throughput_point *p = throughput->point;
    int k = 0;
    double x[2];
    double slow[2];
    double here = 0.0;
    double most = 0.0;

    if (throughput->count == 0 || !(flops > 0.0)) {
        return 0.0;
    }
    if (throughput->count == 1) {
        return p[0].seconds / p[0].flops * flops;
    }
    while (k < throughput->count - 2 && p[k + 1].flops < flops) {
        k++;
    }
    for (int j = 0; j < 2; j++) {
        x[j] = cbrt(1.0 / p[k + j].flops);
        slow[j] = p[k + j].seconds / p[k + j].flops;
    }
    here = slow[0] + (slow[1] - slow[0]) * (cbrt(1.0 / flops) - x[0]) / (x[1] - x[0]);
    /* Outside the measured range noise must not carry far. */
    most = 2.0 * fmax(slow[0], slow[1]);
    return flops * fmin(fmax(here, 0.4 * fmin(slow[0], slow[1])), most);
}

/*---------------------------------------------------------------------------------------------
 * A trial: one network on random images
 *-------------------------------------------------------------------------------------------*/

enum {
    trial_cells = 5,     /* networks tried, spread over the study's */
    trial_images = 2048, /* random ones */
    trial_order = 1000,  /* of a kernel, at most */
    least_turns = 3
};
static const double step_seconds = 0.05;     /* spent on steps of one network */
static const double pass_seconds = 0.03;     /* on passes forward */
static const double step_flops = 2e9;        /* of a trial's step, at most */
static const double trial_parameters = 16e6; /* of its network, at most */
static const double trial_sample = 5e8; /* of a sample's step, at most: images of many channels */
static const double trial_fills = 1e10; /* of the fills of such a network's kernels, at most */

/** What trials share. */
typedef struct trial {
    const nl_study *study;
    nl_dataset_info info;
    const nl_measure_plan *plan;
    const nl_solver *shared; /* NULL: no kernel is shared */
    nl_images images;        /* owned pixels */
    nl_scaling scaling;      /* to [0, 1] */
    int *index, *labels;     /* owned; [rows] */
    float *x;                /* owned; [rows x inputs] */
    int rows;                /* room */
    double product_rate;     /* operations a second of large products */
    nl_throughputs *throughputs;
} trial;

static nl_status scale_alike(trial *t)
{
    nl_status status = nl_scaling_allocate(t->info.channels, &t->scaling);

    for (int c = 0; status == NL_OK && c < t->scaling.channels; c++) {
        t->scaling.scale[c] = 1.0F / 255.0F;
    }
    return status;
}

static nl_status trial_create(trial *t)
{
    const size_t size = (size_t)trial_images * (size_t)t->info.inputs;
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    uint8_t *pixels = nl_calloc(size, 1);

    t->info.real = false; /* bytes do as well */
    t->images = (nl_images){.count = trial_images, .pixels = pixels};
    t->rows = trial_images;
    t->index = nl_calloc((size_t)t->rows, sizeof *t->index);
    t->labels = nl_calloc((size_t)t->rows, sizeof *t->labels);
    t->x = nl_calloc(size, sizeof *t->x);
    if (pixels == NULL || t->index == NULL || t->labels == NULL || t->x == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for trial images"); /* trial_free() frees */
    }
    for (size_t k = 0; k < size; k++) {
        pixels[k] = (uint8_t)(nl_rng_u32(&rng) >> 24);
    }
    for (int k = 0; k < t->rows; k++) {
        t->index[k] = (int)nl_rng_below(&rng, trial_images);
        t->labels[k] = (int)nl_rng_below(&rng, (uint32_t)t->info.classes);
    }
    return scale_alike(t);
}

static void trial_free(trial *t)
{
    free((void *)(uintptr_t)t->images.pixels);
    nl_scaling_free(&t->scaling);
    free(t->index);
    free(t->labels);
    free(t->x);
}

/* One step of `rows` samples (train) or one pass forward with its loss. */
static void turn(trial *t, nl_model *model, nl_loss loss, bool train, int rows, long step)
{
    nl_loss_sum sum = {0};

    nl_images_gather(&t->info, &t->images, &t->scaling, rows, t->index, t->x);
    if (train) {
        nl_model_step(model, step, rows, t->x, t->labels);
    } else {
        nl_loss_add(loss, rows, t->info.classes, nl_model_forward(model, rows, t->x), t->labels,
                    &sum);
    }
}

/* Seconds that this thread worked: what else runs on the machine now will not during the study. */
static double worked(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Mean seconds of a turn; the first, which warms up, is not counted. */
static double time_turns(trial *t, nl_model *model, nl_loss loss, bool train, int rows)
{
    double start = 0.0;
    int turns = 0;

    turn(t, model, loss, train, rows, 0);
    start = worked();
    while (turns < least_turns || worked() - start < (train ? step_seconds : pass_seconds)) {
        turn(t, model, loss, train, rows, ++turns);
    }
    return (worked() - start) / turns;
}

static double quickest_step(trial *t, nl_model *model, nl_loss loss, int rows)
{
    enum { turns = 10 };
    static const double patience = 0.2; /* seconds, where cores are busy */
    const double begin = nl_now();
    double quickest = INFINITY;

    for (int k = 0; k < turns && (k == 0 || nl_now() < begin + patience); k++) {
        const double start = nl_now();

        turn(t, model, loss, true, rows, k);
        quickest = fmin(quickest, nl_now() - start);
    }
    return quickest;
}

/* What a second core takes a share of in a step, of the time it takes by one: from what it saves,
 * the middle of three trials.  Where there is no core to spare now, what it usually is. */
static nl_status try_sharing(trial *t, nl_model *model, nl_loss loss, int rows, double *shared)
{
    static const double least = 0.2; /* less: somebody else has that core */
    static const double most = 0.8;  /* more: somebody else had this one */
    double saved[3] = {0};
    double middle = 0.0;
    nl_crew *crew = NULL;
    nl_status status = nl_crew_create(INFINITY, NULL, NULL, &crew);

    if (status == NL_OK) {
        nl_crew_limit(crew, 2);
        status = nl_model_set_crew(model, crew);
    }
    for (int k = 0; status == NL_OK && k < 3; k++) {
        const double alone = quickest_step(t, model, loss, rows);
        const int worker = nl_crew_hire(crew, NULL);

        if (worker > 0) {
            saved[k] = 2.0 * (1.0 - quickest_step(t, model, loss, rows) / alone);
            nl_crew_dismiss(crew, worker);
        }
    }
    middle = fmax(fmin(saved[0], saved[1]), fmin(fmax(saved[0], saved[1]), saved[2]));
    *shared = middle >= least ? fmin(middle, most) : *shared;
    nl_crew_destroy(&crew);
    return status;
}

static nl_status try_training(trial *t, const nl_cell *cell, const nl_net *net, const nl_cost *cost)
{
    const nl_train_spec spec = nl_cell_train_spec(cell);
    const double sample = cost->effort[NL_EFFORT_TRAIN].unit / nl_cell_batch(cell);
    int rows = nl_cell_batch(cell) < t->rows ? nl_cell_batch(cell) : t->rows;
    nl_model *model = NULL;
    nl_status status = NL_OK;

    while (rows > 16 && rows * sample > step_flops) {
        rows /= 2;
    }
    status =
        nl_model_create(net, &spec, rows > nl_evaluation_rows ? rows : nl_evaluation_rows, &model);
    if (status == NL_OK) {
        nl_net_initialize(net, 0, nl_model_parameters(model));
        nl_throughput_add(&t->throughputs->of[net->spec.kind].effort[NL_EFFORT_EVALUATE],
                          cost->effort[NL_EFFORT_EVALUATE].unit,
                          time_turns(t, model, spec.loss, false, nl_evaluation_rows) /
                              nl_evaluation_rows);
        nl_throughput_add(&t->throughputs->of[net->spec.kind].effort[NL_EFFORT_TRAIN],
                          rows * sample, time_turns(t, model, spec.loss, true, rows));
        if (t->study->spec.share_cores && nl_step_cores(net, rows) > 1) {
            status =
                try_sharing(t, model, spec.loss, rows, &t->throughputs->of[net->spec.kind].shared);
        }
    }
    nl_model_destroy(&model);
    return status;
}

/* What a fill took. */
static void add_fill(trial *t, const nl_net *net, nl_kernel_spec spec, int samples, double seconds)
{
    nl_throughput *fills = &t->throughputs->of[net->spec.kind].gram[spec.kind];
    const nl_fill_terms terms = {.spec = spec,
                                 .precision = t->plan->precision,
                                 .samples = samples,
                                 .panel_bytes = nl_fill_memory(net)};
    const double flops = nl_kernel_flops(net, spec, samples);

    if (nl_net_is_dense(net)) {
        nl_throughput_add(fills, flops, seconds);
    } else {
        const nl_fill_work work = nl_kernel_fill_work(net, &terms);
        const double products = work.products / (nl_products_share * t->product_rate);
        const double sample = nl_sample_passes(net, spec);

        nl_throughput_add(fills, sample,
                          fmax(seconds - products, 0.3 * seconds) * sample / work.passes);
    }
}

/* Seconds of one kernel of a state.  What the state's kernels share counts with the first of them
 * where networks have no factors: those are part of every fill's operations. */
static nl_status time_kernel(nl_measurer *measurer, const nl_measure_state *state,
                             const nl_solve_plan *solve, int kernel, double *seconds)
{
    const bool apart = kernel > 0 && !nl_net_is_dense(state->net);
    nl_measurement out = {0};
    bool collapsed = false;
    double start = worked();
    nl_status status = nl_measure_begin(measurer, state, apart ? &collapsed : NULL);

    start = apart ? worked() : start;
    if (status == NL_OK) {
        status = nl_measure_kernel(measurer, solve, kernel, &out);
    }
    *seconds = worked() - start;
    nl_measurement_clear(&out, 0);
    return status;
}

/* Fill one kernel and, where there is a solver, fill and solve it: the difference is the solve. */
static nl_status try_kernel(trial *t, const nl_measure_state *state, const nl_measure_plan *plan,
                            int kernel, const nl_solver *solver)
{
    const bool shared = solver != NULL && !solver->one_rank;
    nl_throughput *solves = shared ? &t->throughputs->shared_solve : &t->throughputs->solve;
    nl_solve_plan solve = {.team = 1};
    nl_measurer *measurer = NULL;
    double seconds = 0.0;
    double gram = INFINITY;
    nl_status status = nl_measurer_create(MPI_COMM_SELF, &t->study->spec, plan, &measurer);

    if (status != NL_OK) {
        return status;
    }
    measurer->keep_kernels = false;
    solve.n = nl_kernel_order(plan->kernel[kernel], plan->samples, t->info.classes);
    solve.order = solve.n;
    solve.block = nl_kernel_block(plan->kernel[kernel], t->info.classes,
                                  shared ? nl_shared_block : nl_private_block);
    /* Memory that was used once is had without page faults: later fills are the usual ones, and the
     * quicker of two the less disturbed by what else runs. */
    for (int pass = 0; status == NL_OK && pass < 3; pass++) {
        status = time_kernel(measurer, state, &solve, kernel, &seconds);
        gram = pass > 0 ? fmin(gram, seconds) : gram;
    }
    if (status == NL_OK) {
        add_fill(t, state->net, plan->kernel[kernel], plan->samples, gram);
    }
    if (status == NL_OK && solver != NULL) {
        solve.solver = solver;
        status = time_kernel(measurer, state, &solve, kernel, &seconds);
        nl_throughput_add(solves, nl_solve_flops(solve.n), seconds - gram);
    }
    nl_measurer_destroy(&measurer);
    return status == NL_ERR_NUMERIC ? NL_OK : status; /* a trial's spectrum is of no interest */
}

/* All kernels of one network at a probe of `samples`. */
static nl_status try_kernels(trial *t, const nl_cell *cell, const nl_net *net, int samples,
                             bool solve)
{
    nl_measure_plan reduced = *t->plan;
    float *theta = nl_calloc(net->size, sizeof *theta);
    const nl_measure_state state = {.net = net,
                                    .theta = theta,
                                    .step = 1,
                                    .probe = t->x,
                                    .labels = t->labels,
                                    .loss = nl_cell_train_spec(cell).loss};
    nl_status status =
        theta == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a trial network") : NL_OK;

    reduced.samples = samples;
    reduced.prefix = NULL;
    reduced.kernels = t->plan->whole;
    reduced.auxiliary_full = reduced.auxiliary_traced = reduced.eigenvectors = false;
    if (status == NL_OK) {
        nl_net_initialize(net, 0, theta);
        nl_images_gather(&t->info, &t->images, &t->scaling, samples, t->index, t->x);
    }
    for (int k = 0; status == NL_OK && k < reduced.kernels; k++) {
        const nl_solver *solver = solve ? nl_solver_find("lapack") : NULL;

        status = try_kernel(t, &state, &reduced, k, solver);
        if (status == NL_OK && solve && t->shared != NULL) {
            status = try_kernel(t, &state, &reduced, k, t->shared);
        }
    }
    free(theta);
    return status;
}

/* The most probe samples, up to the study's, whose largest kernel is no larger than `order`. */
static int samples_within(const nl_measure_plan *plan, const nl_dataset_info *info, int order)
{
    int samples = plan->samples < trial_images ? plan->samples : trial_images;

    for (int k = 0; k < plan->whole; k++) {
        while (samples > 1 && nl_kernel_order(plan->kernel[k], samples, info->classes) > order) {
            samples--;
        }
    }
    return samples;
}

/* Fewer samples, of a network whose passes take most of a fill. */
static int samples_tractable(const trial *t, const nl_net *net, int samples)
{
    const int least = 8;
    double flops = trial_fills + 1.0;

    while (!nl_net_is_dense(net) && samples > least && flops > trial_fills) {
        flops = 0.0;
        for (int k = 0; k < t->plan->whole; k++) {
            flops += nl_kernel_flops(net, t->plan->kernel[k], samples);
        }
        samples = flops > trial_fills ? samples - 1 : samples;
    }
    return samples;
}

static bool is_tractable(const nl_net *net)
{
    return (double)net->size <= trial_parameters &&
           (nl_net_is_dense(net) || 3.0 * nl_net_forward_flops(net) <= trial_sample);
}

/* Make the cell's network, and as long as it is too large to be tried at once, half as wide. */
static nl_status create_tractable(nl_cell *cell, const nl_dataset_info *info, nl_net **net)
{
    const int least = nl_cell_kind(cell) == NL_MLP ? 64 : 16;
    nl_status status = nl_cell_net_create(cell, info, net);

    while (status == NL_OK && cell->width > least && !is_tractable(*net)) {
        nl_net_destroy(net);
        nl_cell_set_width(cell, cell->width / 2);
        status = nl_cell_net_create(cell, info, net);
    }
    return status;
}

/* solves: is no solve timed yet?  Those depend on the order alone. */
static nl_status try_cell(trial *t, const nl_cell *wanted, int place, bool last, bool solves)
{
    const int most = samples_within(t->plan, &t->info, trial_order);
    const int fewer = samples_within(t->plan, &t->info, trial_order / 2);
    nl_cell cell = *wanted;
    nl_net *net = NULL;
    nl_status status = create_tractable(&cell, &t->info, &net);

    if (status == NL_OK) {
        const nl_cost cost = nl_cell_cost(t->study, &cell, net, t->plan, NULL);

        status = try_training(t, &cell, net, &cost);
    }
    if (status == NL_OK && (place % 2 == 0 || last)) {
        status = try_kernels(t, &cell, net, samples_tractable(t, net, most), solves && place == 0);
    }
    if (status == NL_OK && place == 0 && most < t->plan->samples) {
        status = try_kernels(t, &cell, net, samples_tractable(t, net, fewer), solves);
    }
    nl_net_destroy(&net);
    return status;
}

static int compare_work(const void *a, const void *b)
{
    const nl_throughput_point *x = a;
    const nl_throughput_point *y = b;

    return (x->flops > y->flops) - (x->flops < y->flops);
}

/** Work of a step of the cells of one kind, ascending, each size once. */
typedef struct step_list {
    nl_throughput_point *step; /* owned; seconds: index of the cell */
    int count;
} step_list;

static nl_status list_steps(const nl_throughputs_request *of, nl_net_kind kind, step_list *out)
{
    nl_status status = NL_OK;
    int all = 0;

    out->count = 0;
    for (int k = 0; status == NL_OK && k < of->count; k++) {
        nl_net *net = NULL;

        if (nl_cell_kind(&of->cells[k]) != kind) {
            continue;
        }
        status = nl_cell_net_create(&of->cells[k], of->info, &net);
        if (status == NL_OK) {
            out->step[all++] =
                (nl_throughput_point){nl_cell_cost(of->study, &of->cells[k], net, of->plan, NULL)
                                          .effort[NL_EFFORT_TRAIN]
                                          .unit,
                                      k};
        }
        nl_net_destroy(&net);
    }
    if (all > 0) {
        qsort(out->step, (size_t)all, sizeof *out->step, compare_work);
    }
    for (int k = 0; k < all; k++) {
        if (out->count == 0 || out->step[out->count - 1].flops < out->step[k].flops) {
            out->step[out->count++] = out->step[k];
        }
    }
    return status;
}

void nl_throughputs_share_usually(nl_throughputs *throughputs)
{
    static const double usual = 0.6; /* wide MLPs and convolutional networks, two cores */

    for (int kind = 0; kind < NL_NET_KIND_COUNT; kind++) {
        throughputs->of[kind].shared = usual;
    }
}

/* Some of the cells of one kind. */
static nl_status try_kind(trial *t, const nl_throughputs_request *of, const step_list *list,
                          bool solves)
{
    const int tried = list->count < trial_cells ? list->count : trial_cells;
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < tried; k++) {
        const int at = tried > 1 ? k * (list->count - 1) / (tried - 1) : 0;

        status = try_cell(t, &of->cells[(int)list->step[at].seconds], k, k == tried - 1, solves);
    }
    return status;
}

nl_status nl_throughputs_measure(const nl_throughputs_request *of, nl_throughputs *out)
{
    trial t = {.study = of->study,
               .info = *of->info,
               .plan = of->plan,
               .shared = of->shared,
               .product_rate = 1e9 * nl_blas_speed(of->plan->precision),
               .throughputs = out};
    step_list list = {.step = nl_calloc((size_t)of->count, sizeof *list.step)};
    bool solves = true;
    nl_status status =
        list.step == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %d cells", of->count) : NL_OK;

    *out = (nl_throughputs){0};
    nl_throughputs_share_usually(out);
    if (status == NL_OK) {
        status = trial_create(&t);
    }
    for (int kind = 0; status == NL_OK && kind < NL_NET_KIND_COUNT; kind++) {
        status = list_steps(of, (nl_net_kind)kind, &list);
        if (status == NL_OK) {
            status = try_kind(&t, of, &list, solves);
        }
        solves = solves && list.count == 0;
    }
    if (gethostname(out->source, sizeof out->source - 1) != 0) {
        snprintf(out->source, sizeof out->source, "this machine");
    }
    trial_free(&t);
    free(list.step);
    return status;
}
