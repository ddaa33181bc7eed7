/** @file observables.h  The observables of a kernel, and those that its spectrum gives.  No MPI. */
#ifndef NTKLENS_OBSERVABLES_H
#define NTKLENS_OBSERVABLES_H

#include <math.h>
#include <stdbool.h>

/**
 * Observables behind those of the contract, in the order of their columns: X(name, meaning).  Each
 * is a member of nl_observables, a dataset of the cell's file and a column of results.csv.
 *
 * Theta is the kernel, n its order, N the probe's samples, C the classes, g the gradient of the
 * mean loss over the probe by the outputs [NC]; where the kernel is N x N, Theta stands in the
 * chi columns for traced x identity [NC x NC], and for class<a> g is that of output a alone.
 */
#define NL_OBSERVED(X)                                                                             \
    /* of the matrix: no eigensolve */                                                             \
    X(frobenius_norm, "|Theta|_F")                                                                 \
    X(magnitude_entropy, "-sum q_i ln q_i of the gradients' magnitudes, q_i = sqrt(Theta_ii) / "   \
                         "sum_j sqrt(Theta_jj); nats (Tovey et al. 2023)")                         \
    X(trace_first, "part of trace that the first layer's parameters give (this program)")          \
    X(trace_hidden, "the same of the layers between; trace = first + hidden + output")             \
    X(trace_output, "the same of the output layer")                                                \
    X(kernel_change,                                                                               \
      "|Theta_t - Theta_0|_F / |Theta_0|_F; Theta_0 of the initial parameters (Lee et al. 2019)")  \
    X(kernel_distance, "1 - <Theta_t, Theta_0> / (|Theta_t| |Theta_0|) (Fort et al. 2020)")        \
    X(kernel_velocity, "kernel distance between Theta_t and Theta_s over t - s (Fort et al. "      \
                       "2020), s the last step before t of 0 and the log grid; nan at init and "   \
                       "where a best state is on no schedule")                                     \
    X(infinite_distance,                                                                           \
      "|Theta - Theta_inf|_F / |Theta_inf|_F, Theta_inf the closed form of the "                   \
      "mean kernel of such networks as they are drawn, to leading order in "                       \
      "1/width; mlp with relu, erf or gelu, else nan: of cnn and resnet it is not computed, for "  \
      "it "                                                                                        \
      "takes all pairs of positions of two images (this program)")                                 \
    X(label_alignment, "centred alignment with the labels, <H Theta H, T> / (|H Theta H|_F "       \
                       "|T|_F), T of centred one-hot targets Y: N x N: Y Y^T; full: y y^T, y = "   \
                       "vec Y, H centres each output (Cortes et al. 2012; Kornblith et al. 2019)") \
    X(chi_net, "tr(Theta) / (NC); chi_net chi_loss chi_coup = g^T Theta g, by which gradient "     \
               "flow on the probe lowers its loss (this program)")                                 \
    X(chi_loss, "NC |g|^2, g the gradient of the probe's mean loss by the outputs")                \
    X(chi_coup, "g^T Theta g / (tr(Theta) |g|^2)")                                                 \
    X(stability_rate,                                                                              \
      "full: largest stable learning rate of plain gradient descent on the probe "                 \
      "linearised here: mse N C / lambda_max(Theta); cross-entropy 2 N / "                         \
      "lambda_max(H^1/2 Theta H^1/2), H = blockdiag(diag p - p p^T); of the "                      \
      "training kernel with probe_from: train (Lewkowycz et al. 2020, Cohen et al. 2021)")         \
    /* of the eigenvalues */                                                                       \
    X(entropy_density, "S / ln n (this program)")                                                  \
    X(lambda_max_over_n, "lambda_1 / n")                                                           \
    X(stable_rank,                                                                                 \
      "tr(Theta) / lambda_1, the stable rank of the Jacobian (Rudelson & Vershynin 2007)")         \
    X(trace_ratio,                                                                                 \
      "T_k: share of the first k = C eigenvalues in their sum (in PCA: explained variance)")       \
    X(trace_ratio_1, "T_1: share of the first")                                                    \
    X(spectral_exponent, "alpha of lambda_i ~ i^-(1+alpha): least squares of ln lambda_i on ln i " \
                         "over i = max(2, n/50) .. n/4 (Bahri et al. 2021), as far as "            \
                         "lambda_i > n eps lambda_1; nan below 5 points")                          \
    X(spectral_exponent_from, "first i of that fit")                                               \
    X(spectral_exponent_to, "last i of that fit")                                                  \
    X(condition_number,                                                                            \
      "lambda_1 over the smallest eigenvalue above n eps lambda_1 (this program)")                 \
    X(numerical_rank,                                                                              \
      "number of eigenvalues above n eps lambda_1 (the cut of numpy's matrix_rank)")               \
    /* of the eigenvalues of related kernels */                                                    \
    X(effective_rank_centred,                                                                      \
      "effective rank of H Theta H, H = 1 - 1 1^T / N on the samples (this program)")              \
    X(effective_rank_cosine,                                                                       \
      "effective rank of Theta_ij / sqrt(Theta_ii Theta_jj) (this program)")                       \
    X(effective_rank_half, "effective rank on the first N/2 samples of the probe: never compare "  \
                           "ranks of different n (this program)")                                  \
    X(effective_rank_quarter, "effective rank on the first N/4 samples (this program)")            \
    /* of the eigenvectors */                                                                      \
    X(target_power, "C(rho) = sum_{i <= rho} |u_i^T Y|^2 / |Y|^2 of the centred targets at "       \
                    "rho = C (Canatar et al. 2021)")                                               \
    X(target_power_tenth, "C(rho) at rho = n/10, rounded up")                                      \
    X(used_rank, "exp of the entropy of p_i ~ lambda_i (u_i^T g)^2, eigenvalues that agree to "    \
                 "n eps lambda_1 taken together: directions by which gradient flow lowers the "    \
                 "loss (this program)")                                                            \
    /* of the matrix: how the outputs' gradients hang together */                                  \
    X(identity_distance, "full: D_I = |Theta - Theta_traced x I_C|_F / |Theta|_F; 0: outputs "     \
                         "move independently and alike (Mohamadi, Bae & Sutherland 2022)")         \
    X(effective_rank_outputs,                                                                      \
      "full: effective rank, 1 to C, of the C x C matrix B_ab = (1/N) sum_i "                      \
      "Theta[(i,a),(i,b)] (Mohamadi, Bae & Sutherland 2022)")                                      \
    /* where in the spectrum the loss gradient lies */                                             \
    X(spectral_position, "n chi_coup, n = NC where g is that of all outputs: g^T Theta g / |g|^2 " \
                         "in mean eigenvalues; on the probe: of training images with probe_from: " \
                         "train; its minimum over training is the spectral reach (Nikolaou et "    \
                         "al. 2026b)")                                                             \
    X(spectral_index, "index i, counted from 1 and interpolated in ln lambda, with lambda_i = "    \
                      "g^T Theta g / |g|^2 (this program)")                                        \
    /* of the eigenvalues: ranks that converge as the probe grows */                               \
    X(effective_dimension, "tr Theta (Theta + z)^-1 at z = 1 mean eigenvalue (Zhang 2005)")        \
    X(effective_dimension_tenth, "the same at z = 0.1 mean eigenvalues")                           \
    X(effective_dimension_hundredth, "the same at z = 0.01 mean eigenvalues")

