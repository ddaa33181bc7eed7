/** @file sample_batch.c  A batch on its way through any network, sample by sample. */
#include "sample_batch.h"
#include "optimizer.h"

#include "ntklens/passes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { least_rows = 4, most_rows = 64 };
enum { parts_by_core = 4 }; /* added up at a time: then few cores wait for the last part */

static const double cached_bytes = 1.5e6; /* of the samples that go through together */
static const double per_parameter = 6.0;  /* or so many times those of all parameters */

/** What a thread of a crew needs to take some samples through the network. */
typedef struct part_worker {
    nl_passes *passes; /* the caller's borrowed, others owned; NULL: none yet */
    float *error;      /* [rows x outputs], likewise */
    bool failed;       /* there was no memory for them */
    long round;        /* of whose parameters the passes know */
} part_worker;

struct nl_sample_batch {
    const nl_net *net; /* borrowed */
    nl_crew *crew;     /* borrowed; NULL: this thread alone */
    part_worker worker[nl_most_of_crew];
    long round;        /* counts the runs of the crew */
    int parts;         /* of the largest batch */
    int at_once;       /* whose gradients there is room for */
    float *gradients;  /* owned; [at_once x net->size] of parts; NULL: not needed yet */
    double *losses;    /* owned; [parts] */
    bool *done;        /* owned; [parts] */
    int rows;          /* samples that go through together */
    nl_passes *passes; /* owned */
    float *gradient;   /* owned; [net->size] of the loss, summed so far */
    float *piece;      /* owned; [parameters of the largest layer] of some samples */
    float *error;      /* owned; [rows x outputs] */
};

/** Some samples of a step. */
typedef struct step_part {
    nl_sample_batch *batch;
    nl_passes *passes;
    float *gradient; /* [net->size] that theirs is added to, or (first) written to */
    int rows;
    bool first;
} step_part;

static nl_passes_spec passes_spec(int rows)
{
    return (nl_passes_spec){.precision = NL_SINGLE, .rows = rows, .seeds = 1};
}

/* As many as the caches hold, but enough that adding up gradients costs little.  A function of
 * shapes, for gradients are summed part by part. */
static int rows_together(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(most_rows);
    const double of_parameters = per_parameter * (double)net->size * sizeof(float);

    return nl_larger(nl_passes_rows_within(net, &spec, fmax(cached_bytes, of_parameters)),
                     least_rows);
}

/* Passes and errors of one thread. */
static double worker_floats(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(rows_together(net));
    const double bytes =
        nl_passes_bytes(net, &spec) * spec.rows + nl_passes_fixed_bytes(net, &spec);

    return bytes / sizeof(float) + (double)spec.rows * net->spec.outputs;
}

double nl_sample_batch_floats(const nl_net *net)
{
    return worker_floats(net) + (double)net->size + (double)nl_net_largest_layer(net);
}

/* Parts of a step whose gradients are made before they are added up. */
static int parts_at_once(int parts, int cores)
{
    return nl_smaller(parts, parts_by_core * cores);
}

static int count_parts(int rows, int together)
{
    return (rows + together - 1) / together;
}

int nl_sample_batch_parts(const nl_net *net, int rows)
{
    return count_parts(rows, rows_together(net));
}

double nl_sample_batch_shared_floats(const nl_net *net, int rows, int cores)
{
    const double parts = parts_at_once(nl_sample_batch_parts(net, rows), cores);

    return cores > 1 ? (cores - 1) * worker_floats(net) + parts * (double)net->size : 0.0;
}

