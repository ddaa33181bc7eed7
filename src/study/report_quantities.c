/** @file report_quantities.c  The columns that are fitted, and their names. */
#include "report.h"

#include <math.h>
#include <string.h>

const nl_quantity nl_quantities[] = {
    {"test_loss", false, NULL, NULL, NL_OFFSET_FLOOR},
    {"train_loss", false, NULL, NULL, NL_OFFSET_FLOOR},
    {"validation_loss", false, NULL, NULL, NL_OFFSET_FLOOR},
    {"regression_test_loss", false, NULL, NULL, NL_OFFSET_FLOOR},
    {"step", false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"trace", true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"effective_rank", true, "effective rank", "whole", NL_OFFSET_RANK},
    {"effective_rank_half", true, "effective rank", "half", NL_OFFSET_RANK},
    {"effective_rank_quarter", true, "effective rank", "quarter", NL_OFFSET_RANK},
    {"effective_rank_centred", true, "effective rank, centred", "whole", NL_OFFSET_RANK},
    {"effective_rank_cosine", true, "effective rank, cosine", "whole", NL_OFFSET_RANK},
    {"participation_ratio", true, "participation ratio", "whole", NL_OFFSET_RANK},
    {"stable_rank", true, "stable rank", "whole", NL_OFFSET_RANK},
    {"numerical_rank", true, "numerical rank", "whole", NL_OFFSET_RANK},
    {"used_rank", true, "used rank", "whole", NL_OFFSET_RANK},
    {"lambda_max", true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"spectral_exponent", true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"kernel_change", true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"kernel_distance", true, NULL, NULL, NL_OFFSET_SHARE},
    {"infinite_distance", true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"label_alignment", true, NULL, NULL, NL_OFFSET_SHARE},
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

bool nl_quantity_is_core(int quantity)
{
    const char *column = nl_quantities[quantity].column;

    return strcmp(column, "test_loss") == 0 || strcmp(column, "trace") == 0 ||
           strcmp(column, "effective_rank") == 0;
}

/* The part of the probe that a rank is of divides what it can be at most. */
static double part_of(const nl_quantity *quantity)
{
    return quantity->part == NULL                   ? 1.0
           : strcmp(quantity->part, "half") == 0    ? 0.5
           : strcmp(quantity->part, "quarter") == 0 ? 0.25
                                                    : 1.0;
}

nl_offset_range nl_quantity_range(int quantity, double order)
{
    const nl_quantity *q = &nl_quantities[quantity];
    nl_offset_range range = {.least = 0.0, .most = INFINITY, .floor = q->offset == NL_OFFSET_FLOOR};

    if (q->offset == NL_OFFSET_SHARE) {
        range.most = 1.0;
    } else if (q->offset == NL_OFFSET_RANK && order > 0.0) {
        range.most = order * part_of(q);
    }
    return range;
}
