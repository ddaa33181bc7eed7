/** @file ntk.h  Neural Tangent Kernels: tiles, observables, infinite width. */
#ifndef NTKLENS_NTK_H
#define NTKLENS_NTK_H

#include "ntklens/factors.h"
#include "ntklens/jacobian.h"
#include "ntklens/linalg.h"
#include "ntklens/observables.h"

/*---------------------------------------------------------------------------------------------
 * Kernels
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_kernel_kind {
    NL_KERNEL_FULL,   /* NC x NC, row i*C + a */
    NL_KERNEL_TRACED, /* N x N: mean over outputs of the diagonal blocks */
    NL_KERNEL_CLASS,  /* N x N: one output's block */
} nl_kernel_kind;

/** Which kernel of a network. */
typedef struct nl_kernel_spec {
    nl_kernel_kind kind;
    int output;         /* CLASS: which */
    bool rate_weighted; /* each layer's part times its learning rate over the base rate (mup) */
} nl_kernel_spec;

/** How the eigenvalues of a kernel J J^T are found: its own, or those of J^T J (dual.h). */
typedef enum nl_method {
    NL_METHOD_PRIMAL,
    NL_METHOD_DUAL,
    NL_METHOD_QUADRATURE, /* none are: their entropy is estimated (quadrature.h) */
    NL_METHOD_COUNT,
    NL_METHOD_AUTO = NL_METHOD_COUNT
} nl_method;

/** "primal" */
const char *nl_method_name(nl_method method);

/** "full", "traced", "class3", with "-rate-weighted" behind; out holds 32 bytes. */
const char *nl_kernel_name(nl_kernel_spec spec, char out[32]);

/** Order of the kernel of `samples` probe samples. */
int nl_kernel_order(nl_kernel_spec spec, int samples, int outputs);

/** Floating-point operations of its fill on one rank: factors, Gram matrices of activations and of
 *  back-signals. */
double nl_kernel_flops(const nl_net *net, nl_kernel_spec spec, int samples);

/** A fill on one rank. */
typedef struct nl_fill_terms {
    nl_kernel_spec spec;
    nl_precision precision;
    int samples;
    double panel_bytes; /* as in nl_kernel_input */
} nl_fill_terms;

/** Its operations: nl_kernel_flops(), and the passes that are made again for further parts. */
typedef struct nl_fill_work {
    int parts;       /* of the parameters; 0: a chain of dense layers has none */
    double passes;   /* through the network and back, rows of J: they go as the samples */
    double products; /* of gradients: these go as their square */
} nl_fill_work;
nl_fill_work nl_kernel_fill_work(const nl_net *net, const nl_fill_terms *terms);

/** Bytes of its fill beside the matrix, for so many samples of local rows and columns together.
 *
 *  @param[in] panel_bytes  as in nl_kernel_input */
double nl_kernel_fill_bytes(const nl_net *net, nl_precision precision, int order, double samples,
                            double panel_bytes);

/** Bytes of this that it leaves in nl_kernel_input.kept. */
double nl_kernel_kept_bytes(const nl_net *net, nl_precision precision, int order, double samples,
                            double panel_bytes);

/** Block size for its matrix: the smallest multiple of the rows a sample has that is at least
 *  `wanted`, so that a rank's local rows are whole samples. */
int nl_kernel_block(nl_kernel_spec spec, int outputs, int wanted);

/** Memory that a fill leaves for the next one: the system clears what is new, which takes a fifth
 * of the time of small kernels of convolutional networks.  {0}: there is none yet. */
typedef struct nl_kept_memory {
    void *data; /* owned */
    size_t bytes;
} nl_kept_memory;
void nl_kept_memory_free(nl_kept_memory *kept);

/** Opaque.  Gradients of all samples by all parameters, which kernels, traces and checks are made
 * of where networks are no chains of dense layers; factors are for those that are. */
typedef struct nl_chunk_gradients nl_chunk_gradients;
void nl_chunk_gradients_destroy(nl_chunk_gradients **gradients);

/** The state of a network and the probe it is looked at with.  All borrowed. */
typedef struct nl_kernel_input {
    const nl_net *net;
    const float *theta; /* [net->size] */
    const float *probe; /* [samples x inputs] */
    int samples;
    double panel_bytes; /* memory for factors; more local samples than fit are taken in panels */
    const nl_factors *ready; /* factors of all samples, in their order, or of more; for matrices on
                                one rank; NULL: they are computed */
    const nl_chunk_gradients *gradients; /* the same of the samples' gradients */
    nl_kept_memory *kept;          /* of one fill after the other; NULL: a fill leaves nothing */
    const nl_interrupt *interrupt; /* of what takes long: it ends with NL_STOPPED where it is asked
                                      to; NULL: nobody asks */
} nl_kernel_input;

