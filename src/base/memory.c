/** @file memory.c  Aligned blocks, text that grows, numbers as text. */
#include "ntklens/base.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
    alignment = 64,
    huge_page = 2 << 20 /* of most systems */
};

/* Pages of 2 MiB for what is large: a kernel's columns lie further apart than small pages reach. */
static void ask_for_huge_pages(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    (void)madvise(block, bytes, MADV_HUGEPAGE); /* a hint: without them all is as before */
#else
    (void)block;
    (void)bytes;
#endif
}

/* whole: its size. */
static void *allocate(size_t count, size_t size, size_t *whole)
{
    size_t bytes = 0;
    size_t boundary = alignment;
    void *block = NULL;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - huge_page) {
        return NULL;
    }
    boundary = bytes >= huge_page ? huge_page : alignment;
    bytes = (bytes + boundary - 1) / boundary * boundary; /* aligned_alloc wants a multiple */
    block = aligned_alloc(boundary, bytes > 0 ? bytes : boundary);
    if (block != NULL && bytes >= huge_page) {
        ask_for_huge_pages(block, bytes);
    }
    *whole = bytes;
    return block;
}

double nl_block_bytes(double bytes)
{
    return bytes >= huge_page ? ceil(bytes / huge_page) * huge_page : bytes;
}

void *nl_alloc(size_t count, size_t size)
{
    size_t bytes = 0;

    return allocate(count, size, &bytes);
}

void *nl_calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    void *block = allocate(count, size, &bytes);

    if (block != NULL) {
        memset(block, 0, bytes);
    }
    return block;
}

/* Small pages: a large one would be taken for the few of its bytes that are written. */
void *nl_map_zeros(size_t count, size_t size, size_t *mapped)
{
    void *block = MAP_FAILED;

    if (!__builtin_mul_overflow(count, size, mapped)) {
        *mapped = *mapped > 0 ? *mapped : 1;
        block = mmap(NULL, *mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (block == MAP_FAILED) {
        *mapped = 0;
        return NULL;
    }
#ifdef MADV_NOHUGEPAGE
    (void)madvise(block, *mapped, MADV_NOHUGEPAGE);
#endif
    return block;
}

void nl_unmap(void *block, size_t mapped)
{
    if (block != NULL) {
        (void)munmap(block, mapped);
    }
}

size_t nl_peak_memory(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (size_t)usage.ru_maxrss * 1024; /* Linux counts in KiB */
}

bool nl_text_reserve(nl_text *text, size_t more)
{
    size_t need = text->length + more + 1;
    size_t capacity = text->capacity > 0 ? text->capacity : 256;
    char *data = NULL;

    if (text->failed || need <= text->capacity) {
        return !text->failed;
    }
    while (capacity < need) {
        capacity *= 2;
    }
    data = realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void nl_text_append_bytes(nl_text *text, const void *bytes, size_t length)
{
    if (nl_text_reserve(text, length)) {
        if (length > 0) {
            memcpy(text->data + text->length, bytes, length);
        }
        text->length += length;
        text->data[text->length] = '\0';
    }
}

void nl_text_append(nl_text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    const size_t room = text->failed ? 0 : text->capacity - text->length;
    int length = 0;

    va_start(args, format);
    va_copy(again, args);
    /* Most texts fit into what is there: they are formatted once. */
    length = vsnprintf(room > 0 ? text->data + text->length : NULL, room, format, args);
    va_end(args);
    if (length < 0) {
        text->failed = true;
    } else if ((size_t)length < room) {
        text->length += (size_t)length;
    } else if (nl_text_reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void nl_text_free(nl_text *text)
{
    free(text->data);
    *text = (nl_text){0};
}

const char *nl_format_double(double value, char out[32])
{
    if (isnan(value)) {
        snprintf(out, 32, "nan"); /* glibc prints -nan for some: one spelling only */
        return out;
    }
    if (fabs(value) < 1e15 && value == floor(value)) {
        snprintf(out, 32, "%.0f", value); /* 60, not 6e+01 */
        return out;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    return out;
}

const char *nl_format_count(long count, const char *noun, char out[48])
{
    snprintf(out, 48, "%ld %s%s", count, noun, count == 1 ? "" : "s");
    return out;
}

const char *nl_format_bytes(double bytes, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (bytes >= 1024.0 && unit + 1 < NL_COUNT(units)) {
        bytes /= 1024.0;
        unit++;
    }
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.2f %s", bytes, units[unit]);
    return out;
}

const char *nl_format_seconds(double seconds, char out[32])
{
    double minutes = floor(seconds / 60.0);
    double hours = floor(seconds / 3600.0);
    double days = floor(seconds / 86400.0);

    if (!(seconds >= 60.0)) {
        snprintf(out, 32, "%.1f s", seconds);
    } else if (hours < 1.0) {
        snprintf(out, 32, "%.0f min %02.0f s", minutes, floor(seconds - 60.0 * minutes));
    } else if (days < 1.0) {
        snprintf(out, 32, "%.0f h %02.0f min", hours, minutes - 60.0 * hours);
    } else {
        snprintf(out, 32, "%.0f d %02.0f h", days, hours - 24.0 * days);
    }
    return out;
}
