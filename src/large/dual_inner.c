/** @file dual_inner.c  <A A^T, B B^T> = |A^T B|_F^2 of the Jacobians A, B of two states: of chains
 * of dense layers by pairs of units, as a dual is filled; nothing of A^T B stays. */
#include "dual_parts.h"

#include "ntklens/par.h"

#include <stdlib.h>

enum {
    chunk_samples = 128, /* of a product */
    tile = 96,           /* columns of a product of which only one half is made */
    most_rows = 1024     /* of layers against each other */
};

/** A layer of one state. */
typedef struct side {
    const nl_dual *dual;
    const nl_dual_layer *of;
} side;

/** A part of A^T B. */
typedef struct inner_part {
    side one, other;
    bool expand; /* rows from `k` on of all units against unit j; else unit k against unit j */
    int k, j;
    double times; /* that it stands for */
} inner_part;

/** A product in work.  Owns its arrays. */
typedef struct inner_work {
    const nl_dual *a, *b; /* borrowed */
    bool same;            /* they are one: A^T A is symmetric */
    const nl_interrupt *interrupt;
    int rank, ranks;
    long parts;  /* so far */
    double *sum; /* [parts] squares of each; NULL: they are counted */
    bool below;  /* the part in work is symmetric */
    int row_lead, col_lead;
    int *sample;        /* [samples] those that count */
    void *weight;       /* [samples] s_i of these */
    void *left, *right; /* factors of a product */
    void *product, *signal, *inputs;
    nl_status status;
} inner_work;

static bool goes_on(inner_work *w)
{
    if (w->status == NL_OK && nl_interrupted(w->interrupt)) {
        w->status = NL_STOPPED;
    }
    return w->status == NL_OK;
}

#define TEMPLATE "large/dual_inner_real.h"
#include "ntklens/formats.h"

/* Parts go round the ranks: whoever makes one, its square is the same. */
static void add_part(inner_work *w, const inner_part *p)
{
    const long at = w->parts++;

    if (w->sum == NULL || at % w->ranks != w->rank || w->status != NL_OK) {
        return;
    }
    w->below = !p->expand && p->one.of->x != NULL; /* both take the images */
    w->sum[at] = p->times * (w->a->precision == NL_DOUBLE ? part_double(w, p) : part_single(w, p));
}

/* Each unit of the images' layer against each; of two layers the one with fewer inputs has all its
 * rows in a product. */
static void add_layers(inner_work *w, int l, int m)
{
    const side first = {w->a, &w->a->layer[l]};
    const side second = {w->b, &w->b->layer[m]};
    const bool images = first.of->x != NULL && second.of->x != NULL;
    const bool swap = first.of->inputs > second.of->inputs;
    inner_part p = {.one = swap ? second : first,
                    .other = swap ? first : second,
                    .expand = !images,
                    .times = w->same && m < l ? 2.0 : 1.0};

    if (first.of->delta == NULL && second.of->delta == NULL) { /* blocks alike, or zero */
        p.expand = false;
        p.times = first.of->units;
        p.k = -1;
        add_part(w, &p);
    } else if (images) {
        for (p.k = 0; p.k < first.of->units; p.k++) {
            for (p.j = 0; p.j < (w->same ? p.k + 1 : second.of->units); p.j++) {
                p.times = w->same && p.j < p.k ? 2.0 : 1.0;
                add_part(w, &p);
            }
        }
    } else {
        for (p.k = 0; p.k < p.one.of->inputs * p.one.of->units; p.k += most_rows) {
            for (p.j = 0; p.j < p.other.of->units; p.j++) {
                add_part(w, &p);
            }
        }
    }
}

static void add_all(inner_work *w)
{
    w->parts = 0;
    for (int l = 0; l < w->a->layers; l++) {
        for (int m = 0; m < (w->same ? l + 1 : w->b->layers); m++) {
            add_layers(w, l, m);
        }
    }
}

