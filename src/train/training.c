/** @file training.c  The train phase of one cell. */
#include "step_grid.h"

#include "ntklens/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct nl_training {
    const nl_cell *cell;
    const nl_splits *splits;
    const nl_cell_data *data;
    const nl_measure_plan *plan;
    const nl_net *net;
    nl_model *model;   /* owned */
    nl_record *record; /* owned */
    long max_steps;
    double stop_after_best;
    nl_loss loss;
    int batch;
    long steps_per_epoch;
    nl_step_grid grid; /* owned */
    int next_look;
    long epoch; /* whose permutation stands in order; -1: none */
    int *order; /* owned; [n_train] positions in the subset */
    int *index; /* owned; [rows of the gather] */
    int *labels;
    float *x;          /* owned; [rows of the gather x inputs] */
    float *best_theta; /* owned; best state of the evaluation grid */
    double best_loss;
    long best_step;        /* -1: none */
    float *previous_theta; /* owned; state of the log grid that was last left */
    long previous_step;    /* -1: none */
    long step;
    bool diverged; /* a batch loss was not finite */
    bool final_is_best;
    bool best_given; /* the best state was handed out as an event */
    const float *event_theta;
    nl_train_clock clock;
};

/*---------------------------------------------------------------------------------------------
 * Creation
 *-------------------------------------------------------------------------------------------*/

static nl_status allocate(nl_training *t)
{
    const size_t rows = (size_t)(t->batch > nl_evaluation_rows ? t->batch : nl_evaluation_rows);

    t->order = nl_calloc((size_t)t->cell->n_train, sizeof *t->order);
    t->index = nl_calloc(rows, sizeof *t->index);
    t->labels = nl_calloc(rows, sizeof *t->labels);
    t->x = nl_calloc(rows * (size_t)t->net->spec.inputs, sizeof *t->x);
    t->best_theta = nl_calloc(t->net->size, sizeof *t->best_theta);
    t->previous_theta =
        nl_calloc(t->plan->per_decade > 0 ? t->net->size : 0, sizeof *t->previous_theta);
    if (!t->order || !t->index || !t->labels || !t->x || !t->best_theta || !t->previous_theta) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for a training of %zu parameters, batch %d",
                       t->cell->id, t->net->size, t->batch);
    }
    return nl_record_create(&t->record);
}

/* Weights that a sample meets, those of a convolution at each position. */
static int64_t count_weights(const nl_net *net)
{
    return (int64_t)(nl_net_forward_flops(net) / 2.0);
}

nl_status nl_training_create(const nl_cell *cell, const nl_net *net, const nl_splits *splits,
                             const nl_cell_data *data, const nl_measure_plan *plan,
                             nl_training **out)
{
    const nl_train_spec spec = nl_cell_train_spec(cell);
    nl_training *t = calloc(1, sizeof *t);
    nl_status status = NL_OK;

    *out = NULL;
    if (t == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a training");
    }
    *t = (nl_training){.cell = cell,
                       .splits = splits,
                       .data = data,
                       .plan = plan,
                       .net = net,
                       .max_steps = spec.max_steps,
                       .stop_after_best = nl_cell_evaluation_spec(cell).stop_after_best,
                       .loss = spec.loss,
                       .batch = nl_cell_batch(cell),
                       .epoch = -1,
                       .best_step = -1,
                       .previous_step = -1,
                       .best_loss = INFINITY};
    t->steps_per_epoch = (cell->n_train + t->batch - 1) / t->batch;
    status = allocate(t);
    if (status == NL_OK) {
        status = nl_step_grid_create(cell, plan, &t->grid);
    }
    if (status == NL_OK) {
        status = nl_model_create(
            net, &spec, t->batch > nl_evaluation_rows ? t->batch : nl_evaluation_rows, &t->model);
    }
    if (status != NL_OK) {
        nl_training_destroy(&t);
        return status;
    }
    nl_net_initialize(net, cell->seed, nl_model_parameters(t->model));
    t->record->parameters = (int64_t)net->trained;
    t->record->weights = count_weights(net);
    *out = t;
    return NL_OK;
}

void nl_training_destroy(nl_training **training)
{
    nl_training *t = *training;

    if (t == NULL) {
        return;
    }
    nl_model_destroy(&t->model);
    nl_record_destroy(&t->record, t->plan->kernels);
    nl_step_grid_free(&t->grid);
    free(t->order);
    free(t->index);
    free(t->labels);
    free(t->x);
    free(t->best_theta);
    free(t->previous_theta);
    free(t);
    *training = NULL;
}

