/** @file plan_print.c  A plan for people, for batch systems and for programs. */
#include "plan.h"
#include "plan_networks.h"
#include "plan_stability.h"

#include "ntklens/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const double time_margin = 1.5;
static const double memory_margin = 1.25;

static const char *solver_name(const nl_solve_plan *solve)
{
    return solve->method == NL_METHOD_QUADRATURE ? "quadrature"
           : solve->solver != NULL               ? solve->solver->name
                                                 : "none";
}

/* Whole MiB of a batch system, with a margin and with what the kernels' budget rests on. */
static double batch_megabytes(const nl_plan *plan)
{
    return 10.0 * ceil(memory_margin * plan->rank_bytes / 1048576.0 / 10.0);
}

/* "hh:mm:ss", at least five minutes. */
static const char *batch_time(const nl_plan *plan, char out[32])
{
    const double minutes = fmax(5.0, ceil(time_margin * plan->wall / 60.0));

    snprintf(out, 32, "%02.0f:%02.0f:00", floor(minutes / 60.0), fmod(minutes, 60.0));
    return out;
}

static void print_axes(const nl_plan *plan, FILE *stream)
{
    nl_text axes = {0};
    char cells[48];
    char inputs[48];
    char name[256];

    nl_study_append_axes(plan->study, &axes);
    fprintf(stream, "%s: %s (%s) on %s, %s\n",
            nl_escaped(plan->study->spec.name, name, sizeof name),
            nl_format_count(plan->count, "cell", cells), axes.length > 0 ? axes.data : "one point",
            nl_source_name(plan->info.source), nl_format_count(plan->info.inputs, "input", inputs));
    nl_text_free(&axes);
}

static void print_images(const nl_plan *plan, FILE *stream)
{
    char tests[48];

    fprintf(stream, "%d training and %s of %s\n", plan->info.train_count,
            nl_format_count(plan->info.test_count, "test image", tests),
            nl_source_name(plan->info.source));
    for (const char *line = plan->remarks.length > 0 ? plan->remarks.data : ""; *line != '\0';) {
        const size_t length = strcspn(line, "\n");

        fprintf(stream, "  warning: %.*s\n", (int)length, line);
        line += length + (line[length] != '\0');
    }
}

/* Of all networks: are kernels solved alike, by themselves? */
static bool all_primal(const nl_plan *plan)
{
    for (int k = 0; k < plan->solves.networks * plan->measure->kernels; k++) {
        if (plan->solves.plan[k].method != NL_METHOD_PRIMAL) {
            return false;
        }
    }
    return true;
}

/* The longest of all networks. */
static double kernel_seconds(const nl_plan *plan, int kernel)
{
    double seconds = 0.0;

    for (int k = 0; k < plan->solves.networks; k++) {
        seconds = fmax(seconds, plan->kernel_seconds[k * plan->measure->kernels + kernel]);
    }
    return seconds;
}

static void print_kernels(const nl_plan *plan, FILE *stream)
{
    char name[nl_measure_name_size];
    char bytes[32];
    char seconds[32];

    fprintf(stream, "\n  %-22s %8s  %-10s %6s  %11s  %s\n", "kernel", "order n", "solver", "ranks",
            "one takes", "at most, per rank");
    for (int k = 0; k < plan->measure->kernels; k++) {
        const nl_solve_plan *s = &plan->solves.plan[k];

        fprintf(stream, "  %-22s %8d  %-10s %6d  %11s  %s\n",
                nl_measure_name(plan->measure, k, name), s->n, solver_name(s), s->team,
                nl_format_seconds(kernel_seconds(plan, k), seconds),
                nl_format_bytes(nl_solve_memory(s, plan->measure->precision), bytes));
    }
}

