/** @file expect.h  Assertions that every rank of a team takes together: the verdict is reduced,
 * never the error. */
#ifndef NTKLENS_TESTS_EXPECT_H
#define NTKLENS_TESTS_EXPECT_H

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Fails on all ranks if the condition is false on one.  Collective over comm. */
#define expect_all(comm, condition)                                                                \
    do {                                                                                           \
        int here_ = (condition) ? 1 : 0;                                                           \
        int everywhere_ = 0;                                                                       \
        MPI_Allreduce(&here_, &everywhere_, 1, MPI_INT, MPI_MIN, (comm));                          \
        if (!here_) {                                                                              \
            print_error("here: %s\n", #condition);                                                 \
        }                                                                                          \
        assert_true(everywhere_);                                                                  \
    } while (0)

#endif
