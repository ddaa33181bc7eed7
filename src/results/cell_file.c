/** @file cell_file.c  Which columns a cell file has, and where it lies. */
#include "cell_file.h"

#include "ntklens/cell_files.h"

#include <stddef.h>
#include <stdlib.h>

const nl_member nl_loss_members[nl_loss_member_count] = {
    {"train_loss", offsetof(nl_losses, train_loss)},
    {"test_loss", offsetof(nl_losses, test_loss)},
    {"validation_loss", offsetof(nl_losses, validation_loss)},
    {"train_accuracy", offsetof(nl_losses, train_accuracy)},
    {"test_accuracy", offsetof(nl_losses, test_accuracy)},
    {"validation_accuracy", offsetof(nl_losses, validation_accuracy)},
};

const nl_member nl_regression_members[nl_regression_member_count] = {
    {"regression_test_loss", offsetof(nl_regression, test_loss)},
    {"regression_test_accuracy", offsetof(nl_regression, test_accuracy)},
    {"regression_kare", offsetof(nl_regression, kare)},
    {"regression_predicted_loss", offsetof(nl_regression, predicted_loss)},
    {"regression_learnability", offsetof(nl_regression, learnability)},
};

const nl_member nl_observed_members[nl_observed_member_count] = {
    {"trace", offsetof(nl_observables, trace)},
    {"entropy", offsetof(nl_observables, entropy)},
    {"effective_rank", offsetof(nl_observables, effective_rank)},
    {"participation_ratio", offsetof(nl_observables, participation_ratio)},
    {"lambda_max", offsetof(nl_observables, lambda_max)},
    {"lambda_min", offsetof(nl_observables, lambda_min)},
#define MEMBER(name, meaning) {#name, offsetof(nl_observables, name)},
    NL_OBSERVED(MEMBER)
#undef MEMBER
};

nl_status nl_kernel_columns_create(nl_kernel_columns *columns, int states)
{
    const size_t count = (size_t)states;

    columns->n = nl_calloc(count, sizeof *columns->n);
    columns->bits = nl_calloc(count, sizeof *columns->bits);
    columns->solver = nl_calloc(count, sizeof *columns->solver);
    columns->error = nl_calloc(count, sizeof *columns->error);
    columns->observed = nl_calloc(count, sizeof *columns->observed);
    columns->column = nl_calloc(count, sizeof *columns->column);
    if (!columns->n || !columns->bits || !columns->solver || !columns->error ||
        !columns->observed || !columns->column) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel's columns");
    }
    return NL_OK;
}

void nl_kernel_columns_free(nl_kernel_columns *columns)
{
    free(columns->n);
    free(columns->bits);
    free(columns->solver);
    free(columns->error);
    free(columns->observed);
    free(columns->column);
}

char *nl_cell_path(const char *results, const char *below, const nl_cell *cell)
{
    nl_text path = {0};

    nl_text_append(&path, "%s/%s/%s.h5", results, below, cell->id);
    return path.failed ? NULL : path.data;
}
