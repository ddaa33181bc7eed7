/** @file loss.c  Losses and their gradients: float logits, sums in double. */
#include "ntklens/nn.h"

#include <math.h>

static double largest(int outputs, const float *logits)
{
    double most = logits[0];

    for (int a = 1; a < outputs; a++) {
        most = logits[a] > most ? logits[a] : most;
    }
    return most;
}

/* Shifted by the largest logit, so that no exponential overflows. */
static double cross_entropy(int outputs, const float *logits, int label)
{
    const double most = largest(outputs, logits);
    double sum = 0.0;

    for (int a = 0; a < outputs; a++) {
        sum += exp(logits[a] - most);
    }
    return log(sum) + (most - logits[label]);
}

static double squared_error(int outputs, const float *logits, int label)
{
    double sum = 0.0;

    for (int a = 0; a < outputs; a++) {
        double error = logits[a] - (a == label ? 1.0 : 0.0);

        sum += error * error;
    }
    return sum / outputs;
}

static bool hits(int outputs, const float *logits, int label)
{
    int best = 0;

    for (int a = 0; a < outputs; a++) {
        if (isnan(logits[a])) {
            return false;
        }
        best = logits[a] > logits[best] ? a : best;
    }
    return best == label;
}

void nl_loss_add(nl_loss loss, int rows, int outputs, const float *logits, const int *labels,
                 nl_loss_sum *sum)
{
    for (int i = 0; i < rows; i++) {
        const float *row = logits + (size_t)i * (size_t)outputs;

        sum->loss += loss == NL_MSE ? squared_error(outputs, row, labels[i])
                                    : cross_entropy(outputs, row, labels[i]);
        sum->correct += hits(outputs, row, labels[i]);
    }
}

/* gradient = (softmax - onehot) / rows; returns the loss of the sample. */
static double cross_entropy_gradient(int rows, int outputs, const float *logits, int label,
                                     float *gradient)
{
    const double most = largest(outputs, logits);
    double sum = 0.0;
    double others = 0.0;

    for (int a = 0; a < outputs; a++) {
        double weight = exp(logits[a] - most);

        gradient[a] = (float)weight;
        sum += weight;
    }
    for (int a = 0; a < outputs; a++) {
        double probability = gradient[a] / sum;

        others += a != label ? probability : 0.0;
        gradient[a] = (float)(probability / rows);
    }
    gradient[label] = (float)(-others / rows); /* p - 1 would cancel where the fit is good */
    return log(sum) + (most - logits[label]);
}

static double squared_error_gradient(int rows, int outputs, const float *logits, int label,
                                     float *gradient)
{
    const double scale = 2.0 / ((double)rows * outputs);

    for (int a = 0; a < outputs; a++) {
        gradient[a] = (float)(scale * (logits[a] - (a == label ? 1.0 : 0.0)));
    }
    return squared_error(outputs, logits, label);
}

double nl_loss_gradient(nl_loss loss, int rows, int outputs, const float *logits, const int *labels,
                        float *gradient)
{
    double sum = 0.0;

    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)outputs;

        sum += loss == NL_MSE
                   ? squared_error_gradient(rows, outputs, logits + at, labels[i], gradient + at)
                   : cross_entropy_gradient(rows, outputs, logits + at, labels[i], gradient + at);
    }
    return sum / rows;
}

/* Shifted by the largest logit; may work in place. */
static void softmax(int outputs, const double *logits, double *probability)
{
    double most = logits[0];
    double sum = 0.0;

    for (int a = 1; a < outputs; a++) {
        most = logits[a] > most ? logits[a] : most;
    }
    for (int a = 0; a < outputs; a++) {
        probability[a] = exp(logits[a] - most);
        sum += probability[a];
    }
    for (int a = 0; a < outputs; a++) {
        probability[a] /= sum;
    }
}

/* (p - onehot) / rows, without cancellation where the fit is good */
static void exact_cross_entropy(int rows, int outputs, const double *probability, int label,
                                double *gradient)
{
    double others = 0.0;

    for (int a = 0; a < outputs; a++) {
        others += a != label ? probability[a] : 0.0;
        gradient[a] = probability[a] / rows;
    }
    gradient[label] = -others / rows;
}

void nl_loss_gradient_exact(nl_loss loss, int rows, int outputs, const int *labels,
                            double *probability, double *gradient)
{
    const double scale = 2.0 / ((double)rows * outputs);

    for (int i = 0; i < rows; i++) {
        const size_t at = (size_t)i * (size_t)outputs;

        for (int a = 0; a < outputs; a++) {
            gradient[at + (size_t)a] =
                scale * (probability[at + (size_t)a] - (a == labels[i] ? 1.0 : 0.0));
        }
        softmax(outputs, probability + at, probability + at);
        if (loss != NL_MSE) {
            exact_cross_entropy(rows, outputs, probability + at, labels[i], gradient + at);
        }
    }
}