nl_status nl_sample_batch_create(const nl_net *net, int rows, nl_sample_batch **out)
{
    const nl_passes_spec spec = passes_spec(rows_together(net));
    nl_sample_batch *batch = calloc(1, sizeof *batch);
    nl_status status = NL_OK;

    *out = batch;
    if (batch != NULL) {
        batch->net = net;
        batch->rows = spec.rows;
        batch->parts = count_parts(rows, spec.rows);
        batch->losses = nl_calloc((size_t)batch->parts, sizeof *batch->losses);
        batch->done = nl_calloc((size_t)batch->parts, sizeof *batch->done);
        batch->gradient = nl_calloc(net->size, sizeof *batch->gradient);
        batch->piece = nl_calloc(nl_net_largest_layer(net), sizeof *batch->piece);
        batch->error =
            nl_calloc((size_t)spec.rows * (size_t)net->spec.outputs, sizeof *batch->error);
    }
    if (batch == NULL || batch->losses == NULL || batch->done == NULL || batch->gradient == NULL ||
        batch->piece == NULL || batch->error == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training", net->size);
    } else {
        status = nl_passes_create(net, &spec, &batch->passes);
    }
    if (status != NL_OK) {
        nl_sample_batch_destroy(out);
    }
    return status;
}

void nl_sample_batch_destroy(nl_sample_batch **batch)
{
    if (*batch != NULL) {
        for (int k = 1; k < nl_most_of_crew; k++) {
            nl_passes_destroy(&(*batch)->worker[k].passes);
            free((*batch)->worker[k].error);
        }
        free((*batch)->gradients);
        free((*batch)->losses);
        free((*batch)->done);
        nl_passes_destroy(&(*batch)->passes);
        free((*batch)->gradient);
        free((*batch)->piece);
        free((*batch)->error);
        free(*batch);
        *batch = NULL;
    }
}

void nl_sample_batch_set_crew(nl_sample_batch *batch, nl_crew *crew)
{
    batch->crew = crew;
}

/*---------------------------------------------------------------------------------------------
 * Shared by a crew: each part of the samples by whoever is free
 *-------------------------------------------------------------------------------------------*/

/** Samples that a crew takes through the network. */
typedef struct shared_pass {
    nl_sample_batch *batch;
    const float *theta;
    int rows;
    const float *x;
    float *logits;             /* of a forward pass */
    const nl_trained *trained; /* of a step */
    const int *labels;
    int first; /* part whose turn it is */
} shared_pass;

/* Room for the gradients of parts of a step; false: there is no memory. */
static bool make_room(nl_sample_batch *batch, int parts)
{
    const int at_once = parts_at_once(parts, nl_crew_most(batch->crew));

    if (batch->at_once < at_once) {
        free(batch->gradients);
        batch->gradients = nl_alloc((size_t)at_once * batch->net->size, sizeof *batch->gradients);
        batch->at_once = batch->gradients != NULL ? at_once : 0;
    }
    return batch->at_once >= at_once;
}

/* What a thread works with, with the present parameters; NULL: it cannot, others do its part. */
static part_worker *worker_of(const shared_pass *pass, int worker)
{
    nl_sample_batch *batch = pass->batch;
    part_worker *w = &batch->worker[worker];

    if (w->passes == NULL && !w->failed) {
        const nl_passes_spec spec = passes_spec(batch->rows);

        w->error =
            nl_calloc((size_t)spec.rows * (size_t)batch->net->spec.outputs, sizeof *w->error);
        w->failed = w->error == NULL || nl_passes_create(batch->net, &spec, &w->passes) != NL_OK;
    }
    if (w->failed) {
        return NULL;
    }
    if (w->round != batch->round) {
        nl_passes_set_parameters(w->passes, pass->theta);
        w->round = batch->round;
    }
    return w;
}

/* Others' passes know of no parameters yet. */
static void begin_round(nl_sample_batch *batch)
{
    batch->worker[0].passes = batch->passes;
    batch->worker[0].error = batch->error;
    batch->round++;
}

/* Some parts; those that nobody could do by the caller, who can. */
static void run_shared(shared_pass *pass, nl_crew_piece_fn *part, int parts)
{
    nl_sample_batch *batch = pass->batch;

    memset(batch->done, 0, (size_t)parts * sizeof *batch->done);
    nl_crew_run(batch->crew, part, pass, parts);
    for (int k = 0; k < parts; k++) {
        if (!batch->done[k]) {
            part(pass, k, 0);
        }
    }
}

