/** @file bench.h  What the benchmark programs share: options and times. */
#ifndef NTKLENS_TESTS_BENCH_H
#define NTKLENS_TESTS_BENCH_H

#include "ntklens/linalg.h"

#include <stdlib.h>
#include <string.h>

/** Value behind --name on the command line, or `otherwise`. */
static inline const char *bench_option(int argc, char **argv, const char *name,
                                       const char *otherwise)
{
    for (int k = 1; k + 1 < argc; k++) {
        if (strncmp(argv[k], "--", 2) == 0 && strcmp(argv[k] + 2, name) == 0) {
            return argv[k + 1];
        }
    }
    return otherwise;
}

static inline int bench_number(int argc, char **argv, const char *name, int otherwise)
{
    const char *text = bench_option(argc, argv, name, NULL);

    return text != NULL ? (int)strtol(text, NULL, 10) : otherwise;
}

enum { bench_most_repeats = 1000 };

/** --repeats, within bounds. */
static inline int bench_repeats(int argc, char **argv, int otherwise)
{
    const int wanted = bench_number(argc, argv, "repeats", otherwise);

    return wanted < 1 ? 1 : wanted < bench_most_repeats ? wanted : bench_most_repeats;
}

static inline nl_precision bench_precision(int argc, char **argv)
{
    return strcmp(bench_option(argc, argv, "precision", "double"), "single") == 0 ? NL_SINGLE
                                                                                  : NL_DOUBLE;
}

static inline const char *bench_precision_name(nl_precision precision)
{
    return precision == NL_SINGLE ? "single" : "double";
}

/** End the program when something failed: a benchmark has nothing to clean up. */
static inline void bench_check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

/** Times that a piece of work took; the best is what noise of the machine disturbs least. */
static inline double bench_best(int count, const double *seconds)
{
    double best = seconds[0];

    for (int k = 1; k < count; k++) {
        best = seconds[k] < best ? seconds[k] : best;
    }
    return best;
}

#endif
