/** @file scaling.c  From pixel bytes to network inputs. */
#include "scaling.h"

#include <math.h>

static const double white = 255.0;

/* Sums of bytes and of their squares over one channel of all images: exact in 64 bits. */
static void channel_sums(const nl_dataset_info *info, const nl_images *images, int channel,
                         uint64_t *sum, uint64_t *squares)
{
    const size_t area = (size_t)info->height * (size_t)info->width;

    *sum = 0;
    *squares = 0;
    for (int k = 0; k < images->count; k++) {
        const uint8_t *u =
            images->pixels + (size_t)k * (size_t)info->inputs + (size_t)channel * area;
        uint32_t s1 = 0; /* fits: area * 255^2 < 2^32 up to areas of 256 x 256 */
        uint32_t s2 = 0;

        for (size_t p = 0; p < area; p++) {
            s1 += u[p];
            s2 += (uint32_t)u[p] * u[p];
        }
        *sum += s1;
        *squares += s2;
    }
}

nl_status nl_scaling_of_images(const nl_dataset_info *info, const nl_images *train,
                               bool standardize, nl_scaling *out)
{
    const double count = (double)train->count * info->height * info->width;

    *out = (nl_scaling){0};
    for (int c = 0; c < info->channels; c++) {
        uint64_t sum = 0;
        uint64_t squares = 0;
        double mean = 0.0;
        double variance = white * white;

        if (standardize) {
            channel_sums(info, train, c, &sum, &squares);
            mean = (double)sum / count;
            variance = (double)squares / count - mean * mean;
            if (!(variance > 0.0)) {
                return NL_FAIL(NL_ERR_DATA,
                               "%s: all training pixels of channel %d equal %g, expected some "
                               "variance to standardize by (or data.standardize: false)",
                               nl_source_name(info->source), c, mean);
            }
        }
        out->mean[c] = mean / white;
        out->std[c] = sqrt(variance) / white;
        out->scale[c] = (float)(1.0 / (white * out->std[c]));
        out->shift[c] = (float)(-out->mean[c] / out->std[c]);
    }
    return NL_OK;
}

NL_VECTOR_CLONES
static void scale_pixels(size_t n, const uint8_t *restrict u, float scale, float shift,
                         float *restrict x)
{
    for (size_t p = 0; p < n; p++) {
        x[p] = scale * (float)u[p] + shift; /* never fused: see meson.build */
    }
}

/* The next image lies somewhere else in memory. */
static void fetch_ahead(size_t n, const uint8_t *image)
{
    const size_t line = 64;

    for (size_t p = 0; p < n; p += line) {
        __builtin_prefetch(image + p);
    }
}

void nl_images_gather(const nl_dataset_info *info, const nl_images *images,
                      const nl_scaling *scaling, int k, const int *indices, float *x)
{
    const size_t area = (size_t)info->height * (size_t)info->width;

    for (int i = 0; i < k; i++) {
        const uint8_t *image = images->pixels + (size_t)indices[i] * (size_t)info->inputs;

        if (i + 1 < k) {
            fetch_ahead((size_t)info->inputs,
                        images->pixels + (size_t)indices[i + 1] * (size_t)info->inputs);
        }
        for (int c = 0; c < info->channels; c++) {
            scale_pixels(area, image + (size_t)c * area, scaling->scale[c], scaling->shift[c],
                         x + (size_t)i * (size_t)info->inputs + (size_t)c * area);
        }
    }
}
