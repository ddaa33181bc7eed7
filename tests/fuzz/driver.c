/**
 * @file driver.c  Runs a fuzz target without libFuzzer: its seeds as they are, then so many changed
 * ones, a pure function of the seed of the random numbers.
 *
 *     fuzz_TARGET CHANGED SEED FOLDER [TO]   folder of seeds, "-": none; TO: a folder they, and
 * those that the target makes itself, are written to
 *
 * Findings are crashes and what the sanitizers say; the input is left in ./fuzz-input then.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { most_seeds = 256, most_bytes = 1 << 18, patience = 20 /* seconds for one input */ };

typedef struct input {
    uint8_t *bytes; /* owned */
    size_t size;
} input;

static uint8_t present[most_bytes];
static size_t present_size;

/* Only calls that are safe in a handler. */
static void leave_input(int signal_number)
{
    const int file = open("fuzz-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (file >= 0) {
        (void)!write(file, present, present_size);
        close(file);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static uint64_t next(uint64_t *state) /* xorshift64* (Vigna 2016) */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static size_t below(uint64_t *state, size_t bound)
{
    return (size_t)((next(state) >> 11) % (bound > 0 ? bound : 1));
}

static void change_number(uint64_t *state, uint8_t *bytes, size_t size)
{
    static const uint64_t telling[] = {0,          1,          2,         0x7f,       0x80,
                                       0xff,       0x7fff,     0xffff,    0x7fffffff, 0xffffffff,
                                       1ULL << 40, 1ULL << 62, UINT64_MAX};
    const size_t width = (size_t)1 << below(state, 4);
    uint64_t value = telling[below(state, NL_COUNT(telling))];

    if (size >= width) {
        const size_t at = below(state, size - width + 1);

        if (below(state, 3) == 0) { /* near what stood there */
            value = 0;
            memcpy(&value, bytes + at, width);
            value += below(state, 17) - 8;
        }
        memcpy(bytes + at, &value, width);
    }
}

/* Bytes of one place, or of another seed, to another: of the same length, or put between. */
static void copy_part(uint64_t *state, const input *from)
{
    const size_t length = 1 + below(state, from->size < 64 ? from->size : 64);
    const size_t at = below(state, present_size + 1);
    const bool between = below(state, 2) == 0 && present_size + length <= most_bytes;

    if (from->size < length || (!between && at + length > present_size)) {
        return;
    }
    if (between) {
        memmove(present + at + length, present + at, present_size - at);
        present_size += length;
    }
    memcpy(present + at, from->bytes + below(state, from->size - length + 1), length);
}

static void cut_part(uint64_t *state)
{
    const size_t length = 1 + below(state, present_size < 32 ? present_size : 32);

    if (present_size >= length) {
        const size_t at = below(state, present_size - length + 1);

        memmove(present + at, present + at + length, present_size - at - length);
        present_size -= length;
    }
}

static void change(uint64_t *state, const input *seeds, int count)
{
    for (size_t k = 1 + below(state, 6); k > 0; k--) {
        switch (below(state, 8)) {
        case 0:
        case 1:
            if (present_size > 0) {
                present[below(state, present_size)] ^= (uint8_t)(1u << below(state, 8));
            }
            break;
        case 2:
            if (present_size > 0) {
                present[below(state, present_size)] = (uint8_t)next(state);
            }
            break;
        case 3:
        case 4:
            change_number(state, present, present_size);
            break;
        case 5:
            copy_part(state, &seeds[below(state, (size_t)count)]);
            break;
        case 6:
            cut_part(state);
            break;
        default:
            present_size = below(state, 16) == 0 ? below(state, present_size + 1) : present_size;
            break;
        }
    }
}

static int read_seeds(const char *folder, input *seeds)
{
    DIR *listing = strcmp(folder, "-") != 0 ? opendir(folder) : NULL;
    int count = 0;

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL;
         entry != NULL && count < most_seeds; entry = readdir(listing)) {
        char *path = nl_path_join(folder, entry->d_name);
        unsigned char *bytes = NULL;
        size_t size = 0;

        if (path != NULL && entry->d_name[0] != '.' &&
            nl_file_read_limited(path, NL_PLAIN, most_bytes, &bytes, &size) == NL_OK) {
            seeds[count++] = (input){bytes, size};
        }
        free(path);
    }
    if (listing != NULL) {
        closedir(listing);
    }
    for (int k = 0; fuzz_make_seed != NULL && count < most_seeds; k++) {
        seeds[count].bytes = fuzz_make_seed(k, &seeds[count].size);
        if (seeds[count].bytes == NULL) {
            break;
        }
        FUZZ_EXPECT(seeds[count].size <= most_bytes);
        count++;
    }
    return count;
}

static void run_one(void)
{
    uint8_t *bytes = malloc(present_size > 0 ? present_size : 1); /* its end is watched */

    FUZZ_EXPECT(bytes != NULL);
    memcpy(bytes, present, present_size);
    alarm(patience);
    LLVMFuzzerTestOneInput(bytes, present_size);
    free(bytes);
}

int main(int argc, char **argv)
{
    static input seeds[most_seeds];
    const long changed = argc > 1 ? atol(argv[1]) : 0;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) * 2 + 1 : 1;
    int count = argc > 3 ? read_seeds(argv[3], seeds) : 0;
    const double start = nl_now();
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const bool sanitized = getenv("FUZZ_LOUD") != NULL;

    signal(SIGABRT, leave_input);
    signal(SIGALRM, leave_input);
    if (!sanitized && nowhere >= 0) {
        dup2(nowhere, STDERR_FILENO); /* complaints are not what is looked for */
    }
    if (count == 0) {
        seeds[count++] = (input){calloc(1, 1), 0};
    }
    for (int k = 0; argc > 4 && k < count; k++) {
        char path[512];

        snprintf(path, sizeof path, "%s/%d", argv[4], k);
        FUZZ_EXPECT(nl_file_write_atomic(path, seeds[k].bytes, seeds[k].size, NL_PLAIN) == NL_OK);
    }
    for (long k = -count; k < changed; k++) {
        const input *from = &seeds[k < 0 ? (size_t)(-k - 1) : below(&state, (size_t)count)];

        memcpy(present, from->bytes, from->size);
        present_size = from->size;
        if (k >= 0) {
            change(&state, seeds, count);
        }
        run_one();
    }
    printf("%d seeds, %ld changed inputs, %.1f s\n", count, changed, nl_now() - start);
    for (int k = 0; k < count; k++) {
        free(seeds[k].bytes);
    }
    return 0;
}
