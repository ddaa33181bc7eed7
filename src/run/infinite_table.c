/** @file infinite_table.c  infinite.csv: the infinitely wide networks of the grid. */
#include "infinite_table.h"

#include "ntklens/csv.h"
#include "ntklens/io.h"

#include <math.h>

/** The table in work, on one rank. */
typedef struct limits {
    nl_run *run;
    const nl_team *team;      /* ranks that share the spectra */
    nl_measurer *measurer;    /* of them; its grid */
    nl_measure_plan traced;   /* a plan of one kernel: what all spectra are made from */
    nl_kernel_spec kernel[1]; /* its kernel */
    nl_solve_plan solve;
    nl_text table;
} limits;

static const char *const kind_names[] = {[NL_INFINITE_NNGP] = "nngp", [NL_INFINITE_NTK] = "ntk"};

static const struct {
    const char *name, *help;
} columns[] = {
    {"limit", "nngp: covariance of the outputs over draws; ntk: Neural Tangent Kernel, with "
              "parametrization: standard over the width"},
    {"depth", "hidden layers"},
    {"activation", "relu, erf or gelu; tanh has no closed form"},
    {"parametrization", "standard or ntk; no kernel describes the limit of mup"},
    {"weight_variance", "sigma_w^2"},
    {"bias_variance", "sigma_b^2"},
    {"kernel", "traced (each class<a> equals it) or full, which is traced times the identity"},
    {"n", "order of the kernel"},
    {"trace", "this and the following as in results.csv"},
    {"entropy", NULL},
    {"effective_rank", NULL},
    {"participation_ratio", NULL},
    {"lambda_max", NULL},
    {"lambda_min", NULL},
    {"solver", NULL},
    {"flags", "negative, resolved"},
    {"n_train", "images of the regression; empty: the row does not depend on them"},
    {"seed", "of the training subset, where the row depends on it"},
    {"regression_test_loss", "mse of kernel ridge regression (measure.regression); else nan"},
    {"regression_test_accuracy", "share of argmax hits of that regression; else nan"},
    {"regression_kare", "this and the following as in results.csv"},
    {"regression_predicted_loss", NULL},
    {"regression_learnability", NULL},
};

/*---------------------------------------------------------------------------------------------
 * What there is a row for
 *-------------------------------------------------------------------------------------------*/

static bool has_limit(const nl_net_spec *spec)
{
    return nl_infinite_is_known(spec) && spec->parametrization != NL_MUP;
}

static bool regresses(const limits *l)
{
    return l->run->in.plan->regression_train > 0;
}

static bool seeded(const limits *l)
{
    return nl_probe_depends_on_seed(&l->run->in.study->spec.split) ||
           (regresses(l) && l->run->in.study->spec.split.subset_per_seed);
}

/* Do two cells have the same images, as far as rows depend on them? */
static bool same_images(const limits *l, const nl_cell *a, const nl_cell *b)
{
    return (!seeded(l) || a->seed == b->seed) &&
           (!regresses(l) || nl_regression_train(l->run->in.plan, a->n_train) ==
                                 nl_regression_train(l->run->in.plan, b->n_train));
}

/* Is cell k the first one with its limit?  images: and with its images. */
static bool is_first(const limits *l, int k, bool images)
{
    const nl_cell *cells = l->run->in.cells;
    const nl_net_spec spec = nl_cell_net_spec(&cells[k], l->run->in.splits->info);

    for (int j = 0; j < k; j++) {
        const nl_net_spec other = nl_cell_net_spec(&cells[j], l->run->in.splits->info);

        if (nl_infinite_same_limit(&spec, &other) &&
            (!images || same_images(l, &cells[j], &cells[k]))) {
            return false;
        }
    }
    return has_limit(&spec);
}

/*---------------------------------------------------------------------------------------------
 * One limit on one probe
 *-------------------------------------------------------------------------------------------*/

