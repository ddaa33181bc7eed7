/** @file fuzz_cell.c  A cell's file or checkpoint behind its end mark, read with all it may hold;
 * the first byte says what is read. */
#include "fuzz.h"

#include "ntklens/cell_files.h"
#include "ntklens/rows.h"

enum { outputs = 2 };

/** What every input is read for. */
typedef struct reading {
    nl_study *study;
    nl_cell *cells;
    nl_measure_plan *plan;
    nl_net *net;
} reading;

static const reading *prepare(void)
{
    static reading r;

    if (r.study == NULL) {
        const nl_net_spec spec = {.inputs = 3,
                                  .outputs = outputs,
                                  .width = 2,
                                  .depth = 1,
                                  .base_width = 2,
                                  .weight_variance = 1.0};
        const nl_dataset_info images = {.inputs = 3, .classes = outputs};
        int count = 0;

        r.study = fuzz_study();
        FUZZ_EXPECT(nl_study_cells(r.study, &r.cells, &count) == NL_OK && count == 1);
        FUZZ_EXPECT(nl_measure_plan_create(r.study, &images, &r.plan) == NL_OK);
        FUZZ_EXPECT(nl_net_create(&spec, NL_MOMENTUM, &r.net) == NL_OK);
    }
    return &r;
}

/* States 0, 1 and the last, with all that can be kept. */
static nl_record *make_result(const reading *r)
{
    const nl_losses losses = {1.0, 1.1, 1.2, 0.5, 0.4, 0.3};
    nl_record *result = NULL;

    FUZZ_EXPECT(nl_record_create(&result) == NL_OK);
    for (long step = 0; step < 3; step++) {
        nl_state *state = nl_record_state(result, r->plan, step);

        FUZZ_EXPECT(state != NULL && nl_curve_append(&result->curve, step, &losses) == NL_OK);
        state->losses = losses;
        state->theta = nl_calloc(r->net->size, sizeof *state->theta);
        for (int k = 0; k < r->plan->kernels; k++) {
            nl_measurement *m = &state->kernels[k];

            m->done = true;
            m->n = nl_kernel_order(r->plan->kernel[k], r->plan->samples, outputs);
            m->lambda = nl_calloc((size_t)m->n, sizeof *m->lambda);
            m->kernel = nl_calloc((size_t)(m->n * m->n), sizeof *m->kernel);
            snprintf(m->solver, sizeof m->solver, "lapack");
        }
    }
    result->best_step = 1;
    result->final_step = 2;
    return result;
}

uint8_t *fuzz_make_seed(int k, size_t *size)
{
    const reading *r = prepare();
    static const float zeros[64];
    static const int indices[64];
    float theta[64] = {0};
    nl_record *result = make_result(r);
    const nl_continuation continuation = {.step = 2,
                                          .theta = theta,
                                          .optimizer = theta,
                                          .optimizer_size = r->net->size,
                                          .best_step = 1,
                                          .best_theta = theta,
                                          .previous_step = 1,
                                          .previous_theta = theta};
    const nl_cell_context context = {.study = r->study,
                                     .cell = r->cells,
                                     .net = r->net,
                                     .plan = r->plan,
                                     .continuation = k == 1 ? &continuation : NULL,
                                     .unfinished = k == 1,
                                     .probe = zeros,
                                     .probe_labels = indices,
                                     .train = 40,
                                     .test = 60,
                                     .train_index = indices,
                                     .test_index = indices,
                                     .validation_index = indices,
                                     .probe_index = indices,
                                     .train_labels = indices,
                                     .channels = 1};
    unsigned char *image = NULL;
    uint8_t *seed = NULL;
    size_t length = 0;

    if (k < 2) {
        FUZZ_EXPECT(r->net->size <= 64);
        FUZZ_EXPECT(nl_cell_file_image(result, &context, &image, &length) == NL_OK);
        seed = malloc(length + 1);
        FUZZ_EXPECT(seed != NULL);
        seed[0] = NL_READ_MEASUREMENTS | NL_READ_ARRAYS | NL_READ_THETA;
        memcpy(seed + 1, image, length);
        *size = length + 1;
    }
    free(image);
    nl_record_destroy(&result, r->plan->kernels);
    return seed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const reading *r = prepare();
    const int what = size > 0 ? data[0] & 7 : 0;
    nl_record *result = NULL;
    nl_continuation continuation = {0};
    nl_row *rows = NULL;
    nl_text table = {0};
    int count = 0;

    if (size < 1) {
        return 0;
    }
    if (nl_cell_file_read(data + 1, size - 1,
                          &(nl_cell_expected){r->study, r->cells, r->net, r->plan, what}, &result,
                          &continuation) == NL_OK) {
        FUZZ_EXPECT(nl_record_rows(result, r->plan, r->cells, 0, &rows, &count) == NL_OK);
        nl_rows_write(r->cells, rows, count, &table);
        FUZZ_EXPECT(count < 10000 && strchr(table.data, '\x1b') == NULL);
    }
    nl_text_free(&table);
    free(rows);
    nl_continuation_free(&continuation);
    nl_record_destroy(&result, r->plan->kernels);
    return 0;
}
