/** @file back_signals.h  Which back-signals of a network are alive together.  Local. */
#ifndef NTKLENS_NN_BACK_SIGNALS_H
#define NTKLENS_NN_BACK_SIGNALS_H

#include "ntklens/nn.h"

enum { nl_slots_at_most = 8 };

/** Slots of the way down. */
typedef struct nl_slot_plan {
    int slots;
    size_t size[nl_slots_at_most]; /* numbers of one back-signal */
    bool taken[nl_slots_at_most];
    size_t added; /* largest output that several layers take; 0: none */
} nl_slot_plan;

/** @param[out] slot   [layers] where the back-signals of a layer's output are
 *  @param[out] taker  [layers] which layer is the last on the way down that adds to them; -1: none
 */
nl_slot_plan nl_slots_plan(const nl_net *net, int *slot, int *taker);

/** Numbers that all slots of one back-signal take. */
double nl_back_signal_numbers(const nl_net *net);

#endif
