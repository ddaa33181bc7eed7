/** @file fuzz_study.c  A study file; what was taken must come back from the file that is written.
 */
#include "fuzz.h"

static void check_grid(const nl_study *study)
{
    const nl_dataset_info images = {.inputs = 784, .classes = 10};
    double cells = 1.0;
    nl_cell *cell = NULL;
    nl_measure_plan *plan = NULL;
    int count = 0;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        cells *= nl_key_describe((nl_key)key)->shape == NL_SHAPE_AXIS ? study->value[key].count : 1;
    }
    if (cells < 1000.0 && nl_study_cells(study, &cell, &count) == NL_OK) {
        FUZZ_EXPECT((double)count == cells);
    }
    if (nl_measure_plan_create(study, &images, &plan) == NL_OK) {
        nl_measure_plan_destroy(&plan);
    }
    free(cell);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nl_study *study = NULL;
    nl_study *again = NULL;
    nl_text first = {0};
    nl_text second = {0};

    if (nl_study_parse_silently(&(nl_study_source){"f", (const char *)data, size, 0, NULL},
                                &study) == NL_OK) {
        check_grid(study);
        nl_study_write(study, NULL, 0, NULL, NULL, &first);
        FUZZ_EXPECT(nl_study_parse(&(nl_study_source){"f", first.data, first.length, 0, NULL},
                                   &again) == NL_OK);
        nl_study_write(again, NULL, 0, NULL, NULL, &second);
        FUZZ_EXPECT(strcmp(first.data, second.data) == 0);
    }
    nl_text_free(&first);
    nl_text_free(&second);
    nl_study_destroy(&again);
    nl_study_destroy(&study);
    return 0;
}
