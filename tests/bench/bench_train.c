/**
 * @file bench_train.c  Microseconds of one training step of an MLP 784-W-W-10, batch 32,
 * cross-entropy, on one core: the gather of its images from bytes included.
 *
 *   bench_train [--width W] [--optimizer sgd|momentum|adam] [--batch B] [--seconds S]
 *
 * gemm_microseconds: its eight matrix products alone, a call of BLAS each.
 * limit_microseconds: the larger of its operations at the rate of a large sgemm, and what of its
 * parameters and of the optimizer's state has to be read and written at the rate of this machine.
 */
#include "bench.h"

#include "ntklens/data.h"
#include "ntklens/nn.h"

enum { side = 28, inputs = side * side, outputs = 10, images = 2048, turns = 9 };

/** Everything a step needs. */
typedef struct subject {
    nl_net *net;
    nl_model *model;
    nl_dataset_info info;
    nl_images images;
    nl_scaling scaling;
    int batch;
    int *order, *labels; /* [images] */
    float *x;            /* [batch x inputs] */
    float *scratch;      /* for the products alone */
    double sum;          /* of what was read */
    long step;
} subject;

static void one_step(subject *s)
{
    const int first = (int)(s->step * s->batch % (images - s->batch + 1));

    nl_images_gather(&s->info, &s->images, &s->scaling, s->batch, s->order + first, s->x);
    nl_model_step(s->model, s->step++, s->batch, s->x, s->labels + first);
}

static void gemm(char op_a, char op_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc)
{
    sgemm_(&op_a, &op_b, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}

/* Forward, backward and weight gradients of every layer; zeros are multiplied as fast as anything.
 */
static void products_alone(subject *s)
{
    const int rows = s->batch;
    float *theta = s->scratch;
    float *h = theta + s->net->size;
    float *z = h + (size_t)rows * (size_t)(inputs + s->net->spec.width);

    for (int l = 0; l < s->net->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];

        gemm(l == 0 ? 'T' : 'N', 'N', rows, layer->fan_out, layer->fan_in, 1.0F, h,
             l == 0 ? inputs : rows, theta + layer->weights, layer->fan_in, 0.0F, z, rows);
    }
    for (int l = s->net->layers - 1; l >= 0; l--) {
        const nl_layer *layer = &s->net->layer[l];

        if (l > 0) {
            gemm('N', 'T', rows, layer->fan_in, layer->fan_out, 1.0F, z, rows,
                 theta + layer->weights, layer->fan_in, 0.0F, h, rows);
        }
        gemm(l == 0 ? 'N' : 'T', 'N', layer->fan_in, layer->fan_out, rows, -0.1F, h,
             l == 0 ? inputs : rows, z, rows, 1.0F, theta + layer->weights, layer->fan_in);
    }
}

enum { square = 768 }; /* order of a product that runs at full rate */

static void square_product(subject *s)
{
    const size_t size = (size_t)square * square;

    gemm('N', 'N', square, square, square, 1.0F, s->scratch, square, s->scratch + size, square,
         0.0F, s->scratch + 2 * size, square);
}

static void reading(subject *s)
{
    s->sum += nl_squares_single(s->net->size, s->scratch);
}

static void rewriting(subject *s)
{
    for (size_t k = 0; k < s->net->size; k++) {
        s->scratch[k] = -s->scratch[k];
    }
}

/* Seconds of one call: the best of some turns that take `seconds` in all. */
static double time_of(void (*work)(subject *), subject *s, double seconds)
{
    double took[turns];
    long count = 1;

    for (double once = 0.0; once < 0.1 * seconds; count *= 2) {
        const double start = nl_now();

        for (long k = 0; k < count; k++) {
            work(s);
        }
        once = nl_now() - start;
    }
    for (int turn = 0; turn < turns; turn++) {
        const double start = nl_now();

        for (long k = 0; k < count / 2; k++) {
            work(s);
        }
        took[turn] = (nl_now() - start) / (double)(count / 2);
    }
    return bench_best(turns, took);
}

static nl_optimizer optimizer_named(const char *name)
{
    for (int k = 0; k < NL_OPTIMIZER_COUNT; k++) {
        if (strcmp(nl_optimizer_name((nl_optimizer)k), name) == 0) {
            return (nl_optimizer)k;
        }
    }
    bench_check(false, "--optimizer sgd|momentum|adam");
    return NL_SGD;
}