/* A line a network: its parameters decide the method. */
static void print_methods(const nl_plan *plan, FILE *stream)
{
    char name[nl_measure_name_size];
    char bytes[32];
    char seconds[32];
    char network[256];

    fprintf(stream, "\n  %-14s %8s  %-22s %-10s %8s  %10s  %-10s %5s  %10s  %s\n", "kernel",
            "order n", "network", "method", "solved", "operations", "solver", "ranks", "one takes",
            "at most, per rank");
    for (int k = 0; k < plan->solves.networks * plan->measure->kernels; k++) {
        const nl_solve_plan *s = &plan->solves.plan[k];
        const nl_cell *cell = nl_plan_cell_with(plan, k / plan->measure->kernels);

        fprintf(stream, "  %-14s %8d  %-22s %-10s %8d  %10.2g  %-10s %5d  %10s  %s\n",
                nl_measure_name(plan->measure, k % plan->measure->kernels, name), s->n,
                nl_cell_name_network(plan->study, cell, network), nl_method_name(s->method),
                s->order, s->operations + s->compared, solver_name(s), s->team,
                nl_format_seconds(plan->kernel_seconds[k], seconds),
                nl_format_bytes(nl_solve_memory(s, plan->measure->precision), bytes));
    }
}

static void print_work(const nl_plan *plan, FILE *stream)
{
    char seconds[32];

    fprintf(stream, "\n  %-22s %12s  %s\n", "work", "flops", "time on one rank");
    for (int k = 0; k < NL_EFFORT_KINDS; k++) {
        fprintf(stream, "  %-22s %12.3g  %s\n", nl_effort_name((nl_effort_kind)k), plan->flops[k],
                nl_format_seconds(plan->seconds[k], seconds));
    }
    fprintf(stream, "  %-22s %12s  %s\n", "files", "",
            nl_format_seconds(plan->other_seconds, seconds));
}

/* Ranks that the study has no work for, and why. */
static void print_idle(const nl_plan *plan, FILE *stream)
{
    const int idle = plan->ranks - plan->busy_ranks;
    char cells[48];
    char teams[48];

    if (idle > 0) {
        fprintf(stream, "  idle          %d of %d ranks at any time: %s", idle, plan->ranks,
                nl_format_count(plan->count, "cell", cells));
        if (plan->teams > 0) {
            fprintf(stream, ", %s of %d (measure.team_size)",
                    nl_format_count(plan->teams, "team", teams), plan->team_size);
        }
        fprintf(stream, "%s\n",
                plan->study->spec.share_cores && plan->ranks_per_node > 1
                    ? "; their cores help to train those of their node"
                    : "");
    }
}

static void print_needs(const nl_plan *plan, FILE *stream)
{
    char a[32];
    char b[32];
    char count[48];
    char source[256];

    fprintf(stream, "\n  wall time     %s on %s", nl_format_seconds(plan->wall, a),
            nl_format_count(plan->ranks, "rank", count));
    if (plan->ranks > plan->ranks_per_node) {
        fprintf(stream, ", %d a node", plan->ranks_per_node);
    }
    fprintf(stream, " (rates: %s)\n", nl_escaped(plan->throughputs.source, source, sizeof source));
    print_idle(plan, stream);
    fprintf(stream, "  memory        %s per rank at its peak, %s in all\n",
            nl_format_bytes(plan->rank_bytes, a), nl_format_bytes(plan->all_bytes, b));
    if (plan->least_ranks > 0) {
        fprintf(stream, "  fits          from %s of %s\n",
                nl_format_count(plan->least_ranks, "rank", count),
                nl_format_bytes(plan->memory_per_rank, a));
    } else if (plan->least_ranks == 0) {
        fprintf(stream, "  fits          on no number of ranks of %s\n",
                nl_format_bytes(plan->memory_per_rank, a));
    }
    fprintf(stream, "  leaves        %d files, %s; at most %s while it runs\n", plan->files,
            nl_format_bytes(plan->disk_bytes, a), nl_format_bytes(plan->running_bytes, b));
}

static double least_stability_rate(const nl_plan *plan)
{
    double least = INFINITY;

    for (int k = 0; k < plan->starts; k++) {
        least = fmin(least, plan->start[k].stability_rate);
    }
    return least;
}

/* Trainings that begin above their own stability.  One line a network: an axis of many kinds is
 * told of by its first ones. */
