/** @file snapshots.h  Parameters in a cell's file, as PyTorch has them, and what they are of. */
#ifndef NTKLENS_RESULTS_SNAPSHOTS_H
#define NTKLENS_RESULTS_SNAPSHOTS_H

#include "ntklens/base.h"
#include "ntklens/io.h"
#include "ntklens/nn.h"

/**
 * Append a network as text, from which others can build it; the first line is the input, then one
 * line a layer, numbered from 0:
 *
 *   input 3x32x32                       channels x rows x columns; of an MLP the number of inputs
 *   0 conv 3x3 3->16 stride 1 padding 1 from input parameters 0 s 1 t 1 then relu
 *   1 average-pool 2x2 stride 2 from 0
 *   2 layer-norm 16 eps 1e-05 from 1 parameters 1 s 1 t 1
 *   3 add 0.5 from 2 plus 1             0.5 times layer 2, plus layer 1
 *   4 apply from 3 then relu            the activation alone
 *   5 global-average from 4             over rows and columns
 *   6 dense 16->10 from 5 parameters 2 s 1 t 1
 *
 * parameters k: weight<k> and bias<k>, which enter as s weight<k> and t bias<k>.  A layer norm is
 * over channels and positions, its weight one a channel.  A dense layer takes all numbers of a
 * layer, in the order channel, row, column.  Pools drop rows and columns that fill no window.
 */
void nl_net_append_layers(const nl_net *net, nl_text *out);

/** Datasets of one state: weight<k>, bias<k>, k over layers with parameters. */
NL_MUST_CHECK nl_status nl_snapshot_put(nl_h5 *file, const nl_net *net, long step,
                                        const float *theta);
NL_MUST_CHECK nl_status nl_snapshot_get(const nl_h5_reader *file, const nl_net *net, long step,
                                        float *theta);

/** nl_net_append_layers() as an attribute of the group of all snapshots. */
NL_MUST_CHECK nl_status nl_snapshots_describe(nl_h5 *file, const nl_net *net);

#endif