static nl_status allocate(inner_work *w)
{
    const size_t size = nl_precision_bytes(w->a->precision);
    int inputs = 1;
    int units = 1;

    for (int l = 0; l < w->a->layers; l++) {
        inputs = nl_larger(inputs, nl_larger(w->a->layer[l].inputs, w->b->layer[l].inputs));
        units = nl_larger(units, nl_larger(w->a->layer[l].units, w->b->layer[l].units));
    }
    w->row_lead = nl_leading_dimension(nl_larger(inputs, most_rows), w->a->precision);
    w->col_lead = nl_leading_dimension(inputs, w->a->precision);
    w->sum = nl_calloc((size_t)w->parts, sizeof *w->sum);
    w->sample = nl_calloc((size_t)w->a->samples, sizeof *w->sample);
    w->weight = nl_calloc((size_t)w->a->samples, size);
    w->left = nl_calloc((size_t)w->row_lead * chunk_samples, size);
    w->right = nl_calloc((size_t)w->col_lead * chunk_samples, size);
    w->product = nl_calloc((size_t)w->row_lead * (size_t)inputs, size);
    w->signal = nl_calloc((size_t)units, size);
    w->inputs = nl_calloc((size_t)inputs, size);
    return w->sum != NULL && w->sample != NULL && w->weight != NULL && w->left != NULL &&
                   w->right != NULL && w->product != NULL && w->signal != NULL && w->inputs != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for products of two duals");
}

static void release(inner_work *w)
{
    free(w->sum);
    free(w->sample);
    free(w->weight);
    free(w->left);
    free(w->right);
    free(w->product);
    free(w->signal);
    free(w->inputs);
}

nl_status nl_dual_inner(const nl_grid *grid, const nl_dual *a, const nl_dual *b,
                        const nl_interrupt *interrupt, double *inner)
{
    inner_work w = {.a = a,
                    .b = b,
                    .same = a == b,
                    .interrupt = interrupt,
                    .rank = grid->row * grid->cols + grid->col,
                    .ranks = grid->rows * grid->cols};
    nl_status status = NL_OK;

    if (a->blocks != NULL) {
        return nl_dual_blocks_inner(grid, a->blocks, b->blocks, interrupt, inner);
    }
    *inner = 0.0;
    add_all(&w);
    status = allocate(&w);
    if (status == NL_OK) {
        add_all(&w);
        status = w.status;
    }
    status = nl_agree(grid->comm, status);
    if (status == NL_OK) {
        status = nl_grid_sum(grid, w.sum, (int)w.parts);
    }
    for (long k = 0; status == NL_OK && k < w.parts; k++) {
        *inner += w.sum[k];
    }
    release(&w);
    return status;
}

double nl_dual_inner_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                           int samples, int ranks)
{
    return nl_dual_bytes(net, spec, precision, samples) +
           (nl_net_is_dense(net) ? 0.0 : nl_dual_blocks_inner_bytes(net, precision, ranks));
}

double nl_dual_inner_flops(const nl_net *net, nl_kernel_spec spec, int samples, bool same)
{
    double flops = 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_dual_blocks_inner_flops(net, spec, samples, same);
    }
    for (int l = 0; l < net->layers; l++) {
        for (int m = 0; m < net->layers; m++) {
            const nl_layer *one = &net->layer[l];
            const nl_layer *other = &net->layer[m];
            const double block = 2.0 * samples * (one->fan_in + 1.0) * (other->fan_in + 1.0);
            const double units = nl_dual_units(one, spec) * (double)nl_dual_units(other, spec);
            const bool outputs = one->role == NL_ROLE_OUTPUT && other->role == NL_ROLE_OUTPUT;
            const double half = one->from < 0 && other->from < 0 ? 0.5 : 1.0;

            flops += half * block * (outputs ? 1.0 : units);
        }
    }
    return same ? 0.5 * flops : flops;
}
