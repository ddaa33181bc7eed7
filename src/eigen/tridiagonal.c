/** @file tridiagonal.c  A symmetric band matrix to a tridiagonal one with the same eigenvalues, and
 * these.
 *
 * The second stage of two (Bischof, Lang, Sun 2000): sweep after sweep clears a column and chases
 * what that adds to the band off its end.  LAPACK's dsytrd_sb2st does the same by a call of BLAS
 * for each vector of 32 to 64 elements and takes about four times as long, which at n = 1500 was a
 * third of the whole solve.
 *
 * Eigenvalues by bisection, many at a time in vectors: dsterf's chain of dependent divisions takes
 * five times as long in double, more in single precision.
 *
 * Vectors are as wide as those of the BLAS kernel in use, on which bits depend anyway: compilers
 * that are given wider ones than the CPU has keep them in memory, at a tenth of the speed. */
#include "tridiagonal.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Into what has a TARGET.  clang refuses wide vectors as arguments of what has none of its own. */
#ifdef __clang__
#define INLINE TARGET static inline __attribute__((always_inline))
#else
#define INLINE static inline __attribute__((always_inline))
#endif

enum {
    longest = nl_wide_band / (int)sizeof(float),
    columns_at_once = 4,
    sweeps_at_once = 8,
    grid_levels = 4,
    grid_points = 4 * 480,
    wide_from = 3000, /* order */
    wide_from_single = 5000
};

/* Each format, in vectors of each width: what a name is made of. */
#define JOIN(name, format, bytes)    name##_##format##_##bytes
#define NAME_OF(name, format, bytes) JOIN(name, format, bytes)
#define NAME(name)                   NAME_OF(name, real, vector_bytes)

#define real             double
#define integer          int64_t
#define unsigned_integer uint64_t
#include "vector_widths.h"
#undef real
#undef integer
#undef unsigned_integer

#define real             float
#define integer          int32_t
#define unsigned_integer uint32_t
#include "vector_widths.h"
#undef real
#undef integer
#undef unsigned_integer

typedef void reduce_band(int n, int b, void *band, void *diagonal, void *off_diagonal);
typedef void find_eigenvalues(int n, void *diagonal, void *off_diagonal, void *ascending);

/** By precision. */
typedef struct band_code {
    reduce_band *reduce[2];
    find_eigenvalues *eigenvalues[2];
} band_code;

#define CODE(bytes)                                                                                \
    {                                                                                              \
        .reduce = {[NL_DOUBLE] = reduce_double_##bytes, [NL_SINGLE] = reduce_float_##bytes},       \
        .eigenvalues = {                                                                           \
            [NL_DOUBLE] = eigenvalues_double_##bytes,                                              \
            [NL_SINGLE] = eigenvalues_float_##bytes                                                \
        }                                                                                          \
    }

static band_code code_for(nl_vectors vectors)
{
    static const band_code narrowest = CODE(16);
#ifdef VECTOR_TARGETS
    static const band_code avx2 = CODE(32);
    static const band_code avx512 = CODE(64);

    if (vectors >= NL_VECTORS_AVX2) {
        return vectors >= NL_VECTORS_AVX512 ? avx512 : avx2;
    }
#endif
    (void)vectors;
    return narrowest;
}

int nl_band_width(int n, nl_precision precision)
{
    const int from = precision == NL_DOUBLE ? wide_from : wide_from_single;

    return (n >= from ? nl_wide_band : nl_narrow_band) / (int)nl_precision_bytes(precision);
}

void nl_band_to_tridiagonal(nl_vectors vectors, int n, int b, nl_precision precision, void *band,
                            void *diagonal, void *off_diagonal)
{
    code_for(vectors).reduce[precision](n, b, band, diagonal, off_diagonal);
}

void nl_tridiagonal_eigenvalues(nl_vectors vectors, int n, nl_precision precision, void *diagonal,
                                void *off_diagonal, void *ascending)
{
    code_for(vectors).eigenvalues[precision](n, diagonal, off_diagonal, ascending);
}