nl_status nl_training_set_crew(nl_training *t, nl_crew *crew)
{
    return nl_model_set_crew(t->model, crew);
}

/*---------------------------------------------------------------------------------------------
 * Evaluation
 *-------------------------------------------------------------------------------------------*/

/* Mean loss and accuracy over a whole set, in passes of a fixed size. */
static void evaluate_set(nl_training *t, const nl_subset *set, double *loss, double *accuracy)
{
    nl_loss_sum sum = {0};

    for (int first = 0; first < set->count; first += nl_evaluation_rows) {
        const int rows =
            set->count - first < nl_evaluation_rows ? set->count - first : nl_evaluation_rows;

        nl_images_gather(t->splits->info, set->images, &t->splits->scaling, rows,
                         set->index + first, t->x);
        nl_loss_add(t->loss, rows, t->net->spec.outputs, nl_model_forward(t->model, rows, t->x),
                    set->labels + first, &sum);
    }
    *loss = set->count > 0 ? sum.loss / set->count : NAN;
    *accuracy = set->count > 0 ? (double)sum.correct / set->count : NAN;
}

static nl_losses evaluate(nl_training *t)
{
    const double start = nl_now();
    double took = 0.0;
    nl_losses losses;

    evaluate_set(t, &t->data->train, &losses.train_loss, &losses.train_accuracy);
    evaluate_set(t, &t->splits->test, &losses.test_loss, &losses.test_accuracy);
    evaluate_set(t, &t->splits->validation, &losses.validation_loss, &losses.validation_accuracy);
    took = nl_now() - start;
    t->clock.evaluation += took;
    t->clock.longest_evaluation = fmax(t->clock.longest_evaluation, took);
    return losses;
}

/* Does the state just appended to the curve first reach a train loss asked for? */
static bool reaches_train_loss(const nl_training *t)
{
    for (int k = 0; k < t->plan->at_losses; k++) {
        if (nl_curve_first_below(&t->record->curve, t->plan->at_loss[k]) == t->step) {
            return true;
        }
    }
    return false;
}

/* Keep the earliest lowest of the evaluation grid.  The final state, off the grid, may be best as
 * well, but is not kept as such: a study with a longer max_steps would not evaluate it. */
static void update_best(nl_training *t, const nl_losses *losses, bool on_grid)
{
    const double loss = t->plan->validated ? losses->validation_loss : losses->test_loss;

    if (!(loss < t->best_loss)) {
        return;
    }
    t->record->best_step = t->step;
    if (on_grid) {
        t->best_loss = loss;
        t->best_step = t->step;
        memcpy(t->best_theta, nl_model_parameters(t->model), t->net->size * sizeof *t->best_theta);
    } else {
        t->final_is_best = true;
    }
}

static bool out_of_patience(const nl_training *t, long best_step)
{
    const long best = best_step > 1 ? best_step : 1;

    return t->stop_after_best > 0.0 && (double)t->step > t->stop_after_best * (double)best;
}

