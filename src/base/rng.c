/** @file rng.c  Streams of counter-based random numbers. */
#include "ntklens/base.h"

#include <Random123/philox.h>
#include <math.h>

nl_rng nl_rng_open(uint32_t seed, nl_purpose purpose, uint32_t a, uint32_t b, uint32_t c)
{
    return (nl_rng){.key = {seed, (uint32_t)purpose}, .counter = {0, a, b, c}, .used = 4};
}

uint32_t nl_rng_u32(nl_rng *rng)
{
    if (rng->used == 4) {
        philox4x32_ctr_t counter = {
            {rng->counter[0], rng->counter[1], rng->counter[2], rng->counter[3]}};
        philox4x32_key_t key = {{rng->key[0], rng->key[1]}};
        philox4x32_ctr_t block = philox4x32(counter, key);

        for (int k = 0; k < 4; k++) {
            rng->block[k] = block.v[k];
        }
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

double nl_rng_uniform(nl_rng *rng)
{
    uint64_t high = nl_rng_u32(rng);
    uint64_t low = nl_rng_u32(rng);
    uint64_t bits = (high << 32 | low) >> 11;

    return ((double)bits + 0.5) * 0x1p-53; /* never 0, so that its logarithm is finite */
}

double nl_rng_normal(nl_rng *rng)
{
    static const double two_pi = 6.283185307179586476925;
    double radius = 0.0;
    double angle = 0.0;

    if (rng->have_spare) {
        rng->have_spare = false;
        return rng->spare;
    }
    radius = sqrt(-2.0 * log(nl_rng_uniform(rng)));
    angle = two_pi * nl_rng_uniform(rng);
    rng->spare = radius * sin(angle);
    rng->have_spare = true;
    return radius * cos(angle);
}

double nl_rng_sign(nl_rng *rng)
{
    return (nl_rng_u32(rng) & 1U) != 0 ? 1.0 : -1.0;
}

uint32_t nl_rng_below(nl_rng *rng, uint32_t bound)
{
    /* Lemire 2019, "Fast random integer generation in an interval": rejection makes it unbiased. */
    uint32_t threshold = (0u - bound) % bound;
    uint64_t product = (uint64_t)nl_rng_u32(rng) * bound;

    while ((uint32_t)product < threshold) {
        product = (uint64_t)nl_rng_u32(rng) * bound;
    }
    return (uint32_t)(product >> 32);
}

void nl_rng_shuffle(nl_rng *rng, int *items, int n)
{
    for (int last = n - 1; last > 0; last--) {
        int pick = (int)nl_rng_below(rng, (uint32_t)last + 1);
        int kept = items[last];

        items[last] = items[pick];
        items[pick] = kept;
    }
}
