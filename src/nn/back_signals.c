/** @file back_signals.c  Which back-signals of a network are alive together. */
#include "back_signals.h"

#include <assert.h>
#include <stdlib.h>

enum { no_slot = -1 };

static void take_slot(nl_slot_plan *plan, const nl_net *net, int l, int *slot)
{
    const size_t size = (size_t)nl_shape_size(net->layer[l].out);
    int k = 0;

    if (slot[l] != no_slot) { /* another layer takes this output, too */
        plan->added = size > plan->added ? size : plan->added;
        return;
    }
    while (k < plan->slots && plan->taken[k]) {
        k++;
    }
    assert(k < nl_slots_at_most); /* a chain needs two, a residual block four */
    plan->slots = nl_larger(plan->slots, k + 1);
    plan->taken[k] = true;
    plan->size[k] = size > plan->size[k] ? size : plan->size[k];
    slot[l] = k;
}

nl_slot_plan nl_slots_plan(const nl_net *net, int *slot, int *taker)
{
    nl_slot_plan plan = {0};

    for (int l = 0; l < net->layers; l++) {
        slot[l] = no_slot;
        taker[l] = -1;
    }
    take_slot(&plan, net, nl_net_output(net), slot);
    for (int l = nl_net_output(net); l >= 0; l--) {
        if (net->layer[l].from >= 0) {
            take_slot(&plan, net, net->layer[l].from, slot);
            taker[net->layer[l].from] = l;
        }
        if (net->layer[l].kind == NL_ADD) {
            take_slot(&plan, net, net->layer[l].plus, slot);
            taker[net->layer[l].plus] = l;
        }
        plan.taken[slot[l]] = false;
    }
    return plan;
}

double nl_back_signal_numbers(const nl_net *net)
{
    int *list = nl_calloc(2 * (size_t)net->layers, sizeof *list);
    double numbers = 0.0;

    if (list != NULL) {
        const nl_slot_plan plan = nl_slots_plan(net, list, list + net->layers);

        for (int k = 0; k < plan.slots; k++) {
            numbers += (double)plan.size[k];
        }
        numbers += (double)plan.added;
    }
    free(list);
    return numbers;
}