static void forward_part(void *context, int part, int worker)
{
    const shared_pass *pass = context;
    const nl_sample_batch *batch = pass->batch;
    const int first = part * batch->rows;
    const int rows = nl_smaller(batch->rows, pass->rows - first);
    const size_t outputs = (size_t)batch->net->spec.outputs;
    const part_worker *w = worker_of(pass, worker);

    if (w != NULL) {
        nl_passes_forward(w->passes, rows,
                          pass->x + (size_t)first * (size_t)batch->net->spec.inputs, NULL);
        memcpy(pass->logits + (size_t)first * outputs, nl_passes_outputs(w->passes),
               (size_t)rows * outputs * sizeof *pass->logits);
        batch->done[part] = true;
    }
}

void nl_sample_batch_forward(nl_sample_batch *batch, const float *theta, int rows, const float *x,
                             float *logits)
{
    begin_round(batch);
    run_shared(
        &(shared_pass){.batch = batch, .theta = theta, .rows = rows, .x = x, .logits = logits},
        forward_part, count_parts(rows, batch->rows));
}

NL_VECTOR_CLONES
static void add(size_t n, const float *restrict from, float *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += from[k];
    }
}

/* The gradient by a layer's parameters, of some samples more. */
static void add_layer(int l, const void *delta, void *context)
{
    const step_part *part = context;
    nl_sample_batch *batch = part->batch;
    const nl_layer *layer = &batch->net->layer[l];
    const size_t weights = nl_layer_weights(layer);
    float *sum = part->gradient + layer->weights;
    float *piece = part->first ? sum : batch->piece;

    if (layer->fan_out == 0) {
        return;
    }
    nl_passes_gradient(part->passes, l, 0, part->rows, delta, piece, piece + weights);
    if (!part->first) {
        add(weights + (size_t)layer->fan_out, piece, sum);
    }
}

static void update_group(nl_trained *trained, const nl_update *update, size_t first, size_t count,
                         const float *gradient)
{
    float *w = trained->theta + first;
    float *v = trained->state + first;

    switch (trained->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, gradient, w);
        break;
    case NL_MOMENTUM:
        nl_add_momentum(update, count, gradient, v);
        nl_update_momentum(update, count, v, w);
        break;
    default:
        nl_update_adam(update, count, gradient, v, v + trained->net->size, w);
        break;
    }
}

/** Some parameters, one behind the other. */
typedef struct parameter_range {
    size_t first, end;
} parameter_range;

/* What of a layer's weights or biases lies in that range. */
static void update_within(nl_trained *trained, const nl_update *update, parameter_range range,
                          parameter_range group, const float *gradient)
{
    const size_t first = group.first > range.first ? group.first : range.first;
    const size_t end = group.end < range.end ? group.end : range.end;

    if (first < end) {
        update_group(trained, update, first, end - first, gradient + first);
    }
}

static void update(nl_trained *trained, long step, parameter_range range, const float *gradient)
{
    for (int l = 0; l < trained->net->layers; l++) {
        const nl_layer *layer = &trained->net->layer[l];
        const nl_update weights = nl_update_of(&trained->spec, step, layer->weight_rate);
        const nl_update biases = nl_update_of(&trained->spec, step, layer->bias_rate);

        update_within(trained, &weights, range,
                      (parameter_range){layer->weights, layer->weights + nl_layer_weights(layer)},
                      gradient);
        if (layer->trains_bias) {
            update_within(trained, &biases, range,
                          (parameter_range){layer->biases, layer->biases + (size_t)layer->fan_out},
                          gradient);
        }
    }
}

/** A step of a batch. */
typedef struct step_batch {
    const nl_trained *trained;
    int rows;
    const float *x;
    const int *labels;
} step_batch;

/* Forward and backward of the samples from `first` on; their part of the loss. */
static double step_samples(const step_part *part, const step_batch *step, int first, float *error)
{
    const int outputs = part->batch->net->spec.outputs;
    const double share = (double)part->rows / step->rows;
    step_part copy = *part;
    double loss = 0.0;

    nl_passes_forward(part->passes, part->rows,
                      step->x + (size_t)first * (size_t)part->batch->net->spec.inputs, NULL);
    loss = share * nl_loss_gradient(step->trained->spec.loss, part->rows, outputs,
                                    nl_passes_outputs(part->passes), step->labels + first, error);
    for (int k = 0; k < part->rows * outputs; k++) {
        error[k] = (float)(share * (double)error[k]);
    }
    nl_passes_backward(part->passes, error, 0, add_layer, &copy);
    return loss;
}