typedef struct fill_context {
    nl_infinite *infinite;
    nl_infinite_kind kind;
} fill_context;

static nl_status fill(nl_dmat *a, void *context)
{
    const fill_context *f = context;

    return nl_agree(a->grid->comm, nl_infinite_fill(a, f->infinite, f->kind));
}

static nl_status solve(const limits *l, nl_dmat *a, fill_context *f, nl_measurement *out)
{
    nl_spectrum *spectrum = NULL;
    nl_status status = nl_spectrum_compute(a, l->solve.solver, fill, f, &spectrum);

    if (status == NL_OK) {
        nl_observe_spectrum(spectrum->n, spectrum->lambda, l->run->in.plan->classes,
                            nl_precision_eps(a->precision), &out->observed);
        out->fallback = spectrum->fallback;
        out->done = true;
        snprintf(out->solver, sizeof out->solver, "%s", spectrum->solver->name);
    }
    nl_spectrum_destroy(&spectrum);
    return status;
}

/* solver: none */
static nl_status measure_moments(nl_dmat *a, fill_context *f, nl_measurement *out)
{
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = fill(a, f);

    if (status == NL_OK) {
        status = nl_dmat_moments(a, &trace, &frobenius2);
    }
    if (status == NL_OK) {
        out->observed.trace = trace / a->n;
        out->observed.participation_ratio = trace * trace / frobenius2;
        out->done = true;
    }
    return status;
}

/* On the ranks of the grid; the others leave `out` clear. */
static nl_status measure(limits *l, const nl_net *net, const float *probe, nl_infinite_kind kind,
                         nl_measurement *out)
{
    fill_context f = {.kind = kind};
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    nl_measurement_clear(out, l->solve.n);
    if (l->measurer == NULL) {
        return NL_OK;
    }
    status = nl_agree(
        l->measurer->grid->comm,
        nl_infinite_create(net, NL_INFINITE_LIMIT, false, l->traced.samples, probe, &f.infinite));
    if (status == NL_OK) {
        status = nl_dmat_create(l->measurer->grid, l->solve.n, l->solve.block, NL_DOUBLE, &a);
    }
    if (status == NL_OK) {
        status = l->solve.solver != NULL ? solve(l, a, &f, out) : measure_moments(a, &f, out);
    }
    nl_dmat_destroy(&a);
    nl_infinite_destroy(&f.infinite);
    return status;
}

/* full = traced times the identity: each eigenvalue once per output. */
static nl_observables observed_of(const nl_measurement *m, nl_kernel_kind kind, int outputs)
{
    nl_observables o = m->observed;

    if (kind == NL_KERNEL_FULL) {
        o.entropy += log(outputs);
        o.effective_rank *= outputs;
        o.participation_ratio *= outputs;
    }
    return o;
}

static void append_row(limits *l, const nl_cell *cell, nl_kernel_spec kernel, nl_infinite_kind kind,
                       const nl_measurement *m, const nl_regression *regression)
{
    const nl_run *run = l->run;
    const int outputs = run->in.splits->info->classes;
    const nl_net_spec spec = nl_cell_net_spec(cell, run->in.splits->info);
    const nl_observables o = observed_of(m, kernel.kind, outputs);
    nl_text *t = &l->table;
    char name[32];
    char number[2][32];

    nl_text_append(t, "%s,%d,%s,%s,%s,%s,%s,%d", kind_names[kind], cell->depth,
                   nl_activation_name(spec.activation),
                   nl_parametrization_name(spec.parametrization),
                   nl_format_double(spec.weight_variance, number[0]),
                   nl_format_double(spec.bias_variance, number[1]), nl_kernel_name(kernel, name),
                   nl_kernel_order(kernel, l->traced.samples, outputs));
    nl_csv_append(t, o.trace);
    nl_csv_append(t, o.entropy);
    nl_csv_append(t, o.effective_rank);
    nl_csv_append(t, o.participation_ratio);
    nl_csv_append(t, o.lambda_max);
    nl_csv_append(t, o.lambda_min);
    nl_text_append(t, ",%s,%s%s%s,", m->solver, o.negative ? "negative" : "",
                   o.negative && m->fallback ? "+" : "", m->fallback ? "resolved" : "");
    if (regresses(l)) {
        nl_text_append(t, "%d", nl_regression_train(run->in.plan, cell->n_train));
    }
    nl_text_append(t, ",");
    if (seeded(l)) {
        nl_text_append(t, "%u", cell->seed);
    }
    nl_csv_append(t, regression->test_loss);
    nl_csv_append(t, regression->test_accuracy);
    nl_csv_append(t, regression->kare);
    nl_csv_append(t, regression->predicted_loss);
    nl_csv_append(t, regression->learnability);
    nl_text_append(t, "\n");
}