/** Do the factors of all samples fit into panel_bytes?  Then nl_kernel_fill() on one rank takes
 * them in one panel, and it is the same, bit by bit, to compute them before.  Pure. */
bool nl_kernel_one_panel(const nl_kernel_input *input, nl_precision precision);

/** The factors of all samples.  Local.
 *
 *  @param factors  NULL, or those of another state of the same network, whose place they take */
NL_MUST_CHECK nl_status nl_kernel_factors(const nl_kernel_input *input, nl_precision precision,
                                          nl_factors **factors);

/** Do the gradients of all samples fit into panel_bytes?  Pure. */
bool nl_kernel_gradients_fit(const nl_kernel_input *input, nl_precision precision);

/** Bytes of them, with what makes them; 0 where they do not fit.  Pure. */
double nl_kernel_gradients_bytes(const nl_net *net, nl_precision precision, int samples,
                                 double panel_bytes);

/** Bytes beside these that fills of one rank leave in nl_kernel_input.kept.  Pure. */
double nl_kernel_beside_bytes(const nl_net *net, nl_precision precision, int order, int samples,
                              double panel_bytes);

/** The gradients of all samples.  Fills on one rank that would make the same ones take them: full
 *  and traced kernels that are not rate-weighted, with the same bits.  Local.
 *
 *  @param gradients  NULL, or those of another state, whose place they take; NULL on failure */
NL_MUST_CHECK nl_status nl_kernel_gradients(const nl_kernel_input *input, nl_precision precision,
                                            nl_chunk_gradients **gradients);

/**
 * Fill the local part, on and below the diagonal, of a block-cyclic kernel:
 *   Theta[(i,a),(j,b)] = sum_l (s_l^2 <h_i^{l-1}, h_j^{l-1}> + t_l^2) <delta_i^{l,a},
 * delta_j^{l,b}>. No communication: every rank has parameters and probe.  Local.
 *
 * @param[in] a  order nl_kernel_order(), block a multiple of the rows a sample has; its precision
 *               is that of the computation
 */
NL_MUST_CHECK nl_status nl_kernel_fill(nl_dmat *a, nl_kernel_spec spec,
                                       const nl_kernel_input *input);

/** A tile of a kernel: local rows row .. row + rows, local columns col .. col + cols, `values`
 *  column-major without gaps, in the precision of the matrix it is laid out as.  Of the tiles over
 * a column the upper ones come first; entries above the diagonal mean nothing. */
typedef void nl_tile_fn(int row, int rows, int col, int cols, const void *values, void *context);

/** Compute a kernel as nl_kernel_fill() does, bit by bit, but hand its tiles to `take` one after
 * the other instead of storing them.  `layout` says which entries are this rank's.  Local. */
NL_MUST_CHECK nl_status nl_kernel_for_each_tile(const nl_dmat *layout, nl_kernel_spec spec,
                                                const nl_kernel_input *input, nl_tile_fn *take,
                                                void *context);

/** Opaque.  Makes rows of the Jacobian, of any network, where rows are few and parameters are too.
 */
typedef struct nl_gradient_rows nl_gradient_rows;

/**
 * @param[in] input      borrowed; all but its memory counts
 * @param[in] spec       full or class: a sample has C rows, or one
 * @param[in] samples    most that are asked for at a time
 */
NL_MUST_CHECK nl_status nl_gradient_rows_create(const nl_kernel_input *input, nl_kernel_spec spec,
                                                nl_precision precision, int samples,
                                                nl_gradient_rows **out);
void nl_gradient_rows_destroy(nl_gradient_rows **rows);

/** Rows of the samples first .. first + count of the probe, each laid out as the parameters; those
 *  of biases that are not trained are zeros.  Local.
 *
 *  @param[out] out  [count x rows of a sample x net->size] */
void nl_gradient_rows_make(nl_gradient_rows *rows, int first, int count, void *out);

/** Bytes of the object for so many samples; operations a sample. */
double nl_gradient_rows_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                              int samples);
double nl_gradient_rows_flops(const nl_net *net, nl_kernel_spec spec);