/* Look at the present state; *state is set where its kernels are to be measured. */
static nl_status evaluate_now(nl_training *t, const nl_grid_step *at, nl_state **state)
{
    const nl_losses losses = evaluate(t);
    const bool finite = isfinite(losses.train_loss) && isfinite(losses.test_loss) && !t->diverged &&
                        !(t->plan->validated && !isfinite(losses.validation_loss));
    const bool on_grid = at != NULL && at->evaluated;
    bool measured = at != NULL && at->measured;
    bool last = false;
    nl_status status = NL_OK;

    *state = NULL;
    if (finite && (on_grid || t->step >= t->max_steps)) {
        update_best(t, &losses, on_grid);
    }
    last =
        t->step >= t->max_steps || !finite || (on_grid && out_of_patience(t, t->record->best_step));
    if (on_grid || last) {
        status = nl_curve_append(&t->record->curve, t->step, &losses);
        measured = measured || reaches_train_loss(t);
    }
    if (last) {
        t->record->final_step = t->step;
        t->record->diverged = !finite;
    }
    if (status == NL_OK && (measured || last)) {
        *state = nl_record_state(t->record, t->plan, t->step);
        if (*state == NULL) {
            return NL_ERR_NOMEM;
        }
        (*state)->losses = losses;
        (*state)->finite = finite;
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Steps
 *-------------------------------------------------------------------------------------------*/

/* The batches of an epoch are slices of a fresh permutation, a pure function of (seed, n_train,
 * epoch); with one batch an epoch there is nothing to permute. */
static void order_epoch(nl_training *t, long epoch)
{
    nl_rng rng = nl_rng_open(t->cell->seed, NL_PURPOSE_BATCH, (uint32_t)t->cell->n_train,
                             (uint32_t)epoch, 0);

    if (t->epoch == epoch || (t->steps_per_epoch == 1 && t->epoch >= 0)) {
        return;
    }
    for (int k = 0; k < t->cell->n_train; k++) {
        t->order[k] = k;
    }
    if (t->steps_per_epoch > 1) {
        nl_rng_shuffle(&rng, t->order, t->cell->n_train);
    }
    t->epoch = epoch;
}

static void step_once(nl_training *t)
{
    const int first = (int)(t->step % t->steps_per_epoch) * t->batch;
    const int left = t->cell->n_train - first;
    const int rows = left < t->batch ? left : t->batch;
    double loss = 0.0;

    order_epoch(t, t->step / t->steps_per_epoch);
    for (int k = 0; k < rows; k++) {
        t->index[k] = t->data->train.index[t->order[first + k]];
        t->labels[k] = t->data->train.labels[t->order[first + k]];
    }
    nl_images_gather(t->splits->info, t->data->train.images, &t->splits->scaling, rows, t->index,
                     t->x);
    loss = nl_model_step(t->model, t->step, rows, t->x, t->labels);
    t->diverged = !isfinite(loss);
    t->step++;
}

static bool train_to_next(nl_training *t, nl_pause_fn *pause, const void *context)
{
    const double start = nl_now();
    bool paused = false;

    while (t->step < t->grid.at[t->next_look].step && !t->diverged) {
        paused = pause != NULL && pause(context);
        if (paused) {
            break;
        }
        step_once(t);
    }
    t->clock.training += nl_now() - start;
    return paused;
}

/* The best state, where the schedule did not measure it. */
static nl_status give_best(nl_training *t, nl_event *event, nl_state **state)
{
    const nl_record *record = t->record;

    if (t->best_given || record->best_step < 0 ||
        nl_record_find(record, record->best_step) != NULL) {
        *event = NL_EVENT_OVER;
        return NL_OK;
    }
    t->best_given = true;
    *state = nl_record_state(t->record, t->plan, record->best_step);
    if (*state == NULL) {
        return NL_ERR_NOMEM;
    }
    for (int c = 0; c < record->curve.count; c++) {
        if (record->curve.step[c] == record->best_step) {
            (*state)->losses = record->curve.losses[c];
        }
    }
    t->event_theta = t->best_theta;
    *event = NL_EVENT_STATE;
    return NL_OK;
}

/* The look at the present step, NULL where there is none. */
static const nl_grid_step *reach_state(const nl_training *t)
{
    const nl_grid_step *last = t->next_look > 0 ? &t->grid.at[t->next_look - 1] : NULL;

    return last != NULL && last->step == t->step ? last : NULL;
}

/* A state of the log grid is left: velocities of those to come are taken from it. */
static void keep_previous(nl_training *t)
{
    const nl_grid_step *here = reach_state(t);

    if (here != NULL && here->logged && t->previous_step != t->step) {
        memcpy(t->previous_theta, nl_model_parameters(t->model),
               t->net->size * sizeof *t->previous_theta);
        t->previous_step = t->step;
    }
}

nl_status nl_training_run(nl_training *t, nl_pause_fn *pause, const void *context, nl_event *event,
                          nl_state **state)
{
    nl_status status = NL_OK;

    *state = NULL;
    keep_previous(t);
    while (t->record->final_step < 0) {
        const nl_grid_step *at = NULL;

        if (train_to_next(t, pause, context)) {
            *event = NL_EVENT_PAUSED;
            return NL_OK;
        }
        if (t->step == t->grid.at[t->next_look].step) {
            at = &t->grid.at[t->next_look++];
        }
        status = evaluate_now(t, at, state);
        if (status != NL_OK) {
            return status;
        }
        if (*state != NULL) {
            t->event_theta = nl_model_parameters(t->model);
            *event = NL_EVENT_STATE;
            return NL_OK;
        }
    }
    return give_best(t, event, state);
}

/*---------------------------------------------------------------------------------------------
 * Going on
 *-------------------------------------------------------------------------------------------*/

nl_continuation nl_training_continuation(nl_training *t)
{
    nl_continuation c = {.step = t->step,
                         .theta = nl_model_parameters(t->model),
                         .best_step = t->best_step,
                         .best_loss = t->best_loss,
                         .best_theta = t->best_step >= 0 ? t->best_theta : NULL,
                         .previous_step = t->previous_step,
                         .previous_theta = t->previous_step >= 0 ? t->previous_theta : NULL};

    c.optimizer = nl_model_optimizer_state(t->model, &c.optimizer_size);
    return c;
}

/* Did a training of at most so many steps end for no other reason, and would a longer one go on?
 */
static bool ended_by_length(const nl_training *t, const nl_record *record, long max_steps)
{
    return record->final_step >= max_steps && max_steps < t->max_steps && !record->diverged &&
           !(nl_step_grid_evaluated(&t->grid, record->final_step) &&
             out_of_patience(t, t->best_step));
}

/* The end of a shorter training is no end here: forget what only its being the last made of it. */
static void reopen(nl_training *t, nl_record *record)
{
    nl_curve *curve = &record->curve;

    if (curve->count > 0 && !nl_step_grid_evaluated(&t->grid, record->final_step)) {
        curve->count--;
    }
    record->best_step = t->best_step;
    record->final_step = -1;
    nl_record_keep_states(record, t->plan, t->max_steps);
}

/* The state that velocities of the present step are taken from must be at hand. */
static bool restore_previous(nl_training *t, const nl_record *record, const nl_continuation *from)
{
    const nl_state *state = NULL;
    const float *theta = NULL;
    long wanted = nl_step_grid_logged_before(&t->grid, from->step);

    if (wanted < 0) {
        return true;
    }
    state = nl_record_find(record, wanted);
    if (from->previous_theta != NULL &&
        (from->previous_step == wanted || from->previous_step == from->step)) {
        wanted = from->previous_step;
        theta = from->previous_theta;
    } else if (state != NULL) {
        theta = state->theta;
    }
    if (theta == NULL) {
        return false;
    }
    memcpy(t->previous_theta, theta, t->net->size * sizeof *theta);
    t->previous_step = wanted;
    return true;
}

/* Is it a state that this training can be in? */
static bool fits(const nl_training *t, const nl_record *record, const nl_continuation *from)
{
    const nl_curve *curve = &record->curve;
    const bool over = record->final_step >= 0;

    return from->theta != NULL && from->step >= 0 && from->step <= t->max_steps &&
           (over ? record->final_step == from->step
                 : from->step < t->max_steps && !record->diverged) &&
           (curve->count == 0 || curve->step[curve->count - 1] <= from->step) &&
           (record->states == 0 || record->state[record->states - 1].step <= from->step);
}

nl_status nl_training_restore(nl_training *t, nl_record **record, const nl_continuation *from,
                              long max_steps)
{
    size_t optimizer_size = 0;
    float *optimizer = nl_model_optimizer_state(t->model, &optimizer_size);

    if (!fits(t, *record, from) || from->optimizer_size != optimizer_size ||
        !restore_previous(t, *record, from)) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: its checkpoint does not fit the cell", t->cell->id);
    }
    memcpy(nl_model_parameters(t->model), from->theta, t->net->size * sizeof *from->theta);
    if (optimizer_size > 0) {
        memcpy(optimizer, from->optimizer, optimizer_size * sizeof *optimizer);
    }
    if (from->best_theta != NULL) {
        memcpy(t->best_theta, from->best_theta, t->net->size * sizeof *from->best_theta);
    }
    t->step = from->step;
    t->best_step = from->best_step;
    t->best_loss = from->best_loss;
    if (ended_by_length(t, *record, max_steps)) {
        reopen(t, *record);
    }
    t->final_is_best = (*record)->best_step >= 0 && (*record)->best_step != t->best_step;
    while (t->next_look < t->grid.count && t->grid.at[t->next_look].step <= t->step) {
        t->next_look++;
    }
    nl_record_destroy(&t->record, t->plan->kernels);
    t->record = *record;
    *record = NULL;
    return NL_OK;
}

const float *nl_training_theta(const nl_training *t)
{
    return t->event_theta;
}

const float *nl_training_best_theta(const nl_training *t)
{
    if (t->record->best_step < 0) {
        return NULL;
    }
    return t->final_is_best ? nl_model_parameters(t->model) : t->best_theta;
}

const float *nl_training_theta_at(const nl_training *t, long step)
{
    if (step == t->step) {
        return nl_model_parameters(t->model);
    }
    return step == t->best_step ? t->best_theta : NULL;
}

const float *nl_training_previous_theta(const nl_training *t, long step)
{
    return step == t->previous_step ? t->previous_theta : NULL;
}

const float *nl_training_start(nl_training *t)
{
    return nl_model_parameters(t->model);
}

nl_record *nl_training_record(nl_training *t)
{
    return t->record;
}

long nl_training_step(const nl_training *t)
{
    return t->step;
}

nl_train_clock nl_training_clock(const nl_training *t)
{
    return t->clock;
}
