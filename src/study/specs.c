/** @file specs.c  A cell's values as networks and training want them. */
#include "ntklens/study.h"

static int whole(const nl_cell *cell, nl_key key)
{
    return (int)cell->value[key].number;
}

nl_net_spec nl_cell_net_spec(const nl_cell *cell, const nl_dataset_info *info)
{
    return (nl_net_spec){
        .inputs = info->inputs,
        .outputs = info->classes,
        .width = cell->width,
        .depth = cell->depth,
        .activation = (nl_activation)whole(cell, NL_KEY_ACTIVATION),
        .parametrization = (nl_parametrization)whole(cell, NL_KEY_PARAMETRIZATION),
        .base_width = whole(cell, NL_KEY_BASE_WIDTH),
        .weight_variance = cell->value[NL_KEY_WEIGHT_VARIANCE].number,
        .bias_variance = cell->value[NL_KEY_BIAS_VARIANCE].number,
    };
}

nl_status nl_cell_net_create(const nl_cell *cell, const nl_dataset_info *info, nl_net **out)
{
    const nl_net_spec spec = nl_cell_net_spec(cell, info);

    return nl_net_create(&spec, nl_cell_train_spec(cell).optimizer, out);
}

nl_train_spec nl_cell_train_spec(const nl_cell *cell)
{
    return (nl_train_spec){
        .loss = (nl_loss)whole(cell, NL_KEY_LOSS),
        .optimizer = (nl_optimizer)whole(cell, NL_KEY_OPTIMIZER),
        .learning_rate = cell->value[NL_KEY_LEARNING_RATE].number,
        .momentum = cell->value[NL_KEY_MOMENTUM].number,
        .weight_decay = cell->value[NL_KEY_WEIGHT_DECAY].number,
        .schedule = (nl_schedule)whole(cell, NL_KEY_SCHEDULE),
        .max_steps = (long)cell->value[NL_KEY_MAX_STEPS].number,
    };
}

int nl_cell_batch(const nl_cell *cell)
{
    const nl_scalar *size = &cell->value[NL_KEY_BATCH_SIZE];

    return size->word != NULL || size->number >= cell->n_train ? cell->n_train : (int)size->number;
}
