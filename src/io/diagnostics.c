/** @file diagnostics.c  Complaints about an input, collected and told in the order of its lines. */
#include "ntklens/io.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct complaint {
    int line, column; /* line INT_MAX: from the command line, told after the file's */
    char *text;       /* owned */
} complaint;

struct nl_diagnostics {
    complaint *item; /* owned, sorted by place, equal places in the order they were added */
    int count, capacity;
    int lost; /* complaints for which there was no memory */
};

nl_status nl_diagnostics_create(nl_diagnostics **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for complaints");
}

void nl_diagnostics_destroy(nl_diagnostics **diagnostics)
{
    nl_diagnostics *all = *diagnostics;

    if (all != NULL) {
        for (int k = 0; k < all->count; k++) {
            free(all->item[k].text);
        }
        free(all->item);
        free(all);
        *diagnostics = NULL;
    }
}

static bool reserve_one(nl_diagnostics *all)
{
    int capacity = all->capacity > 0 ? 2 * all->capacity : 16;
    complaint *item = NULL;

    if (all->count < all->capacity) {
        return true;
    }
    item = realloc(all->item, (size_t)capacity * sizeof *item);
    if (item == NULL) {
        return false;
    }
    all->item = item;
    all->capacity = capacity;
    return true;
}

/* Inputs are quoted in complaints: keep each to its one line, and terminals out of their hands. */
static void blank_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

static bool stands_before(const complaint *a, const complaint *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void nl_diagnostics_add(nl_diagnostics *diagnostics, nl_mark mark, const char *format, ...)
{
    complaint added = {.line = mark.line > 0 ? mark.line : INT_MAX,
                       .column = mark.line > 0 ? mark.column : 0};
    nl_text line = {0};
    char text[1536];
    va_list args;
    int at = 0;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (mark.line > 0) {
        nl_text_append(&line, "%s:%d:%d: %s", mark.source, mark.line, mark.column, text);
    } else {
        nl_text_append(&line, "%s: %s", mark.source, text);
    }
    if (line.failed || !reserve_one(diagnostics)) {
        nl_text_free(&line);
        diagnostics->lost++;
        return;
    }
    added.text = line.data;
    blank_controls(added.text);
    at = diagnostics->count;
    while (at > 0 && stands_before(&added, &diagnostics->item[at - 1])) {
        at--;
    }
    memmove(&diagnostics->item[at + 1], &diagnostics->item[at],
            (size_t)(diagnostics->count - at) * sizeof added);
    diagnostics->item[at] = added;
    diagnostics->count++;
}

int nl_diagnostics_count(const nl_diagnostics *diagnostics)
{
    return diagnostics->count + diagnostics->lost;
}

void nl_diagnostics_print(const nl_diagnostics *diagnostics)
{
    int count = nl_diagnostics_count(diagnostics);

    for (int k = 0; k < count; k++) {
        nl_complain("%s", nl_diagnostics_text(diagnostics, k));
    }
}

const char *nl_diagnostics_text(const nl_diagnostics *diagnostics, int index)
{
    return index < diagnostics->count ? diagnostics->item[index].text
                                      : "a complaint is lost: out of memory";
}
