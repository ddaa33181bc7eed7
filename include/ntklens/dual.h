/**
 * @file dual.h  The dual of a kernel, G = J^T J: of the parameters, where the kernel J J^T is of
 * the outputs.  Both have the same nonzero eigenvalues, so whichever is smaller is solved.
 *
 * J [rows of the kernel x parameters] is never formed at once.  Of networks that are chains of
 * dense layers, G is filled by pairs of units: with s_i = <delta_i[k], delta_i[j]> over the
 * outputs, G[(l;p,k),(m;q,j)] = sum_i h_i^{l-1}[p] h_i^{m-1}[q] s_i, rows being ordered by layer,
 * input p and unit k.  A sample whose s_i is zero is skipped: of relu two thirds of them are.
 *
 * Of other networks rows of J are made, some samples at a time, and multiplied: N C P^2 operations,
 * shared by the ranks, beside the passes, which every rank makes of all samples.  G is of all
 * trained parameters then.
 *
 * Of chains of dense layers G is of a smaller basis than the parameters.  Weights behind inputs
 * that are zero on the whole probe and of units with no back-signals have no gradient and no row;
 * of each unit the bias and the weights behind inputs that are constant on the probe have parallel
 * gradients, and become one row by a rotation.
 */
#ifndef NTKLENS_DUAL_H
#define NTKLENS_DUAL_H

#include "ntklens/ntk.h"

/** Opaque.  What a dual is filled from: activations and back-signals of all samples.  Borrows the
 *  network and the probe. */
typedef struct nl_dual nl_dual;

/** Has this kernel of this network a dual?  Full and class kernels. */
bool nl_dual_is_known(const nl_net *net, nl_kernel_spec spec);

/** The largest order that it can have: whatever the parameters and the probe. */
double nl_dual_most(const nl_net *net, nl_kernel_spec spec);

/** Bytes of an nl_dual, and of what a fill of `rows` x `cols` local elements needs beside it, at
 *  most. */
double nl_dual_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision, int samples);

/** Floating-point operations of a fill, at most: as if all units were active on all samples. */
double nl_dual_flops(const nl_net *net, nl_kernel_spec spec, int samples);

/** One pass forward and one backward per output over all samples.  Local. */
NL_MUST_CHECK nl_status nl_dual_create(const nl_kernel_input *input, nl_kernel_spec spec,
                                       nl_precision precision, nl_dual **out);
void nl_dual_destroy(nl_dual **dual);

/** Rows of G, at least one: of a network without gradients it is a zero. */
int nl_dual_order(const nl_dual *dual);

/** Block size for its matrix: the smallest multiple of the units of a layer that is at least
 *  `wanted`, so that a rank's rows are, but for blocks' ends, whole inputs.  Pure. */
int nl_dual_block(const nl_net *net, int wanted);

/** A fill that can be left and gone on with.  It is made of units of work, pairs of units or panels
 *  of samples, in the same order whenever it is filled on such a grid. */
typedef struct nl_fill_watch {
    long done;                                                     /* units that the matrix holds */
    nl_status (*keep)(const nl_dmat *a, long done, void *context); /* behind each; NULL: nobody */
    void *context;                                                 /* borrowed */
    const nl_interrupt *interrupt;                                 /* borrowed; NULL: nobody asks */
} nl_fill_watch;

/** Fill the local part, on and below the diagonal.  No communication.  Local.
 *
 *  @param[in]     a      of order nl_dual_order() and the precision of the dual
 *  @param[in,out] watch  done > 0: the matrix holds so much already;
 *                       NULL: nothing
 *  @return NL_STOPPED where it was interrupted: watch->done tells how far it came; what keep()
 *          returned */
NL_MUST_CHECK nl_status nl_dual_fill(nl_dmat *a, const nl_dual *dual, nl_fill_watch *watch);

/**
 * <Theta_a, Theta_b> = |J_a^T J_b|_F^2 of two states of one network on the same probe; a may be b.
 * Of chains of dense layers parts of it go round the ranks, and none is stored: the same bits on
 * any number of ranks.  Of others J_a^T J_b is a matrix over the grid.  Collective over the grid;
 * the same bits on every rank.
 *
 * @return NL_STOPPED where it was interrupted
 */
NL_MUST_CHECK nl_status nl_dual_inner(const nl_grid *grid, const nl_dual *a, const nl_dual *b,
                                      const nl_interrupt *interrupt, double *inner);

/** Bytes on each of so many ranks, that of b's dual among them, and floating-point operations of
 *  it, at most; same: of a state with itself. */
double nl_dual_inner_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                           int samples, int ranks);
double nl_dual_inner_flops(const nl_net *net, nl_kernel_spec spec, int samples, bool same);

/** A gradient in the basis of G: u^T G u = |J w|^2 for u made of w, rate-weighted |J R^1/2 w|^2
 *  with the rates R.  Local.
 *
 *  @param[in]  w  [net->size] laid out as the parameters
 *  @param[out] u  [nl_dual_order()] */
void nl_dual_coordinates(const nl_dual *dual, const double *w, double *u);

#endif