/** Centre a filled kernel on the samples: H Theta H, H = 1 - 1 1^T / N; full: each output on its
 *  own.  Collective over the matrix's grid. */
NL_MUST_CHECK nl_status nl_kernel_centre(nl_dmat *a, nl_kernel_spec spec, int outputs);

/** Theta_ij / sqrt(Theta_ii Theta_jj).  Collective over the matrix's grid. */
NL_MUST_CHECK nl_status nl_kernel_normalize(nl_dmat *a);

/*---------------------------------------------------------------------------------------------
 * Observables that need no eigenvalues
 *-------------------------------------------------------------------------------------------*/

/** What a network does on the probe: what observables need beside the kernel itself. */
typedef struct nl_probe_state {
    const nl_net *net; /* borrowed; may be gone when the state is destroyed */
    int samples, outputs, layers;
    const int *labels; /* [samples]; borrowed */
    nl_loss loss;
    double *gradient;     /* owned; [samples x outputs] of the probe's mean loss by the outputs */
    double *probability;  /* owned; [samples x outputs] softmax of the outputs */
    double *weight_trace; /* owned; [layers x outputs], nl_factors_add_layer_traces() */
    double *bias_trace;   /* owned; the same of the biases */
} nl_probe_state;

/**
 * Look at a network on the probe.  The first rank computes, in double, and tells the others: the
 * same bits on every rank.  Collective.
 *
 * @param[in] labels  [input->samples], borrowed
 */
NL_MUST_CHECK nl_status nl_probe_state_create(MPI_Comm comm, const nl_kernel_input *input,
                                              nl_loss loss, const int *labels,
                                              nl_probe_state **out);
void nl_probe_state_destroy(nl_probe_state **state);

/** Is every unit of a layer dead on the probe on which all ways from the samples to the outputs
 *  depend, or do the weights not move the outputs?  Local. */
bool nl_probe_state_collapsed(const nl_probe_state *state);

/**
 * trace_first, trace_hidden, trace_output of a kernel of this network.  Local.
 */
void nl_observe_layers(const nl_probe_state *state, nl_kernel_spec spec, nl_observables *out);

/** What a filled kernel Theta says to a check: nl_trust_deviation(). */
typedef struct nl_kernel_sums {
    double trace, frobenius2; /* nl_dmat_moments() */
    double random;            /* v^T Theta v, v the check's vector */
    double gradient;          /* full, class: g^T Theta g, g the loss's gradient by the outputs */
    double gradient2;         /* |g|^2 */
} nl_kernel_sums;

/**
 * frobenius_norm, magnitude_entropy, label_alignment and the chi columns of a filled kernel.
 * Collective over the matrix's grid; the same bits on every rank.
 *
 * @param[in]     check  (global) [n] nl_trust_vector()
 * @param[in,out] sums   trace and frobenius2 are given, the others are set
 */
NL_MUST_CHECK nl_status nl_observe_matrix(const nl_dmat *a, nl_kernel_spec spec,
                                          const nl_probe_state *state, const double *check,
                                          nl_kernel_sums *sums, nl_observables *out);

/*---------------------------------------------------------------------------------------------
 * Filled kernels are checked
 *-------------------------------------------------------------------------------------------*/

/**
 * What rounding can do to v^T Theta v, in eps: multiples of the kernel's trace and of |J^T v|^2.
 *
 * An entry is off by eps times some multiple of sqrt(Theta_ii Theta_jj); signs of v make a random
 * walk of those of n^2 entries, some eps trace.  The sum over n^2 entries rounds by another sqrt(n)
 * eps trace.
 *
 * z = W h cancels: a unit is off by sqrt(fan_in) eps of its size, by much the same for images that
 * are much alike.  That adds up along rows, and |J^T v|^2 is off by as much of itself, which may be
 * n times the trace; an average over fan_out units is off by sqrt(fan_out) less.
 *
 * An entry of a network with convolutions is one sum of products over all their weights, of each
 * output where it is traced, of which a BLAS adds some hundred at a time to what it has: with all
 * of a sign, that is off by 0.3 sqrt(products / 256) eps.
 *
 * Measured: tests/README.md.
 */
typedef struct nl_rounding {
    double trace, form;
} nl_rounding;

/** @param[in] rows  order of the matrix that is filled: of the kernel, or of its dual */
nl_rounding nl_rounding_of(const nl_net *net, nl_kernel_spec spec, double rows);

