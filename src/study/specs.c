/** @file specs.c  Keys as the program wants them: typed specifications of study and cell.  Beside
 * parser and grid the only place that reads keys. */
#include "specs.h"
#include "architecture.h"

#include "ntklens/keys.h"

#include <math.h>
#include <string.h>

static int whole(const nl_cell *cell, nl_key key)
{
    return (int)cell->value[key].number;
}

nl_net_spec nl_cell_net_spec(const nl_cell *cell, const nl_dataset_info *info)
{
    return (nl_net_spec){
        .kind = nl_cell_kind(cell),
        .inputs = info->inputs,
        .outputs = info->classes,
        .width = cell->width,
        .depth = cell->depth,
        .activation = (nl_activation)whole(cell, NL_KEY_ACTIVATION),
        .parametrization = (nl_parametrization)whole(cell, NL_KEY_PARAMETRIZATION),
        .base_width = whole(cell, NL_KEY_BASE_WIDTH),
        .weight_variance = cell->value[NL_KEY_WEIGHT_VARIANCE].number,
        .bias_variance = cell->value[NL_KEY_BIAS_VARIANCE].number,
        .convolutional = nl_cell_convolutional_spec(cell, info),
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

nl_evaluation_spec nl_cell_evaluation_spec(const nl_cell *cell)
{
    return (nl_evaluation_spec){
        .per_decade = whole(cell, NL_KEY_EVALUATIONS_PER_DECADE),
        .stop_after_best = cell->value[NL_KEY_STOP_AFTER_BEST].number,
    };
}

void nl_cell_set_max_steps(const nl_study *study, nl_cell *cell, long max_steps)
{
    cell->value[NL_KEY_MAX_STEPS].number = (double)max_steps;
    nl_cell_identify(study, cell);
}

void nl_cell_set_width(nl_cell *cell, int width)
{
    cell->width = width;
    cell->value[NL_KEY_WIDTHS].number = width;
}

int nl_most_steps_per_decade(void)
{
    return (int)nl_key_describe(NL_KEY_STEPS_PER_DECADE)->max;
}

/*---------------------------------------------------------------------------------------------
 * Values that have a column
 *-------------------------------------------------------------------------------------------*/

/* The key of the k-th of them, those of late columns at the end; NL_KEY_COUNT: there is none. */
static nl_key key_with_column(int k)
{
    for (int late = 0; late < 2; late++) {
        for (int key = 0; key < NL_KEY_COUNT; key++) {
            const nl_key_info *info = nl_key_describe((nl_key)key);

            if (info->column != NULL && info->late == (late > 0) && k-- == 0) {
                return (nl_key)key;
            }
        }
    }
    return NL_KEY_COUNT;
}

/* Has a cell a member for it? */
static bool is_member(nl_key key)
{
    return key == NL_KEY_WIDTHS || key == NL_KEY_DEPTHS || key == NL_KEY_TRAIN_SIZES ||
           key == NL_KEY_SEEDS;
}

int nl_cell_value_count(void)
{
    int count = 0;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        count += nl_key_describe((nl_key)key)->column != NULL;
    }
    return count;
}

nl_cell_value nl_cell_value_at(const nl_cell *cell, int k)
{
    const nl_key key = key_with_column(k);
    const nl_key_info *info = nl_key_describe(key);
    nl_cell_value out = {.column = info->column,
                         .help = info->help,
                         .whole = info->type == NL_TYPE_INT || info->type == NL_TYPE_BOOL,
                         .member = is_member(key),
                         .late = info->late};

    if (cell != NULL) {
        out.word = cell->value[key].word;
        out.number = cell->value[key].number;
        if (info->type == NL_TYPE_BOOL && out.word == NULL) {
            out.word = out.number > 0.0 ? "true" : "false";
        }
    }
    return out;
}

void nl_study_append_axes(const nl_study *study, nl_text *out)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        const char *dot = strrchr(info->path, '.');

        if (info->shape == NL_SHAPE_AXIS && study->value[key].count > 1 &&
            nl_key_concerns(study, (nl_key)key)) {
            nl_text_append(out, "%s%d %s", out->length > 0 ? " x " : "", study->value[key].count,
                           dot != NULL ? dot + 1 : info->path);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Cells that are alike
 *-------------------------------------------------------------------------------------------*/

static bool same_values(const nl_cell *a, const nl_cell *b, nl_key first, nl_key last)
{
    for (int key = (int)first; key <= (int)last; key++) {
        const nl_scalar *x = &a->value[key];
        const nl_scalar *y = &b->value[key];
        const bool same = x->word != NULL && y->word != NULL
                              ? strcmp(x->word, y->word) == 0
                              : x->word == y->word && x->number == y->number;

        if (key != NL_KEY_WIDTHS && !same) {
            return false;
        }
    }
    return true;
}

bool nl_cell_same_kind(const nl_cell *a, const nl_cell *b)
{
    return same_values(a, b, NL_KEY_KIND, NL_KEY_EVALUATIONS_PER_DECADE);
}

bool nl_cell_same_start(const nl_cell *a, const nl_cell *b)
{
    return a->width == b->width && same_values(a, b, NL_KEY_KIND, NL_KEY_LOSS);
}

const char *nl_cell_name_network(const nl_study *study, const nl_cell *cell, char out[256])
{
    const nl_net_kind kind = nl_cell_kind(cell);
    char number[32];
    int length = kind == NL_MLP ? snprintf(out, 256, "width %d, depth %d", cell->width, cell->depth)
                                : snprintf(out, 256, "%s of %d channels, depth %d",
                                           nl_net_kind_name(kind), cell->width, cell->depth);

    for (int key = 0; key < NL_KEY_COUNT && length < 256; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        const nl_scalar *value = &cell->value[key];

        if (info->shape == NL_SHAPE_AXIS && study->value[key].count > 1 &&
            !is_member((nl_key)key) && key != NL_KEY_LEARNING_RATE &&
            (key != NL_KEY_KIND || kind == NL_MLP) &&
            (value->word == NULL || value->word[0] != '\0')) {
            length += snprintf(out + length, 256 - (size_t)length, ", %s %s", info->column,
                               info->type == NL_TYPE_BOOL ? nl_scalar_text(info, value, number)
                               : value->word != NULL      ? value->word
                                                     : nl_format_double(value->number, number));
        }
    }
    return out;
}

/*---------------------------------------------------------------------------------------------
 * The study
 *-------------------------------------------------------------------------------------------*/

static bool is_on(const nl_study *study, nl_key key)
{
    return nl_study_number(study, key) > 0.0;
}

static int count_of(const nl_study *study, nl_key key)
{
    return (int)nl_study_number(study, key);
}

static nl_split_spec split_spec(const nl_study *study)
{
    const nl_values *sizes = &study->value[NL_KEY_TRAIN_SIZES];
    nl_split_spec spec = {
        .file = study->file,
        .source = (nl_source)nl_study_number(study, NL_KEY_SOURCE),
        .seed = (uint32_t)nl_study_number(study, NL_KEY_DATA_SEED),
        .test = count_of(study, NL_KEY_TEST_SIZE),
        .validation = count_of(study, NL_KEY_VALIDATION_SIZE),
        .probe = count_of(study, NL_KEY_PROBE_SIZE),
        .probe_from_train = nl_study_is(study, NL_KEY_PROBE_FROM, "train"),
        .subset_per_seed = nl_study_is(study, NL_KEY_SUBSET, "per-seed"),
        .standardize = is_on(study, NL_KEY_STANDARDIZE),
        .label_noise = nl_study_number(study, NL_KEY_LABEL_NOISE),
    };

    for (int k = 0; k < sizes->count; k++) {
        spec.largest_train = (int)fmax(spec.largest_train, sizes->item[k].number);
    }
    return spec;
}

static nl_method method_of(const char *word)
{
    int method = 0;

    while (method < NL_METHOD_AUTO && strcmp(word, nl_method_name((nl_method)method)) != 0) {
        method++;
    }
    return (nl_method)method;
}

static nl_solve_request solve_request(const nl_study *study)
{
    const char *solver = nl_study_word(study, NL_KEY_SOLVER);
    const char *team = nl_study_word(study, NL_KEY_TEAM_SIZE);

    return (nl_solve_request){
        .file = study->file,
        .none = strcmp(solver, "none") == 0,
        .solver = strcmp(solver, "auto") == 0 ? NULL : solver,
        .team = team == NULL               ? count_of(study, NL_KEY_TEAM_SIZE)
                : strcmp(team, "all") == 0 ? -1
                                           : 0,
        .method = method_of(nl_study_word(study, NL_KEY_METHOD)),
        .relative_error = nl_study_number(study, NL_KEY_RELATIVE_ERROR),
        .exact_operations = nl_study_number(study, NL_KEY_EXACT_OPERATIONS),
    };
}

/* "2-1-1"; what is too long was refused. */
static void name_stages(nl_study *study)
{
    const nl_values *stages = &study->value[NL_KEY_STAGES];
    size_t length = 0;

    for (int k = 0; k < stages->count && length < sizeof study->stages; k++) {
        length += (size_t)snprintf(study->stages + length, sizeof study->stages - length, "%s%.0f",
                                   k > 0 ? "-" : "", stages->item[k].number);
    }
}

void nl_study_make_spec(nl_study *study)
{
    const bool auto_memory = nl_study_word(study, NL_KEY_MEMORY_PER_RANK) != NULL;

    name_stages(study);
    study->spec = (nl_study_spec){
        .name = nl_study_word(study, NL_KEY_STUDY),
        .split = split_spec(study),
        .solve = solve_request(study),
        .snapshots = (nl_snapshots)nl_study_number(study, NL_KEY_SNAPSHOTS),
        .keep_spectra = is_on(study, NL_KEY_SPECTRA),
        .keep_kernels = is_on(study, NL_KEY_OUTPUT_KERNELS),
        .traced = nl_study_is(study, NL_KEY_KERNELS, "traced"),
        .full = nl_study_is(study, NL_KEY_KERNELS, "full"),
        .classes = nl_study_is(study, NL_KEY_KERNELS, "class"),
        .weighted = nl_study_is(study, NL_KEY_PARAMETRIZATION, "mup"),
        .infinite = is_on(study, NL_KEY_INFINITE),
        .share_cores = is_on(study, NL_KEY_SHARE_CORES),
        .memory_per_rank = auto_memory ? 0.0 : nl_study_number(study, NL_KEY_MEMORY_PER_RANK),
        .checkpoint_every = nl_study_number(study, NL_KEY_CHECKPOINT_EVERY),
    };
}
