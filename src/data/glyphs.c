/** @file glyphs.c  The built-in image source: ten classes of noisy stroke figures, 28 x 28.
 *
 * Five pairs of a figure and its relative with a piece left out, which makes them easy to name and
 * hard to tell apart: ring and horseshoe, square and cup, triangle and caret, plus and tee, zed and
 * its two bars.  Each image is drawn from a Philox stream of its own: it depends on its index only.
 *
 * Same bytes everywhere: libm is called in double only, and its last bit, which may differ between
 * processors, is lost in the rounding to float; the rest is correctly rounded arithmetic.
 */
#include "ntklens/data.h"

#include <math.h>

enum {
    side = 28,
    area = side * side,
    max_points = 5, /* of one stroke */
    max_strokes = 3,
    arc_segments = 14, /* a full ring */
    max_segments = 32,
    class_count = 10,
};

/* How strongly images vary: set so that the test loss of a small network falls steadily over widths
 * 8 to 128 and over 100 to 5000 training images.
 * Lengths in pixels; a pair is the range of a uniform draw. */
static const double radius_range[2] = {6.0, 10.0};  /* of the figure, each axis */
static const double shift_range[2] = {-2.0, 2.0};   /* of its centre, each axis */
static const double angle_range[2] = {-0.35, 0.35}; /* radians */
static const double shear_range[2] = {-0.25, 0.25};
static const double pen_range[2] = {0.5, 1.5}; /* half the width of a stroke */
static const double ink_range[2] = {110.0, 250.0};
static const double wobble = 0.07; /* of each corner, standard deviation, in figure units */
static const double noise_range[2] = {5.0, 30.0}; /* of each pixel, standard deviation */
enum { max_stray = 3 };                           /* stray strokes: 0 to max_stray - 1 */
static const double stray_range[2] = {2.0, 5.0};  /* half their length */

typedef struct point {
    float x, y;
} point;

typedef struct segment {
    point from, to;
} segment;

/* Segments of one image, in pixels. */
typedef struct drawing {
    segment segments[max_segments];
    int count;
} drawing;

/* Figures lie in [-1, 1] x [-1, 1], y downward.  A stroke is a polyline, or (points == 0) the arc
 * of the unit circle between two angles in units of pi, clockwise on screen. */
typedef struct stroke {
    int points;
    double corner[max_points][2];
    double arc[2];
} stroke;

static const stroke figures[class_count][max_strokes] = {
    /* ring */ {{.arc = {0.0, 2.0}}},
    /* horseshoe */ {{.arc = {0.75, 2.25}}},
    /* square */
    {{5, .corner = {{-0.9, -0.9}, {-0.9, 0.9}, {0.9, 0.9}, {0.9, -0.9}, {-0.9, -0.9}}}},
    /* cup */ {{4, .corner = {{-0.9, -0.9}, {-0.9, 0.9}, {0.9, 0.9}, {0.9, -0.9}}}},
    /* triangle */ {{4, .corner = {{-0.95, 0.85}, {0.0, -0.95}, {0.95, 0.85}, {-0.95, 0.85}}}},
    /* caret */ {{3, .corner = {{-0.95, 0.85}, {0.0, -0.95}, {0.95, 0.85}}}},
    /* plus */ {{2, .corner = {{-1.0, 0.0}, {1.0, 0.0}}}, {2, .corner = {{0.0, -1.0}, {0.0, 1.0}}}},
    /* tee */
    {{2, .corner = {{-1.0, -0.4}, {1.0, -0.4}}}, {2, .corner = {{0.0, -0.4}, {0.0, 1.0}}}},
    /* zed */ {{4, .corner = {{-0.9, -0.9}, {0.9, -0.9}, {-0.9, 0.9}, {0.9, 0.9}}}},
    /* bars */
    {{2, .corner = {{-0.9, -0.9}, {0.9, -0.9}}}, {2, .corner = {{-0.9, 0.9}, {0.9, 0.9}}}},
};

static double draw_from(nl_rng *rng, const double range[2])
{
    return range[0] + (range[1] - range[0]) * nl_rng_uniform(rng);
}

/* From figure units to pixels: scale, shear, rotate, shift. */
typedef struct placement {
    double matrix[2][2], centre[2];
} placement;

static placement draw_placement(nl_rng *rng)
{
    double scale_x = draw_from(rng, radius_range);
    double scale_y = draw_from(rng, radius_range);
    double shear = draw_from(rng, shear_range);
    double angle = draw_from(rng, angle_range);
    double c = cos(angle);
    double s = sin(angle);
    placement place = {.matrix = {{c * scale_x, (c * shear - s) * scale_y},
                                  {s * scale_x, (s * shear + c) * scale_y}}};

    place.centre[0] = 0.5 * (side - 1) + draw_from(rng, shift_range);
    place.centre[1] = 0.5 * (side - 1) + draw_from(rng, shift_range);
    return place;
}

static point to_pixels(const placement *place, double x, double y)
{
    return (point){
        (float)(place->matrix[0][0] * x + place->matrix[0][1] * y + place->centre[0]),
        (float)(place->matrix[1][0] * x + place->matrix[1][1] * y + place->centre[1]),
    };
}

static void add_segment(drawing *into, point from, point to)
{
    if (into->count < max_segments) {
        into->segments[into->count++] = (segment){from, to};
    }
}