/** Opaque.  What holds a state's kernels against its Jacobian. */
typedef struct nl_trust nl_trust;

/**
 * Forward passes of its own over the probe, each rank's over its share of the samples; of a probe
 * whose Jacobian's activations do not fit into panel_bytes on the ranks, over a window of as many
 * samples as do. Collective.
 */
NL_MUST_CHECK nl_status nl_trust_create(const nl_grid *grid, const nl_kernel_input *input,
                                        nl_trust **out);
void nl_trust_destroy(nl_trust **trust);

/** Bytes that it holds on this rank. */
double nl_trust_bytes(const nl_trust *trust);

/** The same before it is made, of a kernel of so many samples.  Pure.
 *
 *  @param[in] panel_bytes  as in nl_kernel_input */
double nl_trust_most_bytes(const nl_net *net, int samples, int ranks, double panel_bytes);

/** The random vector of signs that a kernel is checked with, zero outside the window: v [order]. */
void nl_trust_vector(const nl_trust *trust, nl_kernel_spec spec, double *v);

/**
 * Is this the kernel of the state?  v^T Theta v against |J^T v|^2, traced: its mean over outputs,
 * and g^T Theta g against |J^T g|^2.  A kernel that is not finite is right where the Jacobian is
 * not, either.  Collective over the grid; the same value on every rank.
 *
 * @param[in]  gradient   (global) [samples x outputs] the loss's by the outputs
 * @param[in]  precision  of the kernel
 * @param[out] deviation  in units of what rounding can do; above 1: an error in the kernel, or in
 *                        what it was held against
 * @return NL_ERR_NOMEM, on every rank
 */
NL_MUST_CHECK nl_status nl_trust_deviation(nl_trust *trust, nl_kernel_spec spec,
                                           nl_precision precision, const nl_kernel_sums *sums,
                                           const double *gradient, double *deviation);

/**
 * identity_distance and effective_rank_outputs of a filled full kernel; others are left alone.
 * Collective over the matrix's grid; the same bits on every rank.
 *
 * @param[in] outputs     C
 * @param[in] frobenius2  nl_dmat_moments()
 */
NL_MUST_CHECK nl_status nl_observe_outputs(const nl_dmat *a, int outputs, double frobenius2,
                                           nl_observables *out);

/**
 * The curvature by which a loss limits learning rates, for a filled full kernel: of cross-entropy
 * the largest eigenvalue of H^1/2 Theta H^1/2, H = blockdiag(diag p - p p^T) of the softmax p of
 * each sample; of mse that of Theta.
 * Collective; the same bits on every rank.
 */
NL_MUST_CHECK nl_status nl_observe_curvature(const nl_dmat *a, const nl_probe_state *state,
                                             double *largest);

/** Largest stable learning rate of plain gradient descent on the probe, linearised: mse
 *  N C / largest eigenvalue of the full kernel, cross-entropy 2 N / nl_observe_curvature(). */
double nl_stability_rate(const nl_probe_state *state, double largest);

/** Where eigenvectors point, one entry each, the largest eigenvalue's first. */
typedef struct nl_directions {
    double *target_power;   /* owned; [n] C(rho): share of the centred targets in the first rho */
    double *gradient_power; /* owned; [n] |u_i^T g|^2, of all outputs that the kernel acts on */
} nl_directions;

/**
 * target_power, target_power_tenth, used_rank of a filled kernel, and what they are made of.
 * Collective over the matrix's grid.
 *
 * @param[in]  a    its content is destroyed
 * @param[out] out  free both arrays with free(); NULL on failure
 * @return NL_ERR_NUMERIC where the eigenvectors are not to be had
 */
NL_MUST_CHECK nl_status nl_observe_eigenvectors(nl_dmat *a, nl_kernel_spec spec,
                                                const nl_probe_state *state,
                                                nl_observables *observed, nl_directions *out);

/** Of n eigenvalues, descending, found in that precision, and |u_i^T g|^2.  Pure. */
double nl_used_rank(int n, const double *lambda, double eps, const double *gradient_power);

/** How two kernels A (stored) and B lie to each other: sums over all entries. */
typedef struct nl_kernel_pair {
    double aa, bb;      /* |A|_F^2, |B|_F^2 */
    double difference2; /* |A - B|_F^2 */
    double gain;        /* <A - B, A + B> = |A|^2 - |B|^2, free of cancellation */
} nl_kernel_pair;