static void print_starts(const nl_plan *plan, FILE *stream)
{
    enum { most_told = 8 };
    char name[256];
    char count[48];
    int told = 0;

    for (int k = 0; k < plan->starts; k++) {
        const nl_plan_start *start = &plan->start[k];

        if (start->rate_ratio > 1.0 && told++ < most_told) {
            fprintf(stream,
                    "  warning: %s: learning rate %.3g is %.1f times the stability rate at init, "
                    "%.2g\n",
                    nl_cell_name_network(plan->study, start->cell, name),
                    nl_cell_train_spec(start->cell).learning_rate, start->rate_ratio,
                    start->stability_rate);
        }
    }
    if (told > most_told) {
        fprintf(stream, "  warning: and %s like these\n",
                nl_format_count(told - most_told, "network", count));
    }
    if (told > 0) {
        fprintf(stream,
                "           Their first steps overshoot and change the kernel at once; below %.2g, "
                "set by\n           training.learning_rate, none of the networks tried does (%s of "
                "the probe).\n",
                least_stability_rate(plan), nl_format_count(plan->start_samples, "sample", count));
    }
}

/* The study's name as one word. */
static const char *job_name(const nl_plan *plan, char out[61])
{
    snprintf(out, 61, "%s", plan->study->spec.name);
    for (char *c = out; *c != '\0'; c++) {
        *c = isalnum((unsigned char)*c) || strchr("._-", *c) != NULL ? *c : '_';
    }
    return out;
}

static void print_batch(const nl_plan *plan, FILE *stream)
{
    char name[61];
    char text[32];

    fprintf(stream,
            "\n#SBATCH --job-name=%.60s\n#SBATCH --ntasks=%d\n#SBATCH --cpus-per-task=1\n"
            "#SBATCH --mem-per-cpu=%.0fM\n#SBATCH --time=%s\n#SBATCH --signal=B:USR1@90\n",
            job_name(plan, name), plan->ranks, batch_megabytes(plan), batch_time(plan, text));
}

static void print_text(const nl_plan *plan, FILE *stream)
{
    char steps[48];
    char states[48];
    char kernels[48];

    print_axes(plan, stream);
    print_images(plan, stream);
    fprintf(stream, "%s, %s measured with %s each\n",
            nl_format_count((long)plan->steps, "step", steps),
            nl_format_count(plan->states, "state", states),
            nl_format_count(plan->measure->kernels, "kernel", kernels));
    if (all_primal(plan)) {
        print_kernels(plan, stream);
    } else {
        print_methods(plan, stream);
    }
    nl_plan_print_networks(plan, stream);
    print_work(plan, stream);
    print_needs(plan, stream);
    print_starts(plan, stream);
    print_batch(plan, stream);
}

/* JSON knows no NaN, and no infinity. */
static void append_number(nl_text *text, double value)
{
    if (isfinite(value)) {
        nl_text_append(text, "%.17g", value);
    } else {
        nl_text_append(text, "null");
    }
}

static void append_starts(const nl_plan *plan, nl_text *text)
{
    char name[256];

    nl_text_append(text, ",\n  \"stability_samples\": %d,\n  \"stability\": [",
                   plan->start_samples);
    for (int k = 0; k < plan->starts; k++) {
        const nl_plan_start *start = &plan->start[k];

        nl_text_append(text, "%s\n    {\"network\": ", k > 0 ? "," : "");
        nl_json_string(text, nl_cell_name_network(plan->study, start->cell, name));
        nl_text_append(text, ", \"cell\": ");
        nl_json_string(text, start->cell->id);
        nl_text_append(text, ", \"learning_rate\": ");
        append_number(text, nl_cell_train_spec(start->cell).learning_rate);
        nl_text_append(text, ", \"stability_rate\": ");
        append_number(text, start->stability_rate);
        nl_text_append(text, ", \"rate_ratio\": ");
        append_number(text, start->rate_ratio);
        nl_text_append(text, "}");
    }
    nl_text_append(text, "%s]", plan->starts > 0 ? "\n  " : "");
}

static void append_kernel(const nl_plan *plan, int kernel, int k, nl_text *text)
{
    const nl_solve_plan *s = &plan->solves.plan[k];
    const double seconds =
        all_primal(plan) ? kernel_seconds(plan, kernel) : plan->kernel_seconds[k];
    char name[32];
    char network[256];

    nl_text_append(text,
                   "%s\n    {\"kernel\": \"%s\", \"n\": %d, \"solver\": \"%s\", \"team\": %d, "
                   "\"bytes_per_rank\": %.0f, \"seconds\": %.6g",
                   k > 0 ? "," : "", nl_kernel_name(plan->measure->kernel[kernel], name), s->n,
                   solver_name(s), s->team, nl_solve_memory(s, plan->measure->precision), seconds);
    if (!all_primal(plan)) {
        const nl_cell *cell = nl_plan_cell_with(plan, k / plan->measure->kernels);

        nl_text_append(text, ", \"network\": ");
        nl_json_string(text, nl_cell_name_network(plan->study, cell, network));
    }
    nl_text_append(text,
                   ", \"method\": \"%s\", \"solved_order\": %d, \"operations\": %.6g, "
                   "\"comparing\": %.6g}",
                   nl_method_name(s->method), s->order, s->operations + s->compared, s->compared);
}