static void append_rows(limits *l, const nl_cell *cell, nl_infinite_kind kind,
                        const nl_measurement *m, const nl_regression *regression)
{
    const nl_study_spec *spec = &l->run->in.study->spec;

    /* A class kernel is the traced one: outputs do not differ. */
    if (spec->traced || spec->classes) {
        append_row(l, cell, (nl_kernel_spec){.kind = NL_KERNEL_TRACED}, kind, m, regression);
    }
    if (spec->full) {
        append_row(l, cell, (nl_kernel_spec){.kind = NL_KERNEL_FULL}, kind, m, regression);
    }
}

static nl_status regress(const limits *l, const nl_net *net, const nl_cell_data *data,
                         nl_infinite_kind kind, nl_regression *out)
{
    nl_regression_set set = {0};
    nl_status status = NL_OK;

    *out = nl_regression_unknown();
    if (!regresses(l) || l->team->rank != 0) {
        return NL_OK;
    }
    status = nl_regression_set_create(l->run->in.plan, l->run->in.splits, data, &set);
    if (status == NL_OK) {
        status = nl_regress_infinite(l->run->in.plan, &set, net, kind, out);
    }
    nl_regression_set_free(&set);
    return status;
}

/* Rows of one limit with the images of one cell.  measured [2] is kept from the first cell on where
 * the probe is the same. */
static nl_status add_images(limits *l, int k, bool first, nl_measurement *measured)
{
    nl_run *run = l->run;
    const nl_net_spec spec = nl_cell_net_spec(&run->in.cells[k], run->in.splits->info);
    nl_net *net = NULL;
    nl_cell_data *data = NULL;
    nl_status worst = NL_OK; /* a spectrum that was not had */
    nl_status status = nl_net_create(&spec, NL_SGD, &net);

    if (status == NL_OK) {
        status = nl_cell_data_create(&run->in.study->spec.split, run->in.splits,
                                     run->in.cells[k].n_train, run->in.cells[k].seed, &data);
    }
    status = nl_agree(l->team->comm, status);
    for (int kind = 0; status == NL_OK && data != NULL && kind < 2; kind++) {
        nl_regression regression;

        if (first || nl_probe_depends_on_seed(&l->run->in.study->spec.split)) {
            status = measure(l, net, data->probe_inputs, (nl_infinite_kind)kind, &measured[kind]);
            worst = status == NL_ERR_NUMERIC ? status : worst;
            status = status == NL_ERR_NUMERIC ? NL_OK : status;
        }
        if (status == NL_OK) {
            status = regress(l, net, data, (nl_infinite_kind)kind, &regression);
        }
        status = nl_agree(l->team->comm, status);
        if (status == NL_OK) {
            append_rows(l, &run->in.cells[k], (nl_infinite_kind)kind, &measured[kind], &regression);
        }
    }
    nl_cell_data_destroy(&data);
    nl_net_destroy(&net);
    return status == NL_OK ? nl_agree(l->team->comm, worst) : status;
}