/**
 * Compare a filled kernel with that of another state, whose tiles are computed in scratch: no
 * second matrix.  Collective over the matrix's grid; the same bits on every rank.
 */
NL_MUST_CHECK nl_status nl_kernel_compare(const nl_dmat *a, nl_kernel_spec spec,
                                          const nl_kernel_input *other, nl_kernel_pair *out);

/** Entries of a kernel as nl_dmat_pack() would have them.  Local. */
NL_MUST_CHECK nl_status nl_kernel_pack(const nl_dmat *layout, nl_kernel_spec spec,
                                       const nl_kernel_input *input, void *packed);

/** Compare a filled kernel with a packed one: the same bits as nl_kernel_compare(). */
NL_MUST_CHECK nl_status nl_kernel_compare_packed(const nl_dmat *a, const void *packed,
                                                 nl_kernel_pair *out);

/** |A - B|_F / |B|_F. */
double nl_kernel_pair_change(const nl_kernel_pair *pair);

/** 1 - <A, B> / (|A| |B|), from the difference, so that small distances keep their digits. */
double nl_kernel_pair_distance(const nl_kernel_pair *pair);

/*---------------------------------------------------------------------------------------------
 * Infinite width
 *-------------------------------------------------------------------------------------------*/

/** What is asked for.  z is the network's output f. */
typedef enum nl_infinite_kind {
    NL_INFINITE_NNGP, /* covariance of f(x) and f(x') over draws: the Gaussian process */
    NL_INFINITE_NTK,  /* mean of Theta */
} nl_infinite_kind;

/** At which width. */
typedef enum nl_infinite_scale {
    NL_INFINITE_AT_WIDTH, /* what Theta of networks of the given width is, but for corrections that
                             vanish as 1/width against it */
    NL_INFINITE_LIMIT,    /* ntk: the same; standard, whose Theta grows with the width: Theta/width;
                             mup: NL_ERR_ARG */
} nl_infinite_scale;

/** Opaque.  The closed-form kernel of an MLP on some samples. */
typedef struct nl_infinite nl_infinite;

/** Is there a closed form for networks of this kind?  (MLPs of relu, erf, gelu) */
bool nl_infinite_is_known(const nl_net_spec *spec);

/** Do these networks have the same limit of infinite width? */
bool nl_infinite_same_limit(const nl_net_spec *a, const nl_net_spec *b);

/**
 * Kernels of wide networks as they are drawn, any depth (Neal 1996; Lee et al. 2018; Jacot et al.
 * 2018; relu: Cho & Saul 2009; erf: Williams 1997; gelu: Tsuchida et al. 2021).  With q^0 =
 * <x,x'>/d, q^l = E[phi(z_l) phi(z'_l)] and g^l = E[phi'(z_l) phi'(z'_l)], (z_l, z'_l) normal with
 * covariance K^l, K^l = sw2 q^{l-1} + sb2;   Theta^1 = A^1,   Theta^{l+1} = A^{l+1} + sw2 g^l
 * Theta^l. A^l is what layer l's own parameters add, s_l^2 <h^{l-1},h'^{l-1}> + t_l^2: ntk: A^l =
 * K^l standard:  A^1 = <x,x'> + 1,  A^l = width q^{l-1} + 1;  the limit of Theta/width: 0 and
 * q^{l-1} mup at a width likewise, from its multipliers and variances: at width = base_width as
 * standard. One output; outputs are independent, so the full kernel is this one times the identity.
 * Numbers are those of double; near duplicates, at an angle a, g has an error of 1e-16/a.
 *
 * @param[in]  net            shapes, multipliers and variances; not its parameters
 * @param[in]  rate_weighted  as in nl_kernel_spec
 * @param[in]  x              [samples x inputs], copied
 * @param[out] out            NL_ERR_ARG where no closed form is known
 */
NL_MUST_CHECK nl_status nl_infinite_create(const nl_net *net, nl_infinite_scale scale,
                                           bool rate_weighted, int samples, const float *x,
                                           nl_infinite **out);
void nl_infinite_destroy(nl_infinite **infinite);

/** Samples of the rows and columns of a block.  Borrowed. */
typedef struct nl_sample_pairs {
    int m, n;
    const int *rows; /* [m] */
    const int *cols; /* [n] */
} nl_sample_pairs;

