/** @file skip_real.h  Layers without parameters in one floating-point format (ntklens/formats.h).
 */

static size_t NAME(size_of)(const nl_layer *layer, int rows)
{
    return (size_t)rows * (size_t)nl_shape_size(layer->out);
}

/* z = h; who walks over the layers applies phi */
static void NAME(apply)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                        const void *plus, void *out)
{
    (void)plus;
    memcpy(out, h, NAME(size_of)(layer, pass->rows) * sizeof(real));
}

static void NAME(apply_back)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                             const void *in, const void *delta, void *below)
{
    (void)input;
    (void)in;
    memcpy(below, delta, NAME(size_of)(layer, pass->rows * pass->seeds) * sizeof(real));
}

static void NAME(apply_tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                                const nl_sample_pass *change, const void *h, const void *d_in,
                                const void *d_plus, void *out)
{
    (void)change;
    (void)h;
    NAME(apply)(layer, pass, d_in, d_plus, out);
}

/* z = branch_scale branch + skip */
static void NAME(add)(const nl_layer *layer, const nl_sample_pass *pass, const void *branch,
                      const void *plus, void *out)
{
    const real scale = (real)layer->branch_scale;
    const real *from = branch;
    const real *skip = plus;
    real *z = out;

    for (size_t k = 0; k < NAME(size_of)(layer, pass->rows); k++) {
        z[k] = scale * from[k] + skip[k];
    }
}

static void NAME(add_back)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                           const void *in, const void *delta, void *below)
{
    const real scale = input == 0 ? (real)layer->branch_scale : 1;
    const real *d = delta;
    real *to = below;

    (void)in;
    for (size_t k = 0; k < NAME(size_of)(layer, pass->rows * pass->seeds); k++) {
        to[k] = scale * d[k];
    }
}

static void NAME(add_tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                              const nl_sample_pass *change, const void *h, const void *d_in,
                              const void *d_plus, void *out)
{
    (void)change;
    (void)h;
    NAME(add)(layer, pass, d_in, d_plus, out);
}
