/** @file cpu.c  Which BLAS kernels this CPU deserves.
 *
 * OpenBLAS picks kernels by the model of the CPU.  A model newer than itself gets those of 2005
 * ("Prescott"): a fifth of the speed. */
#include "ntklens/linalg.h"

#include <string.h>
#include <strings.h>

const char *nl_vectors_name(nl_vectors vectors)
{
    static const char *const names[] = {
        [NL_VECTORS_UNKNOWN] = "unknown", [NL_VECTORS_SSE] = "SSE",        [NL_VECTORS_AVX] = "AVX",
        [NL_VECTORS_AVX2] = "AVX2",       [NL_VECTORS_AVX512] = "AVX-512",
    };

    return names[vectors];
}

nl_cpu nl_cpu_here(void)
{
    nl_cpu cpu = {.vectors = NL_VECTORS_UNKNOWN};

#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    cpu.amd = __builtin_cpu_is("amd") != 0;
    cpu.vectors = NL_VECTORS_SSE;
    if (__builtin_cpu_supports("avx")) {
        cpu.vectors = NL_VECTORS_AVX;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        cpu.vectors = NL_VECTORS_AVX2;
    }
    if (cpu.vectors == NL_VECTORS_AVX2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        cpu.vectors = NL_VECTORS_AVX512;
    }
#endif
    return cpu;
}

/* What the kernels of that name use; UNKNOWN: not of x86, or not known here. */
static nl_vectors vectors_of(const char *kernel)
{
    static const struct {
        const char *name;
        nl_vectors vectors;
    } kernels[] = {
        {"Katmai", NL_VECTORS_SSE},        {"Coppermine", NL_VECTORS_SSE},
        {"Northwood", NL_VECTORS_SSE},     {"Prescott", NL_VECTORS_SSE},
        {"Banias", NL_VECTORS_SSE},        {"Core2", NL_VECTORS_SSE},
        {"Penryn", NL_VECTORS_SSE},        {"Dunnington", NL_VECTORS_SSE},
        {"Nehalem", NL_VECTORS_SSE},       {"Atom", NL_VECTORS_SSE},
        {"Athlon", NL_VECTORS_SSE},        {"Opteron", NL_VECTORS_SSE},
        {"Opteron_SSE3", NL_VECTORS_SSE},  {"Barcelona", NL_VECTORS_SSE},
        {"Bobcat", NL_VECTORS_SSE},        {"Nano", NL_VECTORS_SSE},
        {"Sandybridge", NL_VECTORS_AVX},   {"Bulldozer", NL_VECTORS_AVX},
        {"Piledriver", NL_VECTORS_AVX},    {"Steamroller", NL_VECTORS_AVX},
        {"Excavator", NL_VECTORS_AVX2},    {"Haswell", NL_VECTORS_AVX2},
        {"Zen", NL_VECTORS_AVX2},          {"SkylakeX", NL_VECTORS_AVX512},
        {"Cooperlake", NL_VECTORS_AVX512}, {"SapphireRapids", NL_VECTORS_AVX512},
    };

    for (size_t k = 0; k < NL_COUNT(kernels); k++) {
        if (strcasecmp(kernels[k].name, kernel) == 0) {
            return kernels[k].vectors;
        }
    }
    return NL_VECTORS_UNKNOWN;
}

nl_vectors nl_vectors_in_use(void)
{
    const nl_vectors had = nl_cpu_here().vectors;
    const nl_vectors used = vectors_of(nl_blas_kernel());

    return used != NL_VECTORS_UNKNOWN && used < had ? used : had;
}

int nl_vector_bytes(void)
{
    const nl_vectors vectors = nl_vectors_in_use();

    return vectors >= NL_VECTORS_AVX512 ? 64 : vectors >= NL_VECTORS_AVX2 ? 32 : 16;
}

const char *nl_blas_better_kernel(nl_cpu cpu, const char *kernel)
{
    const nl_vectors used = vectors_of(kernel);

    if (used == NL_VECTORS_UNKNOWN || used >= cpu.vectors) {
        return NULL;
    }
    switch (cpu.vectors) {
    case NL_VECTORS_AVX512:
        return "SkylakeX"; /* the first with AVX-512: in every OpenBLAS that has any */
    case NL_VECTORS_AVX2:
        return cpu.amd ? "Zen" : "Haswell";
    default:
        return "Sandybridge";
    }
}