/**
 * Entries of samples rows x cols.  The diagonal is exact, (i, j) and (j, i) agree to rounding.
 * Uses scratch of the object: one caller at a time.
 *
 * @param[out] out  [m x n], column-major, leading dimension ld >= m
 */
void nl_infinite_block(nl_infinite *infinite, nl_infinite_kind kind, const nl_sample_pairs *pairs,
                       double *out, int ld);

/** Fill the local part, on and below the diagonal, of a block-cyclic matrix in double whose order
 *  is the number of samples.  Local. */
NL_MUST_CHECK nl_status nl_infinite_fill(nl_dmat *a, nl_infinite *infinite, nl_infinite_kind kind);

/**
 * |A - K|_F / |K|_F of a filled kernel A and the closed form K of its network; between different
 * outputs K is zero.  Up to 4096 samples K is computed once and kept, beyond that tile by tile each
 * time.  Collective over the matrix's grid; the same bits on every rank.
 *
 * @param[in] rows_per_sample  outputs: full; 1: traced, class
 * @param[in] frobenius2       |A|_F^2, nl_dmat_moments()
 */
NL_MUST_CHECK nl_status nl_infinite_distance(const nl_dmat *a, int rows_per_sample,
                                             double frobenius2, nl_infinite *infinite,
                                             double *distance);

/** Bytes of such an object once distances were asked of it. */
double nl_infinite_bytes(int samples, int inputs);

/*---------------------------------------------------------------------------------------------
 * Kernel regression
 *-------------------------------------------------------------------------------------------*/

/** How well a kernel alone predicts; NaN where its matrix is not positive definite. */
typedef struct nl_regression {
    double test_loss;      /* mean over test samples and classes of (f - onehot)^2 */
    double test_accuracy;  /* share of argmax hits, the first of equal maxima */
    double kare;           /* of test_loss, from the training samples alone */
    double predicted_loss; /* of test_loss, from the spectrum and the labels of all samples */
    double learnability;   /* of the targets, 0 to 1 */
} nl_regression;

/** What is to be predicted from what.  Samples: those of training, then those of test. */
typedef struct nl_regression_task {
    int train, test, outputs;
    const int *labels; /* [train + test]; borrowed */
    double ridge;      /* in mean diagonal entries of the kernel of the training samples */
} nl_regression_task;

/** Nothing is known yet. */
nl_regression nl_regression_unknown(void);

/**
 * Kernel ridge regression on centred one-hot targets, y = onehot - 1/C, one kernel for all outputs:
 *   alpha = (K + ridge tr(K)/n I)^-1 y,   f = K_test,train alpha + 1/C
 * (Lee et al. 2020, "Finite versus infinite neural networks": the ridge relative to the mean
 * diagonal, so that it means the same at any scale of the kernel).  With it the kernel alignment
 * risk estimator, n |alpha|^2 / (C tr^2 (K + ridge tr(K)/n I)^-1) (Jacot et al. 2020, definition
 * 1).  Cholesky; sets test_loss, test_accuracy and kare; Local.
 *
 * @param[in,out] kernel  column-major [train + test rows x train columns], leading dimension ld;
 *                        of the train rows only those on and below the diagonal; destroyed
 */
NL_MUST_CHECK nl_status nl_kernel_regression(const nl_regression_task *task, double *kernel, int ld,
                                             nl_regression *out);

/**
 * What eigenlearning (Simon et al. 2021) expects of that regression, were its n = train samples
 * drawn at random from the M = train + test: with the eigenvalues lambda_i / M of the kernel of
 * all, the ridge delta and kappa > 0 of
 *   n = sum L_i + delta / kappa,   L_i = lambda_i / (lambda_i + M kappa)   (their learnabilities),
 * the mse over all M is E = n / (n - sum L_i^2) sum (1 - L_i)^2 |u_i^T y|^2 / (M C), and that over
 * the n is (delta / (n kappa))^2 E: what is left, over the samples not drawn, is predicted_loss.
 * learnability is sum L_i |u_i^T y|^2 / |y|^2.  No eigenvectors: both sums over y are solves with
 * K + M kappa I.  Sets predicted_loss and learnability; Local.
 *
 * @param[in]     lambda  [M], eigenvalues of the kernel
 * @param[in,out] kernel  [M x M] column-major, on and below the diagonal; destroyed
 */
NL_MUST_CHECK nl_status nl_eigenlearning(const nl_regression_task *task, const double *lambda,
                                         double *kernel, nl_regression *out);

#endif
