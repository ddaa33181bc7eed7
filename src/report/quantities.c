/** @file quantities.c  The columns that are fitted, and their names. */
#include "quantities.h"

#include <math.h>
#include <string.h>

const nl_quantity nl_quantities[] = {
    {"test_loss", false, false, NULL, NULL, NL_OFFSET_FLOOR},
    {"train_loss", false, false, NULL, NULL, NL_OFFSET_FLOOR},
    {"validation_loss", false, false, NULL, NULL, NL_OFFSET_FLOOR},
    {"regression_test_loss", false, false, NULL, NULL, NL_OFFSET_FLOOR},
    {"regression_predicted_loss", false, false, NULL, NULL, NL_OFFSET_FLOOR},
    {"step", false, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"rate_ratio", false, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"trace", true, true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"effective_rank", true, true, "effective rank", "whole", NL_OFFSET_RANK},
    {"effective_rank_half", true, false, "effective rank", "half", NL_OFFSET_RANK},
    {"effective_rank_quarter", true, false, "effective rank", "quarter", NL_OFFSET_RANK},
    {"effective_rank_centred", true, false, "effective rank, centred", "whole", NL_OFFSET_RANK},
    {"effective_rank_cosine", true, false, "effective rank, cosine", "whole", NL_OFFSET_RANK},
    {"participation_ratio", true, false, "participation ratio", "whole", NL_OFFSET_RANK},
    {"stable_rank", true, false, "stable rank", "whole", NL_OFFSET_RANK},
    {"numerical_rank", true, false, "numerical rank", "whole", NL_OFFSET_RANK},
    {"used_rank", true, false, "used rank", "whole", NL_OFFSET_RANK},
    {"effective_dimension", true, false, "effective dimension, z = 1", "whole", NL_OFFSET_RANK},
    {"effective_dimension_tenth", true, false, "effective dimension, z = 0.1", "whole",
     NL_OFFSET_RANK},
    {"effective_dimension_hundredth", true, false, "effective dimension, z = 0.01", "whole",
     NL_OFFSET_RANK},
    {"class_factor", true, true, NULL, NULL, NL_OFFSET_POSITIVE},
    {"identity_distance", true, false, NULL, NULL, NL_OFFSET_SHARE},
    {"effective_rank_outputs", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"spectral_position", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"spectral_index", true, false, NULL, NULL, NL_OFFSET_RANK},
    {"lambda_max", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"spectral_exponent", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"kernel_change", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"kernel_distance", true, false, NULL, NULL, NL_OFFSET_SHARE},
    {"infinite_distance", true, false, NULL, NULL, NL_OFFSET_POSITIVE},
    {"label_alignment", true, false, NULL, NULL, NL_OFFSET_SHARE},
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

double nl_quantity_error(int quantity, double entropy_error)
{
    const double halves = 1.959963984540054; /* standard errors that a half width is */
    const char *column = nl_quantities[quantity].column;
    const bool of_entropy =
        strcmp(column, "effective_rank") == 0 || strcmp(column, "class_factor") == 0;

    return of_entropy && entropy_error > 0.0 ? entropy_error / halves : 0.0;
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
