/** @file plan_networks.c  Networks of a plan, one by one. */
#include "plan_networks.h"

#include "ntklens/json.h"

#include <math.h>

enum { most_told = 16 };
static const double dear_seconds =
    3600.0; /* of one rank, from which a network is worth a warning */

const nl_cell *nl_plan_cell_with(const nl_plan *plan, int network)
{
    int k = 0;

    while (plan->solves.network[k] != network) {
        k++;
    }
    return &plan->cells[k];
}

static bool is_convolutional(const nl_plan *plan, int network)
{
    return plan->solves.net[network]->spec.kind != NL_MLP;
}

static void print_network(const nl_plan *plan, int k, FILE *stream)
{
    const nl_plan_network *n = &plan->network[k];
    char parameters[32];
    char name[256];
    char seconds[32];
    char bytes[32];

    snprintf(parameters, sizeof parameters, "%zu", plan->solves.net[k]->trained);
    fprintf(stream, "  %11s %12.2e %12.2e %6d %6d %12s  %-10s %s\n", parameters, n->step_flops,
            n->state_flops, n->parts, n->cells, nl_format_seconds(n->seconds, seconds),
            nl_format_bytes(n->bytes, bytes),
            nl_cell_name_network(plan->study, nl_plan_cell_with(plan, k), name));
}

/* The dearest of them, where it takes hours. */
static void print_cost(const nl_plan *plan, FILE *stream)
{
    int dearest = -1;
    double hours = 0.0;
    char name[256];

    for (int k = 0; k < plan->solves.networks; k++) {
        if (is_convolutional(plan, k)) {
            hours += plan->network[k].seconds / 3600.0;
            dearest = dearest < 0 || plan->network[k].seconds > plan->network[dearest].seconds
                          ? k
                          : dearest;
        }
    }
    if (dearest >= 0 && 3600.0 * hours >= dear_seconds) {
        const nl_plan_network *n = &plan->network[dearest];

        fprintf(
            stream,
            "  warning: convolutional networks take %.1f core hours, %.1f of them %s, %.0f %% of "
            "that\n           in training: %.0f steps of %.3g operations.  Both grow as the "
            "square of the channels.\n",
            hours, n->seconds / 3600.0,
            nl_cell_name_network(plan->study, nl_plan_cell_with(plan, dearest), name),
            100.0 * n->train_seconds / n->seconds, n->steps, n->step_flops);
    }
}

void nl_plan_print_networks(const nl_plan *plan, FILE *stream)
{
    int told = 0;
    char count[48];

    for (int k = 0; k < plan->solves.networks; k++) {
        told += is_convolutional(plan, k);
    }
    if (told == 0) {
        return;
    }
    fprintf(stream, "\n  %11s %12s %12s %6s %6s %12s  %-10s %s\n", "parameters", "flops a step",
            "a state", "parts", "cells", "on one rank", "memory", "network");
    for (int k = 0; k < nl_smaller(plan->solves.networks, most_told); k++) {
        print_network(plan, k, stream);
    }
    if (plan->solves.networks > most_told) {
        fprintf(stream, "  and %s more (--json has all)\n",
                nl_format_count(plan->solves.networks - most_told, "network", count));
    }
    print_cost(plan, stream);
}

void nl_plan_append_networks(const nl_plan *plan, nl_text *out)
{
    char name[256];

    nl_text_append(out, "[");
    for (int k = 0; k < plan->solves.networks; k++) {
        const nl_plan_network *n = &plan->network[k];
        const nl_net *net = plan->solves.net[k];

        nl_text_append(out, "%s\n    {\"network\": ", k > 0 ? "," : "");
        nl_json_string(out, nl_cell_name_network(plan->study, nl_plan_cell_with(plan, k), name));
        nl_text_append(out,
                       ", \"kind\": \"%s\", \"parameters\": %zu, \"cells\": %d, \"steps\": %.0f, "
                       "\"step_flops\": %.0f, \"state_flops\": %.0f, \"parts\": %d, "
                       "\"seconds\": %.6g, \"train_seconds\": %.6g, \"bytes\": %.0f}",
                       nl_net_kind_name(net->spec.kind), net->trained, n->cells, n->steps,
                       n->step_flops, n->state_flops, n->parts, n->seconds, n->train_seconds,
                       n->bytes);
    }
    nl_text_append(out, "\n  ]");
}
