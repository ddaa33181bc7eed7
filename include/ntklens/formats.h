/**
 * @file formats.h  Code that is written once for both floating-point formats: includes TEMPLATE for
 * double and for float, where
 *
 *   real        is the format,
 *   NAME(name)  is name_double, name_single,
 *   BLAS(name)  is dname_, sname_, the routine of BLAS or LAPACK.
 *
 * TEMPLATE is a file of the includer's room, in quotes, from src/ on.  No guard: a file may have
 * several.
 */
#define real       double
#define NAME(name) name##_double
#define BLAS(name) d##name##_
#include TEMPLATE
#undef real
#undef NAME
#undef BLAS

#define real       float
#define NAME(name) name##_single
#define BLAS(name) s##name##_
#include TEMPLATE
#undef real
#undef NAME
#undef BLAS
#undef TEMPLATE
