/**
 * @file tile_real.h  One kernel tile in one floating-point format (ntklens/formats.h); behind
 * tile_products_real.h.
 *
 * Symbols, of layer l = 1 .. L:
 *   m, n       samples of the tile's rows and columns; i, j are one of them
 *   C          rows a sample has: the outputs of a full kernel; 1: traced, class; a, b are one
 *   w          units of the layer
 *   h          what the layer takes, h^{l-1} [samples x fan_in];  gram_h = h h^T [m x n]
 *   delta      back-signals delta^{l,a} [samples x C x w];  gram_delta = delta delta^T [mC x nC]
 *   u, v       factors of weights and biases: s^2 and t^2, times rates and 1 / outputs (traced)
 *   theta      Theta[(i,a),(j,b)] = sum_l (u_l gram_h[i,j] + v_l) gram_delta[(i,a),(j,b)]
 * All column-major.
 */

/* The last hidden layer's back-signals are delta^a = s W[a, :] o phi', so that outputs (a, b) have
 * the same products [m x n] as (b, a): those of a >= b are 45 % less to do at ten outputs. */
static void NAME(multiply_pairs)(const tile_job *job, const tile_window *t, int w, const real *di,
                                 const real *dj)
{
    const int C = job->view.rows_per_sample;
    real *pairs = job->gram_delta;

    for (int a = 0; a < C; a++) {
        const NAME(products) of_a = {
            .rows = t->m,
            .cols = t->n,
            .depth = w,
            .a = di + (size_t)a * (size_t)w,
            .lda = C * w,
            .b = dj,
            .ldb = C * w,
            .count = a + 1,
            .apart = w,
            .out = pairs + (size_t)pairs_before(a) * (size_t)t->m * (size_t)t->n,
        };

        NAME(multiply)(&job->means, &of_a);
    }
}

/* theta = or += as above, from the products of pairs. */
NL_VECTOR_CLONES
static void NAME(expand_pairs)(const NAME(layer_part) *p, const real *restrict pairs)
{
    const int m = p->m;
    const int n = p->n;
    const int C = p->C;
    const bool first = p->first;
    const real u = p->u;
    const real v = p->v;
    const real *restrict gram_h = p->gram_h;
    real *restrict factor = p->factor;

    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            factor[i] = u * gram_h[(size_t)j * (size_t)m + (size_t)i] + v;
        }
        for (int b = 0; b < C; b++) {
            real *restrict column = p->theta + (size_t)(j * C + b) * (size_t)p->ld;

            for (int a = 0; a < C; a++) {
                const int pair = pairs_before(nl_larger(a, b)) + nl_smaller(a, b);
                const real *product = pairs + ((size_t)pair * (size_t)n + (size_t)j) * (size_t)m;

                for (int i = 0; i < m; i++) {
                    column[i * C + a] = (first ? 0 : column[i * C + a]) + factor[i] * product[i];
                }
            }
        }
    }
}

/* Back-signals of a layer, from sample `first` on. */
static const real *NAME(delta_of)(const tile_job *job, const nl_factors *factors, int l, int first)
{
    const nl_kernel_view *view = &job->view;
    const size_t w = (size_t)factors->net->layer[l].fan_out;

    if (has_traced_delta(job, l)) {
        return (const real *)factors->traced_delta + (size_t)first * w;
    }
    return (const real *)factors->delta[l] +
           ((size_t)first * (size_t)view->outputs + (size_t)view->output) * w;
}

/* theta = or += (u gram_h + v) o gram_delta of a layer below the output. */
static void NAME(add_hidden_layer)(const tile_job *job, int l, const tile_window *t,
                                   const NAME(layer_part) *part)
{
    const nl_kernel_view *view = &job->view;
    const bool traced = has_traced_delta(job, l);
    const int w = job->rows->net->layer[l].fan_out;
    const int apart = traced ? w : view->outputs / view->rows_per_sample * w;
    const real *di = NAME(delta_of)(job, job->rows, l, t->i0);
    const real *dj = NAME(delta_of)(job, job->cols, l, t->j0);
    const NAME(products) delta_products = {
        .rows = t->m * view->rows_per_sample,
        .cols = t->n * view->rows_per_sample,
        .depth = traced ? w : view->outputs_summed * w,
        .a = di,
        .lda = apart,
        .b = dj,
        .ldb = apart,
        .count = 1,
        .out = job->gram_delta,
    };

    if (pays_in_pairs(job, l)) {
        NAME(multiply_pairs)(job, t, w, di, dj);
        NAME(expand_pairs)(part, job->gram_delta);
    } else {
        NAME(multiply)(&job->means, &delta_products);
        NAME(multiply_expanded)(part, job->gram_delta);
    }
}

/* A tile, all layers while it is in cache. */
static void NAME(make_tile)(const tile_job *job, const tile_window *t)
{
    const nl_net *net = job->rows->net;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const size_t fan_in = (size_t)layer->fan_in;
        const bool output = layer->role == NL_ROLE_OUTPUT;
        const double mean = output ? 1.0 : job->view.scale;
        const double weight_rate = job->rate_weighted ? layer->weight_rate : 1.0;
        const double bias_rate = job->rate_weighted ? layer->bias_rate : 1.0;
        const NAME(products) h_products = {
            .rows = t->m,
            .cols = t->n,
            .depth = layer->fan_in,
            .a = (const real *)job->rows->activation[l] + (size_t)t->i0 * fan_in,
            .lda = layer->fan_in,
            .b = (const real *)job->cols->activation[l] + (size_t)t->j0 * fan_in,
            .ldb = layer->fan_in,
            .count = 1,
            .out = job->gram_h,
        };
        const NAME(layer_part) part = {
            .m = t->m,
            .n = t->n,
            .C = job->view.rows_per_sample,
            .first = l == 0,
            .u = (real)(mean * layer->weight_scale * layer->weight_scale * weight_rate),
            .v = (real)(mean * layer->bias_scale * layer->bias_scale * bias_rate),
            .gram_h = job->gram_h,
            .factor = job->factor,
            .theta = t->theta,
            .ld = t->ld,
        };

        NAME(multiply)(&job->means, &h_products);
        if (output) {
            NAME(add_output_layer)(&part);
        } else {
            NAME(add_hidden_layer)(job, l, t, &part);
        }
    }
}
