/** @file scaling.c  From pixels to network inputs. */
#include "scaling.h"

#include <math.h>
#include <stdlib.h>

static const double white = 255.0;

nl_status nl_scaling_allocate(int channels, nl_scaling *out)
{
    const size_t count = (size_t)channels;

    *out = (nl_scaling){.channels = channels,
                        .mean = nl_calloc(count, sizeof *out->mean),
                        .std = nl_calloc(count, sizeof *out->std),
                        .scale = nl_calloc(count, sizeof *out->scale),
                        .shift = nl_calloc(count, sizeof *out->shift)};
    if (out->mean == NULL || out->std == NULL || out->scale == NULL || out->shift == NULL) {
        nl_scaling_free(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the scaling of %d channels", channels);
    }
    return NL_OK;
}

void nl_scaling_free(nl_scaling *scaling)
{
    free(scaling->mean);
    free(scaling->std);
    free(scaling->scale);
    free(scaling->shift);
    *scaling = (nl_scaling){0};
}

/* Pixels that are scaled alike: channels of so many of each image, which follow each other. */
typedef struct planes {
    int channels;
    size_t area, inputs;
} planes;

static planes planes_of(const nl_dataset_info *info)
{
    const size_t inputs = (size_t)info->inputs;

    return info->vectors
               ? (planes){1, inputs, inputs}
               : (planes){info->channels, (size_t)info->height * (size_t)info->width, inputs};
}

/* Sums of bytes and of their squares: exact in 64 bits. */
static void add_bytes(size_t area, const uint8_t *u, uint64_t *sum, uint64_t *squares)
{
    enum { piece = 1 << 16 }; /* of which 32 bits hold the sums: piece * 255^2 < 2^32 */

    for (size_t first = 0; first < area; first += piece) {
        const size_t end = area - first < piece ? area : first + piece;
        uint32_t s1 = 0;
        uint32_t s2 = 0;

        for (size_t p = first; p < end; p++) {
            s1 += u[p];
            s2 += (uint32_t)u[p] * u[p];
        }
        *sum += s1;
        *squares += s2;
    }
}

static void byte_moments(const planes *p, const nl_images *images, int channel, double *mean,
                         double *variance)
{
    const double count = (double)images->count * (double)p->area;
    uint64_t sum = 0;
    uint64_t squares = 0;

    for (int k = 0; k < images->count; k++) {
        add_bytes(p->area, images->pixels + (size_t)k * p->inputs + (size_t)channel * p->area, &sum,
                  &squares);
    }
    *mean = (double)sum / count;
    *variance = (double)squares / count - *mean * *mean;
}

/* Mean first, then the mean of squares around it: nothing is lost where the mean is large. */
static void real_moments(const planes *p, const nl_images *images, int channel, double *mean,
                         double *variance)
{
    const double count = (double)images->count * (double)p->area;
    double moment[2] = {0.0, 0.0};

    for (int turn = 0; turn < 2; turn++) {
        double sum = 0.0;

        for (int k = 0; k < images->count; k++) {
            const float *u = images->values + (size_t)k * p->inputs + (size_t)channel * p->area;
            double part = 0.0; /* of one image */

            for (size_t q = 0; q < p->area; q++) {
                const double d = (double)u[q] - moment[0];

                part += turn == 0 ? d : d * d;
            }
            sum += part;
        }
        moment[turn] = sum / count;
    }
    *mean = moment[0];
    *variance = moment[1];
}

nl_status nl_scaling_of_images(const nl_dataset_info *info, const nl_images *train,
                               bool standardize, nl_scaling *out)
{
    const double unit = info->real ? 1.0 : white;
    const planes p = planes_of(info);
    nl_status status = nl_scaling_allocate(p.channels, out);

    if (status != NL_OK) {
        return status;
    }
    for (int c = 0; status == NL_OK && c < p.channels; c++) {
        double mean = 0.0;
        double variance = unit * unit;

        if (standardize && info->real) {
            real_moments(&p, train, c, &mean, &variance);
        } else if (standardize) {
            byte_moments(&p, train, c, &mean, &variance);
        }
        if (!(variance > 0.0)) {
            status = NL_FAIL(NL_ERR_DATA,
                             "%s: all training pixels of channel %d equal %g, expected some "
                             "variance to standardize by (or data.standardize: false)",
                             nl_source_name(info->source), c, mean);
        }
        out->mean[c] = mean / unit;
        out->std[c] = sqrt(variance) / unit;
        out->scale[c] = (float)(1.0 / (unit * out->std[c]));
        out->shift[c] = (float)(-out->mean[c] / out->std[c]);
    }
    if (status != NL_OK) {
        nl_scaling_free(out);
    }
    return status;
}

NL_VECTOR_CLONES
static void scale_pixels(size_t n, const uint8_t *restrict u, float scale, float shift,
                         float *restrict x)
{
    for (size_t p = 0; p < n; p++) {
        x[p] = scale * (float)u[p] + shift; /* never fused: see meson.build */
    }
}

NL_VECTOR_CLONES
static void scale_values(size_t n, const float *restrict u, float scale, float shift,
                         float *restrict x)
{
    for (size_t p = 0; p < n; p++) {
        x[p] = scale * u[p] + shift;
    }
}

/* The next image lies somewhere else in memory. */
static void fetch_ahead(size_t n, const void *image)
{
    const size_t line = 64;

    for (size_t p = 0; p < n; p += line) {
        __builtin_prefetch((const char *)image + p);
    }
}

static void gather_bytes(const planes *p, const uint8_t *image, const nl_scaling *scaling, float *x)
{
    for (size_t c = 0; c < (size_t)p->channels; c++) {
        scale_pixels(p->area, image + c * p->area, scaling->scale[c], scaling->shift[c],
                     x + c * p->area);
    }
}

static void gather_values(const planes *p, const float *image, const nl_scaling *scaling, float *x)
{
    for (size_t c = 0; c < (size_t)p->channels; c++) {
        scale_values(p->area, image + c * p->area, scaling->scale[c], scaling->shift[c],
                     x + c * p->area);
    }
}

void nl_images_gather(const nl_dataset_info *info, const nl_images *images,
                      const nl_scaling *scaling, int k, const int *indices, float *x)
{
    const planes p = planes_of(info);
    const size_t size = p.inputs * (info->real ? sizeof *images->values : sizeof *images->pixels);
    const char *base = info->real ? (const char *)images->values : (const char *)images->pixels;

    for (int i = 0; i < k; i++, x += p.inputs) {
        const size_t at = (size_t)indices[i] * p.inputs;

        if (i + 1 < k) {
            fetch_ahead(size, base + (size_t)indices[i + 1] * size);
        }
        if (info->real) {
            gather_values(&p, images->values + at, scaling, x);
        } else {
            gather_bytes(&p, images->pixels + at, scaling, x);
        }
    }
}
