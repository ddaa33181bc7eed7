/** @file quadrature_repeats.c  Repeats of a quadrature of a spectrum that is known, each with start
 * vectors and probes of its own: a line a repeat, error of S, stated half width, products, error of
 * the participation ratio.  Usage: quadrature_repeats FILE REPEATS WANTED; FILE: doubles.
 *
 * The operator is diagonal.  Gaussian start vectors and probes on a sphere have no direction of
 * their own, so that an operator with these eigenvalues and any eigenvectors gives errors of the
 * same law.  Its products are rounded to single precision, as those of kernels are.
 */
#include "ntklens/quadrature.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct spectrum {
    int n;
    double *lambda;
} spectrum;

static nl_status apply(int columns, const double *x, double *y, void *context)
{
    const spectrum *s = context;

    for (int c = 0; c < columns; c++) {
        for (int i = 0; i < s->n; i++) {
            const size_t at = (size_t)c * (size_t)s->n + (size_t)i;

            y[at] = (double)(float)(s->lambda[i] * (double)(float)x[at]);
        }
    }
    return NL_OK;
}

static bool read_spectrum(const char *path, spectrum *s)
{
    FILE *file = fopen(path, "rb");
    long bytes = 0;
    bool good = file != NULL && fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) > 0;

    if (good) {
        s->n = (int)((size_t)bytes / sizeof *s->lambda);
        s->lambda = malloc((size_t)bytes);
        rewind(file);
        good = s->lambda != NULL &&
               fread(s->lambda, sizeof *s->lambda, (size_t)s->n, file) == (size_t)s->n;
    }
    if (file != NULL) {
        fclose(file);
    }
    return good;
}

static void repeat(spectrum *s, int repeats, double wanted)
{
    double trace = 0.0;
    double squares = 0.0;
    double entropy = 0.0;

    for (int i = s->n - 1; i >= 0; i--) {
        s->lambda[i] = fmax(s->lambda[i], 0.0); /* rounding below zero */
        trace += s->lambda[i];
        squares += s->lambda[i] * s->lambda[i];
    }
    for (int i = s->n - 1; i >= 0; i--) {
        entropy -= s->lambda[i] > 0.0 ? s->lambda[i] / trace * log(s->lambda[i] / trace) : 0.0;
    }
    for (int k = 0; k < repeats; k++) {
        const nl_quadrature_request request = {.comm = MPI_COMM_WORLD,
                                               .n = s->n,
                                               .trace = trace,
                                               .frobenius2 = NAN,
                                               .wanted = wanted,
                                               .seed = (uint32_t)k,
                                               .apply = apply,
                                               .context = s};
        nl_quadrature q;

        if (nl_quadrature_compute(&request, &q) != NL_OK) {
            exit(EXIT_FAILURE);
        }
        printf("%.9g %.9g %d %.9g %.9g\n", q.entropy - entropy, q.entropy_error, q.products,
               q.participation_ratio * squares / (trace * trace) - 1.0, entropy);
    }
}

int main(int argc, char **argv)
{
    spectrum s = {0};
    bool good = false;

    MPI_Init(&argc, &argv);
    good = argc == 4 && read_spectrum(argv[1], &s);
    if (good) {
        repeat(&s, atoi(argv[2]), log1p(atof(argv[3])));
    }
    free(s.lambda);
    MPI_Finalize();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
