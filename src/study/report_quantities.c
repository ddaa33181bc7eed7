/** @file report_quantities.c  The columns that are fitted, and their names. */
#include "report.h"

#include <string.h>

const nl_quantity nl_quantities[] = {
    {"test_loss", false, NULL, NULL},
    {"train_loss", false, NULL, NULL},
    {"validation_loss", false, NULL, NULL},
    {"regression_test_loss", false, NULL, NULL},
    {"step", false, NULL, NULL},
    {"trace", true, NULL, NULL},
    {"effective_rank", true, "effective rank", "whole"},
    {"effective_rank_half", true, "effective rank", "half"},
    {"effective_rank_quarter", true, "effective rank", "quarter"},
    {"effective_rank_centred", true, "effective rank, centred", "whole"},
    {"effective_rank_cosine", true, "effective rank, cosine", "whole"},
    {"participation_ratio", true, "participation ratio", "whole"},
    {"stable_rank", true, "stable rank", "whole"},
    {"numerical_rank", true, "numerical rank", "whole"},
    {"used_rank", true, "used rank", "whole"},
    {"lambda_max", true, NULL, NULL},
    {"spectral_exponent", true, NULL, NULL},
    {"kernel_change", true, NULL, NULL},
    {"kernel_distance", true, NULL, NULL},
    {"infinite_distance", true, NULL, NULL},
    {"label_alignment", true, NULL, NULL},
};
const int nl_quantity_count = NL_COUNT(nl_quantities);

int nl_quantity_find(const char *column)
{
    for (int q = 0; q < nl_quantity_count; q++) {
        if (strcmp(nl_quantities[q].column, column) == 0) {
            return q;
        }
    }
    return -1;
}