static void create_subject(subject *s, int width, nl_optimizer optimizer, int batch)
{
    const nl_net_spec spec = {
        .inputs = inputs, .outputs = outputs, .width = width, .depth = 2, .weight_variance = 2.0};
    const nl_train_spec train = {.loss = NL_CROSS_ENTROPY,
                                 .optimizer = optimizer,
                                 .learning_rate = optimizer == NL_ADAM ? 1e-3 : 0.1,
                                 .momentum = 0.9};
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    uint8_t *pixels = nl_calloc((size_t)images * inputs, 1);

    bench_check(nl_net_create(&spec, optimizer, &s->net) == NL_OK, "the network");
    bench_check(nl_model_create(s->net, &train, batch, &s->model) == NL_OK, "the model");
    nl_net_initialize(s->net, 0, nl_model_parameters(s->model));
    s->info = (nl_dataset_info){.channels = 1,
                                .height = side,
                                .width = side,
                                .inputs = inputs,
                                .classes = outputs,
                                .train_count = images};
    bench_check(nl_scaling_allocate(1, &s->scaling) == NL_OK, "the scaling");
    s->scaling.scale[0] = 1.0F / 255.0F;
    s->batch = batch;
    s->order = nl_calloc(images, sizeof *s->order);
    s->labels = nl_calloc(images, sizeof *s->labels);
    s->x = nl_calloc((size_t)batch * inputs, sizeof *s->x);
    s->scratch = nl_calloc(s->net->size + 3 * (size_t)square * square +
                               2 * (size_t)batch * (size_t)(inputs + width + outputs),
                           sizeof *s->scratch);
    bench_check(pixels && s->order && s->labels && s->x && s->scratch, "memory");
    for (int k = 0; k < images * inputs; k++) {
        pixels[k] = (uint8_t)nl_rng_below(&rng, 256);
    }
    for (int k = 0; k < images; k++) {
        s->order[k] = k;
        s->labels[k] = (int)nl_rng_below(&rng, outputs);
    }
    nl_rng_shuffle(&rng, s->order, images);
    s->images = (nl_images){.count = images, .pixels = pixels};
}

/* Forward pass: W is read; backward product and update: W is read once and written, and so are one
 * array of momentum's and two of adam's. */
static double limit_of(subject *s, nl_optimizer optimizer, double flops, double seconds)
{
    static const int rewritten[NL_OPTIMIZER_COUNT] = {
        [NL_SGD] = 1, [NL_MOMENTUM] = 2, [NL_ADAM] = 3};
    const double products =
        flops * time_of(square_product, s, seconds) / (2.0 * square * square * square);
    const double memory =
        time_of(reading, s, seconds) + rewritten[optimizer] * time_of(rewriting, s, seconds);

    return products > memory ? products : memory;
}

int main(int argc, char **argv)
{
    const int width = bench_number(argc, argv, "width", 64);
    const int batch = bench_number(argc, argv, "batch", 32);
    const char *optimizer = bench_option(argc, argv, "optimizer", "sgd");
    const double seconds = strtod(bench_option(argc, argv, "seconds", "0.5"), NULL);
    subject s = {0};
    double step = 0.0;
    double products = 0.0;
    double weights = 0.0;
    double limit = 0.0;

    bench_check(width >= 1 && batch >= 1 && batch <= images, "--width and --batch from 1");
    nl_blas_set_threads(1);
    create_subject(&s, width, optimizer_named(optimizer), batch);
    products = time_of(products_alone, &s, seconds);
    step = time_of(one_step, &s, seconds);
    weights = (double)width * (inputs + width + outputs);
    limit = limit_of(&s, optimizer_named(optimizer), 6.0 * batch * weights, seconds);
    printf("{\"name\": \"train\", \"width\": %d, \"optimizer\": \"%s\", \"precision\": \"single\", "
           "\"seconds\": %.9g, \"microseconds\": %.4g, \"gemm_microseconds\": %.4g, "
           "\"limit_microseconds\": %.4g, \"gflops\": %.4g}\n",
           width, optimizer, step, 1e6 * step, 1e6 * products, 1e6 * limit,
           6e-9 * batch * weights / step);
    nl_model_destroy(&s.model);
    nl_net_destroy(&s.net);
    free((void *)(uintptr_t)s.images.pixels);
    nl_scaling_free(&s.scaling);
    free(s.order);
    free(s.labels);
    free(s.x);
    free(s.scratch);
    return 0;
}
