/** @file convolution_widths.h  The code of one floating-point format for each width of vectors;
 *  included once per format by convolution.c. */
#if defined(__x86_64__) && defined(__GNUC__)
#define VECTOR_TARGETS
#endif

#define vector_bytes 16
#define TARGET
#include "convolution_real.h"
#include "convolution_tiles_real.h"
#undef vector_bytes
#undef TARGET

#ifdef VECTOR_TARGETS
#define vector_bytes 32
#define TARGET       __attribute__((target("avx2,fma")))
#include "convolution_real.h"
#include "convolution_tiles_real.h"
#undef vector_bytes
#undef TARGET

#define vector_bytes 64
#define TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#include "convolution_real.h"
#include "convolution_tiles_real.h"
#undef vector_bytes
#undef TARGET
#endif