/* All rows of the limit that cell `first` is the first one of. */
static nl_status add_limit(limits *l, int first)
{
    nl_run *run = l->run;
    const nl_net_spec spec = nl_cell_net_spec(&run->in.cells[first], run->in.splits->info);
    nl_measurement measured[2] = {0};
    nl_status worst = NL_OK;

    for (int k = first; k < run->in.count && (worst == NL_OK || worst == NL_ERR_NUMERIC); k++) {
        const nl_net_spec other = nl_cell_net_spec(&run->in.cells[k], run->in.splits->info);
        int stop = 0;
        nl_status status = NL_OK;

        if (!nl_infinite_same_limit(&spec, &other) || !is_first(l, k, true)) {
            continue;
        }
        stop = nl_run_stopping(run);
        nl_team_broadcast(l->team, &stop, sizeof stop, 0);
        status = stop != 0 ? NL_STOPPED : add_images(l, k, k == first, measured);
        worst = status != NL_OK ? status : worst;
    }
    for (int kind = 0; kind < 2; kind++) {
        nl_measurement_clear(&measured[kind], 0);
    }
    return worst;
}

/*---------------------------------------------------------------------------------------------
 * The table
 *-------------------------------------------------------------------------------------------*/

static nl_status fill_table(limits *l)
{
    nl_status worst = NL_OK;

    for (size_t c = 0; c < NL_COUNT(columns); c++) {
        nl_text_append(&l->table, "%s%s", c > 0 ? "," : "", columns[c].name);
    }
    nl_text_append(&l->table, "\n");
    for (int k = 0; k < l->run->in.count && (worst == NL_OK || worst == NL_ERR_NUMERIC); k++) {
        if (is_first(l, k, false)) {
            const nl_status status = add_limit(l, k);

            worst = status != NL_OK ? status : worst;
        }
    }
    return worst;
}

/* Work of the ranks that share the spectra. */
static nl_status work(limits *l)
{
    nl_status status =
        nl_measurer_create(l->team->comm, &l->run->in.study->spec, &l->traced, &l->measurer);
    nl_status written = NL_OK;

    if (status == NL_OK) {
        status = fill_table(l);
    }
    if (l->team->rank == 0 && (status == NL_OK || status == NL_ERR_NUMERIC)) {
        written = nl_run_may_write(l->run)
                      ? nl_file_write_text(l->run->in.options->folder, "infinite.csv", &l->table)
                      : NL_ERR_BUSY; /* the root tells at its end */
    }
    nl_measurer_destroy(&l->measurer);
    nl_text_free(&l->table);
    return nl_agree(l->team->comm, written != NL_OK ? written : status);
}

nl_status nl_infinite_write(nl_run *run)
{
    limits l = {.run = run};
    nl_team *part = NULL;
    nl_status status = NL_OK;

    if (!run->in.study->spec.infinite) {
        return NL_OK;
    }
    l.traced = nl_infinite_measure_plan(run->in.plan->samples, l.kernel);
    status = nl_infinite_plan(
        &run->in.study->spec, run->in.plan,
        &(nl_solve_room){run->in.splits->info->classes, run->in.team->size, run->in.memory, NULL},
        &l.solve);
    if (status == NL_OK) {
        status = nl_team_split(run->in.team, run->in.team->rank < l.solve.team ? 0 : -1, &part);
    }
    if (status == NL_OK && part != NULL) {
        l.team = part;
        status = work(&l);
    }
    nl_team_destroy(&part);
    nl_team_wait(run->in.team); /* ranks without a part in it leave their cores to the others */
    return nl_agree(run->in.team->comm, status);
}

void nl_infinite_columns_print(FILE *stream)
{
    fprintf(stream, "\nColumns of infinite.csv (measure.infinite: true): one row per limit\n\n");
    for (size_t c = 0; c < NL_COUNT(columns); c++) {
        fprintf(stream, "  %-24s %s\n", columns[c].name,
                columns[c].help != NULL ? columns[c].help : "");
    }
}