/** Of one kernel.  p_i = lambda_i / sum lambda; NaN where not computed or without an answer. */
typedef struct nl_observables {
    double trace;               /* (1/n) sum lambda */
    double entropy;             /* S = -sum p ln p, nats */
    double effective_rank;      /* exp(S); Roy & Vetterli, EUSIPCO 2007 */
    double participation_ratio; /* (sum lambda)^2 / sum lambda^2 */
    double lambda_max, lambda_min;
#define NL_MEMBER(name, meaning) double name;
    NL_OBSERVED(NL_MEMBER)
#undef NL_MEMBER
    bool negative; /* an eigenvalue below -n eps lambda_max: more than rounding */
} nl_observables;

/** Nothing is known yet: NaN everywhere. */
nl_observables nl_observables_unknown(void);

/**
 * What a spectrum lambda_1 >= ... >= lambda_n says; other members are left as they are.  Negative
 * eigenvalues count as zero; beyond rounding they also set `negative`.  A spectrum with a NaN, or
 * without a positive eigenvalue, has NaN where there is no answer.  Pure.
 *
 * @param[in] leading  k of trace_ratio
 */
void nl_observe_spectrum(int n, const double *descending, int leading, double eps,
                         nl_observables *out);

/** spectral_exponent of a spectrum of n eigenvalues of which only some places are known, those
 *  between by a power law: rank [points] rising, from 1, value [points] descending, positive. Pure.
 */
void nl_observe_rank_curve(int n, int points, const double *rank, const double *value,
                           nl_observables *out);

/** nl_observe_spectrum() into fresh observables, with k = 1.  Pure. */
nl_observables nl_observe(int n, const double *descending, double eps);

#endif