static void step_part_of(void *context, int k, int worker)
{
    const shared_pass *pass = context;
    nl_sample_batch *batch = pass->batch;
    const int first = (pass->first + k) * batch->rows;
    const step_batch step = {pass->trained, pass->rows, pass->x, pass->labels};
    const part_worker *w = worker_of(pass, worker);

    if (w != NULL) {
        const step_part part = {.batch = batch,
                                .passes = w->passes,
                                .gradient = batch->gradients + (size_t)k * batch->net->size,
                                .rows = nl_smaller(batch->rows, pass->rows - first),
                                .first = true};

        batch->losses[pass->first + k] = step_samples(&part, &step, first, w->error);
        batch->done[k] = true;
    }
}

/** Gradients of parts that are added to one, which changes parameters when it is whole. */
typedef struct gradient_sum {
    nl_sample_batch *batch;
    int parts;
    bool first, last;
    nl_trained *trained;
    long step;
} gradient_sum;

enum { summed_together = 1 << 14 }; /* parameters */

/* Some parameters' gradients, in the order of the samples. */
static void sum_parameters(void *context, int piece, int worker)
{
    const gradient_sum *sum = context;
    const nl_sample_batch *batch = sum->batch;
    const size_t first = (size_t)piece * summed_together;
    const size_t left = batch->net->size - first;
    const size_t count = left < summed_together ? left : summed_together;

    (void)worker;
    if (sum->first) {
        memcpy(batch->gradient + first, batch->gradients + first, count * sizeof *batch->gradient);
    }
    for (int k = sum->first ? 1 : 0; k < sum->parts; k++) {
        add(count, batch->gradients + (size_t)k * batch->net->size + first,
            batch->gradient + first);
    }
    if (sum->last) {
        update(sum->trained, sum->step, (parameter_range){first, first + count}, batch->gradient);
    }
}

static double step_shared(nl_sample_batch *batch, nl_trained *trained, long step, shared_pass *pass)
{
    const int parts = count_parts(pass->rows, batch->rows);
    gradient_sum sum = {.batch = batch, .trained = trained, .step = step};
    double loss = 0.0;

    begin_round(batch);
    for (; pass->first < parts; pass->first += sum.parts) {
        sum.parts = nl_smaller(batch->at_once, parts - pass->first);
        sum.first = pass->first == 0;
        sum.last = pass->first + sum.parts == parts;
        run_shared(pass, step_part_of, sum.parts);
        nl_crew_run(batch->crew, sum_parameters, &sum,
                    (int)((batch->net->size + summed_together - 1) / summed_together));
    }
    for (int k = 0; k < parts; k++) {
        loss += batch->losses[k];
    }
    return loss;
}

double nl_sample_batch_step(nl_sample_batch *batch, nl_trained *trained, long step, int rows,
                            const float *x, const int *labels)
{
    const step_batch now = {trained, rows, x, labels};
    double loss = 0.0;

    if (nl_crew_size(batch->crew) > 1 && make_room(batch, count_parts(rows, batch->rows))) {
        shared_pass pass = {.batch = batch,
                            .theta = trained->theta,
                            .rows = rows,
                            .x = x,
                            .trained = trained,
                            .labels = labels};

        return step_shared(batch, trained, step, &pass);
    }
    nl_crew_look(batch->crew);
    nl_passes_set_parameters(batch->passes, trained->theta);
    for (int first = 0; first < rows; first += batch->rows) {
        const step_part part = {.batch = batch,
                                .passes = batch->passes,
                                .gradient = batch->gradient,
                                .rows = nl_smaller(batch->rows, rows - first),
                                .first = first == 0};

        loss += step_samples(&part, &now, first, batch->error);
    }
    update(trained, step, (parameter_range){0, batch->net->size}, batch->gradient);
    return loss;
}