/* A kernel each, where all networks' are solved alike; else a kernel of a network each. */
static void append_kernels(const nl_plan *plan, nl_text *text)
{
    const int kernels = plan->measure->kernels;

    for (int k = 0; k < (all_primal(plan) ? 1 : plan->solves.networks) * kernels; k++) {
        append_kernel(plan, k % kernels, k, text);
    }
}

static void print_json(const nl_plan *plan, FILE *stream)
{
    nl_text text = {0};
    char name[32];

    nl_text_append(&text, "{\n  \"study\": ");
    nl_json_string(&text, plan->study->spec.name);
    nl_text_append(&text,
                   ",\n  \"train_images\": %d,\n  \"test_images\": %d,\n  \"data_remarks\": ",
                   plan->info.train_count, plan->info.test_count);
    nl_json_string(&text, plan->remarks.length > 0 ? plan->remarks.data : "");
    nl_text_append(&text,
                   ",\n  \"ranks\": %d,\n  \"cells\": %d,\n  \"steps\": %.0f,\n  \"states\": %d,\n"
                   "  \"kernels\": [",
                   plan->ranks, plan->count, plan->steps, plan->states);
    append_kernels(plan, &text);
    nl_text_append(&text, "\n  ],\n  \"networks\": ");
    nl_plan_append_networks(plan, &text);
    nl_text_append(&text, ",\n  \"work\": {");
    for (int k = 0; k < NL_EFFORT_KINDS; k++) {
        nl_text_append(&text, "%s\n    \"%s\": {\"flops\": %.6g, \"seconds\": %.6g}",
                       k > 0 ? "," : "", nl_effort_name((nl_effort_kind)k), plan->flops[k],
                       plan->seconds[k]);
    }
    nl_text_append(&text,
                   "\n  },\n  \"ranks_per_node\": %d,\n  \"idle_ranks\": %d,\n  \"other_seconds\": "
                   "%.6g,\n  \"wall_seconds\": %.6g,\n"
                   "  \"rates\": ",
                   plan->ranks_per_node, plan->ranks - plan->busy_ranks, plan->other_seconds,
                   plan->wall);
    nl_json_string(&text, plan->throughputs.source);
    nl_text_append(&text,
                   ",\n  \"memory\": {\"per_rank\": %.0f, \"all\": %.0f, \"kernel_budget\": %.0f},"
                   "\n  \"least_ranks\": ",
                   plan->rank_bytes, plan->all_bytes, plan->budget);
    if (plan->least_ranks > 0) {
        nl_text_append(&text, "%d", plan->least_ranks);
    } else {
        nl_text_append(&text, "null");
    }
    append_starts(plan, &text);
    nl_text_append(
        &text,
        ",\n  \"files\": %d,\n  \"disk_bytes\": %.0f,\n  \"running_disk_bytes\": %.0f,\n"
        "  \"sbatch\": {\"ntasks\": %d, \"mem_per_cpu_mib\": %.0f, \"time\": \"%s\"}\n}\n",
        plan->files, plan->disk_bytes, plan->running_bytes, plan->ranks, batch_megabytes(plan),
        batch_time(plan, name));
    fputs(text.failed ? "{}\n" : text.data, stream);
    nl_text_free(&text);
}

nl_status nl_study_plan(const nl_study *study, const nl_plan_options *options, FILE *stream)
{
    nl_plan plan;
    nl_status status = nl_plan_make(study, options, &plan);

    if (status != NL_OK) {
        return status;
    }
    status = nl_plan_find_starts(&plan);
    if (status == NL_OK && options->json) {
        print_json(&plan, stream);
    } else if (status == NL_OK) {
        print_text(&plan, stream);
    }
    nl_plan_free(&plan);
    return status;
}
