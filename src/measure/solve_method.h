/** @file solve_method.h  What the methods by which eigenvalues are found differ in for a plan. */
#ifndef NTKLENS_MEASURE_SOLVE_METHOD_H
#define NTKLENS_MEASURE_SOLVE_METHOD_H

#include "ntklens/measure.h"

/** Can a kernel be solved by this method?  A traced one asked for by its dual is solved as it is.
 *  Pure. */
bool nl_solve_method_known(nl_method method, const nl_solve_request *request,
                           const nl_measure_plan *measure, int kernel, const nl_solve_room *room);

/** Floating-point operations of all eigenvalues of a matrix. */
double nl_solve_operations(int order);

/** Orders, operations and what is held beside the matrix, by plan->method.  Pure. */
void nl_solve_method_size(nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                          const nl_solve_room *room);

/** Block of at least `wanted` rows.  Pure. */
int nl_solve_method_block(const nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                          const nl_solve_room *room, int wanted);

#endif