static void add_polyline(drawing *into, const stroke *line, const placement *place, nl_rng *rng)
{
    point corner[max_points];

    for (int k = 0; k < line->points; k++) {
        double x = line->corner[k][0] + wobble * nl_rng_normal(rng);
        double y = line->corner[k][1] + wobble * nl_rng_normal(rng);

        corner[k] = to_pixels(place, x, y);
    }
    for (int k = 1; k < line->points; k++) {
        add_segment(into, corner[k - 1], corner[k]);
    }
}

static void add_arc(drawing *into, const double arc[2], const placement *place)
{
    static const double pi = 3.14159265358979323846;
    const int count = (int)(arc_segments * (arc[1] - arc[0]) / 2.0 + 0.5);
    point last = to_pixels(place, cos(pi * arc[0]), sin(pi * arc[0]));

    for (int k = 1; k <= count; k++) {
        double angle = pi * (arc[0] + (arc[1] - arc[0]) * k / count);
        point next = to_pixels(place, cos(angle), sin(angle));

        add_segment(into, last, next);
        last = next;
    }
}

static void add_figure(drawing *into, int label, const placement *place, nl_rng *rng)
{
    for (int k = 0; k < max_strokes; k++) {
        const stroke *line = &figures[label][k];

        if (line->points > 0) {
            add_polyline(into, line, place, rng);
        } else if (line->arc[1] > line->arc[0]) {
            add_arc(into, line->arc, place);
        }
    }
}

static void add_stray_strokes(drawing *into, nl_rng *rng)
{
    static const double anywhere[2] = {2.0, side - 3.0};
    static const double half_turn[2] = {0.0, 3.14159265358979323846};
    const int count = (int)nl_rng_below(rng, max_stray);

    for (int k = 0; k < count; k++) {
        double x = draw_from(rng, anywhere);
        double y = draw_from(rng, anywhere);
        double angle = draw_from(rng, half_turn);
        double length = draw_from(rng, stray_range);
        double dx = length * cos(angle);
        double dy = length * sin(angle);

        add_segment(into, (point){(float)(x - dx), (float)(y - dy)},
                    (point){(float)(x + dx), (float)(y + dy)});
    }
}

/* First and last pixel of 0 .. side - 1 within `reach` of the span between a and b. */
static void pixel_span(float a, float b, float reach, int *first, int *last)
{
    float low = (a < b ? a : b) - reach;
    float high = (a < b ? b : a) + reach;

    *first = low > 0.0f ? (int)low : 0;
    *last = high < (float)(side - 1) ? (int)high : side - 1;
}

/* nearest[28 x 28] = min(nearest, squared distance of a pixel's centre to the segment), for all
 * pixels within `reach` of it. */
static void stamp(const segment *line, float reach, float *nearest)
{
    const float dx = line->to.x - line->from.x;
    const float dy = line->to.y - line->from.y;
    const float inverse = 1.0f / (dx * dx + dy * dy + 1e-6f);
    int left = 0;
    int right = 0;
    int top = 0;
    int bottom = 0;

    pixel_span(line->from.x, line->to.x, reach, &left, &right);
    pixel_span(line->from.y, line->to.y, reach, &top, &bottom);
    for (int row = top; row <= bottom; row++) {
        for (int column = left; column <= right; column++) {
            float px = (float)column - line->from.x;
            float py = (float)row - line->from.y;
            float t = (px * dx + py * dy) * inverse; /* foot of the perpendicular, 0 to 1 */
            float *best = &nearest[row * side + column];

            t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
            px -= t * dx;
            py -= t * dy;
            if (px * px + py * py < *best) {
                *best = px * px + py * py;
            }
        }
    }
}

/* Nearly normal with unit variance: the sum of four uniform bytes; quick, the same everywhere. */
static float pixel_noise(nl_rng *rng)
{
    static const float centre = 510.0f;             /* 4 * 255 / 2 */
    static const float inverse_spread = 0.0067658f; /* 1 / sqrt(4 * (256^2 - 1) / 12) */
    uint32_t bits = nl_rng_u32(rng);
    uint32_t sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);

    return ((float)sum - centre) * inverse_spread;
}

int nl_glyph_draw(bool test, int index, uint8_t pixels[784])
{
    const int label = index % class_count;
    nl_rng rng = nl_rng_open(0, test ? NL_PURPOSE_GLYPH_TEST : NL_PURPOSE_GLYPH_TRAIN,
                             (uint32_t)index, 0, 0);
    placement place = draw_placement(&rng);
    float pen = (float)draw_from(&rng, pen_range);
    float ink = (float)draw_from(&rng, ink_range);
    float noise = (float)draw_from(&rng, noise_range);
    drawing picture = {.count = 0};
    const float reach = pen + 0.5f; /* the anti-aliased edge is one pixel wide */
    float nearest[area];

    add_figure(&picture, label, &place, &rng);
    add_stray_strokes(&picture, &rng);
    for (int p = 0; p < area; p++) {
        nearest[p] = reach * reach;
    }
    for (int k = 0; k < picture.count; k++) {
        stamp(&picture.segments[k], reach, nearest);
    }
    for (int p = 0; p < area; p++) {
        float cover = nearest[p] < reach * reach ? reach - sqrtf(nearest[p]) : 0.0f;
        float value = ink * (cover < 1.0f ? cover : 1.0f) + noise * pixel_noise(&rng) + 0.5f;

        value = value < 0.0f ? 0.0f : value;
        pixels[p] = (uint8_t)(value > 255.0f ? 255.0f : value);
    }
    return label;
}
