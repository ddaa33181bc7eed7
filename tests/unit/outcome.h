/** @file outcome.h  A study file parsed, with what was said about it on stderr. */
#ifndef NTKLENS_TESTS_OUTCOME_H
#define NTKLENS_TESTS_OUTCOME_H

#include "ntklens/study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA  "data: {source: glyphs, train_sizes: [512]}\n"
#define MODEL "model: {widths: [64]}\n"

#define MINIMAL DATA MODEL

enum { most_lines = 64 };

/* What a parse said on stderr, line by line. */
typedef struct outcome {
    nl_status status;
    nl_study *study;
    char *text; /* owned */
    char *line[most_lines];
    int lines;
} outcome;

/* Parse with stderr in a file: the lines of a complaint are part of the contract. */
static inline outcome parse(const char *text, int set_count, const char *const sets[])
{
    outcome o = {0};
    FILE *said = tmpfile();
    int kept = dup(STDERR_FILENO);
    long size = 0;

    assert_non_null(said);
    dup2(fileno(said), STDERR_FILENO);
    o.status =
        nl_study_parse(&(nl_study_source){"f", text, strlen(text), set_count, sets}, &o.study);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fseek(said, 0, SEEK_END);
    size = ftell(said);
    rewind(said);
    o.text = calloc((size_t)size + 1, 1);
    assert_int_equal(fread(o.text, 1, (size_t)size, said), size);
    fclose(said);
    for (char *at = strtok(o.text, "\n"); at != NULL && o.lines < most_lines;
         at = strtok(NULL, "\n")) {
        o.line[o.lines++] = at;
    }
    return o;
}

static inline void forget(outcome *o)
{
    nl_study_destroy(&o->study);
    free(o->text);
}

#endif
