/** @file fuzz.h  What the fuzz targets share.  Each defines nl_fuzz_one(); libFuzzer, where there
 * is one, or driver.c calls it with one input after the other. */
#ifndef NTKLENS_TESTS_FUZZ_H
#define NTKLENS_TESTS_FUZZ_H

#include "ntklens/io.h"
#include "ntklens/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** libFuzzer's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Seeds that a target makes itself, k = 0, 1, ...; free().  NULL: there are no more.  Optional. */
uint8_t *fuzz_make_seed(int k, size_t *size) __attribute__((weak));

#define FUZZ_MINIMAL                                                                               \
    "data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 4}\n"                    \
    "model: {widths: [8]}\n"                                                                       \
    "training: {max_steps: 20, optimizer: momentum}\n"                                             \
    "measure: {steps_per_decade: 1}\n"                                                             \
    "output: {snapshots: measured, kernels: true}\n"

/** What must hold for every input; a failure is a finding. */
#define FUZZ_EXPECT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stdout, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            fflush(stdout);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** A folder in memory of this process alone, made once; and a file there with some content. */
static inline const char *fuzz_folder(void)
{
    static char folder[64];

    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/dev/shm/ntklens-fuzz-%ld", (long)getpid());
        FUZZ_EXPECT(mkdir(folder, 0700) == 0);
    }
    return folder;
}

static inline const char *fuzz_path(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", fuzz_folder(), name);
    return out;
}

static inline void fuzz_write(const char *name, const void *bytes, size_t size)
{
    char path[128];
    FILE *file = fopen(fuzz_path(name, path), "wbe");

    FUZZ_EXPECT(file != NULL);
    FUZZ_EXPECT(fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

/** A study that is known to be right. */
static inline nl_study *fuzz_study(void)
{
    nl_study *study = NULL;

    FUZZ_EXPECT(nl_study_parse(&(nl_study_source){"f", FUZZ_MINIMAL, strlen(FUZZ_MINIMAL), 0, NULL},
                               &study) == NL_OK);
    return study;
}

/** Input as a text, free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_EXPECT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
