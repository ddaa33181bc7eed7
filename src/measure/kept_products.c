/** @file kept_products.c  Products of an operator that were made before, one behind the other.
 *
 * A product takes some 30,000 operations a byte of its result, and is not to be made twice: it goes
 * to disk, where a quadrature's own state would be no smaller, and whoever goes on walks the way of
 * the interrupted run with the same bits. */
#include "kept_products.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/** Begins a product. */
typedef struct product_head {
    int32_t columns;
    uint32_t of; /* check sum of x: it is this product that is asked for */
} product_head;

nl_status nl_kept_products_open(const nl_measurer *m, int kernel, int n, nl_kept_products *out)
{
    *out = (nl_kept_products){.n = (size_t)n, .reading = true};
    return nl_kept_open(m, kernel, NL_METHOD_QUADRATURE, &out->kept);
}

static product_head head_of(const nl_kept_products *p, int columns, const double *x)
{
    const size_t size = (size_t)columns * p->n * sizeof *x;

    return (product_head){columns, (uint32_t)crc32_z(0, (const unsigned char *)x, size)};
}

/* The next file, if it goes on where the one before ended. */
static nl_status next_file(nl_kept_products *p)
{
    nl_kept_content head;
    nl_status status = NL_OK;

    nl_sealed_close(&p->sealed);
    status = nl_kept_read(&p->kept, p->files, &p->sealed, &head);
    if (status == NL_OK && p->sealed != NULL && head.done == p->count && head.count > 0) {
        p->left = head.count;
        p->files++;
    } else {
        nl_sealed_close(&p->sealed);
        p->reading = false;
    }
    return status;
}

/* The product that stands next in the file; false: it is another one, or none at all. */
static nl_status read_product(nl_kept_products *p, product_head wanted, double *y, bool *found)
{
    product_head head = {0};
    nl_status status = nl_sealed_read(p->sealed, &head, sizeof head);

    if (status == NL_OK && head.columns == wanted.columns && head.of == wanted.of) {
        status = nl_sealed_read(p->sealed, y, (size_t)head.columns * p->n * sizeof *y);
        *found = status == NL_OK;
    }
    return status == NL_ERR_NOMEM ? status : NL_OK;
}

nl_status nl_kept_products_find(nl_kept_products *p, int columns, const double *x, double *y,
                                bool *found)
{
    nl_status status = NL_OK;

    *found = false;
    if (p->kept.stem == NULL || !p->reading) {
        return NL_OK;
    }
    if (p->left == 0) {
        status = next_file(p);
    }
    if (status == NL_OK && p->sealed != NULL) {
        status = read_product(p, head_of(p, columns, x), y, found);
    }
    if (*found) {
        p->left--;
        p->found++;
        p->count++;
    } else if (p->sealed != NULL) {
        nl_sealed_close(&p->sealed);
        p->reading = false;
        status = status == NL_OK ? nl_kept_tell(&p->kept, "kernel_dropped",
                                                "of what was kept of it the rest does not fit")
                                 : status;
    }
    return status;
}

static bool append(nl_text *text, const product_head *head, const double *y, size_t size)
{
    nl_text_append_bytes(text, head, sizeof *head);
    nl_text_append_bytes(text, y, size);
    return !text->failed;
}

/* What is pending, and a product behind it, into a file. */
static nl_status write_pending(nl_kept_products *p, const double *y, size_t size)
{
    const nl_kept_content content = {.done = p->count - p->pending_count,
                                     .count = p->pending_count,
                                     .bytes = {p->pending.data, y},
                                     .length = {p->pending.length, size}};
    nl_status status = nl_kept_write(&p->kept, p->files, &content);

    if (status == NL_OK) {
        p->files++;
        p->pending_count = 0;
        p->pending.length = 0;
    }
    return status;
}

nl_status nl_kept_products_add(nl_kept_products *p, int columns, const double *x, const double *y)
{
    const size_t size = (size_t)columns * p->n * sizeof *y;
    const product_head head = p->kept.stem != NULL ? head_of(p, columns, x) : (product_head){0};

    p->count++;
    if (p->kept.stem == NULL) {
        return NL_OK;
    }
    p->pending_count++;
    if (nl_kept_due(&p->kept) || p->pending.length + size > nl_kept_bytes) {
        nl_text_append_bytes(&p->pending, &head, sizeof head);
        return p->pending.failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for products of a kernel")
                                 : write_pending(p, y, size);
    }
    return append(&p->pending, &head, y, size)
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for products of a kernel");
}

nl_status nl_kept_products_leave(nl_kept_products *p)
{
    return p->pending_count > 0 ? write_pending(p, NULL, 0) : NL_OK;
}

nl_status nl_kept_products_close(nl_kept_products *p, bool done)
{
    nl_status status = NL_OK;

    if (p->found > 0) {
        status = nl_kept_tell(&p->kept, "kernel_resumed", "%lld of %lld products found",
                              (long long)p->found, (long long)p->count);
    }
    if (done) {
        nl_kept_remove(&p->kept);
    }
    nl_sealed_close(&p->sealed);
    nl_text_free(&p->pending);
    nl_kept_close(&p->kept);
    return status;
}
