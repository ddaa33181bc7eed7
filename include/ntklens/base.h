/** @file base.h  What every room stands on: status, messages, memory, text, clock, random numbers.
 * No MPI. */
#ifndef NTKLENS_BASE_H
#define NTKLENS_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NL_MUST_CHECK                  __attribute__((warn_unused_result))
#define NL_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define NL_COUNT(array)                (sizeof(array) / sizeof((array)[0]))

/** Compile a loop for each level of x86-64 vectors and choose at load time, so that a portable
 *  build uses the CPU it meets.  Element by element and without contraction the bits are the same
 *  at every level.  Not under ThreadSanitizer, which starts only after that choice. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    __GNUC__ >= 12 && !defined(__SANITIZE_THREAD__)
#define NL_VECTOR_CLONES                                                                           \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NL_VECTOR_CLONES
#endif

static inline int nl_smaller(int a, int b)
{
    return a < b ? a : b;
}

static inline int nl_larger(int a, int b)
{
    return a > b ? a : b;
}

/** Length of the parts that `length` is best cut into: alike, at most `most`, multiples of eight,
 *  where `most` is one. */
static inline int nl_even_part(int length, int most)
{
    const int count = (length + most - 1) / most;
    const int part = (length + count - 1) / count;

    return nl_smaller((part + 7) / 8 * 8, most);
}

/** Where the part of one of `parts` begins, who have consecutive parts of n things. */
static inline int nl_share_begin(int n, int part, int parts)
{
    return (int)((long)n * part / parts);
}

/*---------------------------------------------------------------------------------------------
 * Status
 *-------------------------------------------------------------------------------------------*/

/** Every status: name, exit code of the program that ends with it, text.  Worse ones stand later:
 *  where ranks fail differently, nl_agree() returns the last of them in this list. */
#define NL_STATUS_LIST(X)                                                                          \
    X(NL_OK, 0, "success")                                                                         \
    X(NL_STOPPED, 75, "stopped early, run the same command again to continue")                     \
    X(NL_ERR_NUMERIC, 4, "numerical failure")                                                      \
    X(NL_ERR_LINALG, 4, "linear algebra library failed")                                           \
    X(NL_ERR_DAMAGED, 3, "damaged file")                                                           \
    X(NL_ERR_OUTDATED, 3, "of another file format")                                                \
    X(NL_ERR_DATA, 3, "data error")                                                                \
    X(NL_ERR_OTHER_DATA, 2, "made from other images")                                              \
    X(NL_ERR_STUDY, 2, "study file error")                                                         \
    X(NL_ERR_USAGE, 2, "usage error")                                                              \
    X(NL_ERR_BUSY, 75, "in use by another run")                                                    \
    X(NL_ERR_FULL, 75, "no space left")                                                            \
    X(NL_ERR_DENIED, 75, "folder gone or not writable")                                            \
    X(NL_ERR_IO, 1, "input or output failed")                                                      \
    X(NL_ERR_NOMEM, 1, "out of memory")                                                            \
    X(NL_ERR_MPI, 1, "MPI failed")                                                                 \
    X(NL_ERR_ARG, 1, "invalid argument")                                                           \
    X(NL_ERR_INTERNAL, 1, "internal error")

typedef enum nl_status {
#define NL_STATUS_ENUM(name, exit_code, text) name,
    NL_STATUS_LIST(NL_STATUS_ENUM)
#undef NL_STATUS_ENUM
} nl_status;

/** Text of a status, never NULL. */
const char *nl_status_text(nl_status status);

/** Exit code of a program that ends with this status: 0, 1, 2, 3, 4 or 75 (`ntklens --help` says
 * what each means). */
int nl_status_exit_code(nl_status status);

/** What a failed change of a file means, by errno: NL_ERR_FULL (disk, quota) and NL_ERR_DENIED
 *  (folder removed, permission lost, file system read-only or stale) can be put right from outside,
 *  and the same command continues; NL_ERR_USAGE: the name leads to another kind of file;
 *  NL_ERR_IO, a broken disk, say, cannot be helped. */
nl_status nl_write_status(int error);

/** strerror() and what helps against it, the end of a message; `out` holds 192 bytes. */
const char *nl_write_reason(int error, char out[192]);

/**
 * Report an error once, where it arises: one line `ntklens: ...` on stderr, atomically written.
 * Say where, what, and what was expected.  Callers propagate the status in silence.
 * The value is `status` itself, so that compilers and analysers see that it is no success.
 */
#define NL_FAIL(status, ...) (nl_complain(__VA_ARGS__), (nl_status)(status))
void nl_complain(const char *format, ...) NL_PRINTF(1, 2);

/** A line `ntklens: warning: ...` on stderr, for what does not stop the work. */
void nl_warn(const char *format, ...) NL_PRINTF(1, 2);

/*---------------------------------------------------------------------------------------------
 * System calls on files.  A signal may interrupt them on file systems that are far away: they are
 * repeated then, but for close(), which has closed the file all the same.
 *-------------------------------------------------------------------------------------------*/

/** The value of a call that fails by -1 and errno, repeated while errno is EINTR. */
#define NL_REPEAT(call)                                                                            \
    (__extension__({                                                                               \
        long nl_result_;                                                                           \
        do {                                                                                       \
            nl_result_ = (long)(call);                                                             \
        } while (nl_result_ == -1L && errno == EINTR);                                             \
        nl_result_;                                                                                \
    }))

/** open(2), creating with mode 0666, of a file that stays in its place while it is written, as a
 * log does.  A link is not followed: whoever may write beside the file would choose what is written
 * to.
 *  @return -1 with errno, ELOOP also for what is no regular file */
int nl_open_plain(const char *path, int flags);

/** All bytes, in as many calls as it takes; false with errno. */
bool nl_write_all(int file, const void *bytes, size_t length);

/*---------------------------------------------------------------------------------------------
 * Log: lines `event key=value ...`, each with the time; never results
 *-------------------------------------------------------------------------------------------*/

/** Opaque.  Owns its file.  NULL is a valid log that drops every line: ranks other than the root.
 */
typedef struct nl_log nl_log;

/** Open (append to) a log file.  Local. */
NL_MUST_CHECK nl_status nl_log_open(const char *path, nl_log **out);

/** Write one event; thread-safe; NULL-safe.  `format` gives the `key=value` pairs. */
void nl_log_event(nl_log *log, const char *event, const char *format, ...) NL_PRINTF(3, 4);

/** Write nothing more, whoever still has events; NULL-safe. */
void nl_log_mute(nl_log *log);

/** Close and set to NULL; NULL-safe. */
void nl_log_close(nl_log **log);

/*---------------------------------------------------------------------------------------------
 * Memory: aligned for the widest vectors, so that results never depend on where a block lies
 *-------------------------------------------------------------------------------------------*/

/** `count` elements of `size` bytes, zeroed, 64-byte aligned; NULL when they cannot be had or the
 *  product overflows.  A count of 0 gives a block that may be freed.  Free with free(). */
void *nl_calloc(size_t count, size_t size) __attribute__((malloc));

/** The same, not zeroed: for what is written before it is read. */
void *nl_alloc(size_t count, size_t size) __attribute__((malloc));

/** Memory that such a block of so many bytes takes: whole pages of 2 MiB where it is larger than
 *  one. */
double nl_block_bytes(double bytes);

/** Zeros that take memory as they are first written, a small page at a time.  NULL as above.
 *
 *  @param[out] mapped  bytes, for nl_unmap() */
void *nl_map_zeros(size_t count, size_t size, size_t *mapped);
void nl_unmap(void *block, size_t mapped);

/** Largest resident set of this process so far, bytes; 0 where the system does not tell. */
size_t nl_peak_memory(void);

/*---------------------------------------------------------------------------------------------
 * Text that grows
 *-------------------------------------------------------------------------------------------*/

/** Zero-initialise; free with nl_text_free().  After a failed allocation `failed` is set and
 *  further appends do nothing, so that callers check once, at the end. */
typedef struct nl_text {
    char *data;    /* owned, NUL-terminated once anything was appended */
    size_t length; /* without the NUL */
    size_t capacity;
    bool failed;
} nl_text;

void nl_text_append(nl_text *text, const char *format, ...) NL_PRINTF(2, 3);
void nl_text_append_bytes(nl_text *text, const void *bytes, size_t length);
void nl_text_free(nl_text *text);

/** Room for `more` bytes and a NUL behind what is there; false once memory ran out. */
bool nl_text_reserve(nl_text *text, size_t more);

/*---------------------------------------------------------------------------------------------
 * Texts of strangers: names, folders, fields of tables may hold anything.  Control characters are
 * what a terminal might obey: C0, DEL, C1, ends of lines, directions of writing, bytes that are no
 * UTF-8.  Complaints, warnings and the log escape by themselves all they are given.
 *-------------------------------------------------------------------------------------------*/

/** Code point at `text` and the bytes it takes; U+FFFD and 1 where they are no UTF-8. */
uint32_t nl_utf8_decode(const char *text, size_t *length);

/** Is the character at `text` a control character? */
bool nl_is_control(const char *text, size_t *length);

/** `text` with visible escapes for control characters (\n, \x1b), as far as `out` holds it; out. */
const char *nl_escaped(const char *text, char *out, size_t size);

/** Control characters become question marks, in place: for what is read and never written back. */
void nl_mask_controls(char *text);

/** Shortest decimal (at most 17 significant digits) that reads back as `value`; out holds 32 bytes.
 */
const char *nl_format_double(double value, char out[32]);

/** A count with its noun, as "1 cell", "2 cells"; out holds 48 bytes. */
const char *nl_format_count(long count, const char *noun, char out[48]);

/** Bytes with a binary unit, as "1.25 GiB"; out holds 32 bytes. */
const char *nl_format_bytes(double bytes, char out[32]);

/** Seconds as "12.3 s", "4 min 05 s", "3 h 20 min", "5 d 03 h"; out holds 32 bytes. */
const char *nl_format_seconds(double seconds, char out[32]);

/*---------------------------------------------------------------------------------------------
 * Clock
 *-------------------------------------------------------------------------------------------*/

/** Seconds on a clock that never goes back. */
double nl_now(void);

/** Whom a long loop asks whether to leave early. */
typedef struct nl_interrupt {
    bool (*asked)(const void *context);
    const void *context; /* borrowed */
} nl_interrupt;

/** Is it to be left?  NULL-safe: nobody asks for it. */
static inline bool nl_interrupted(const nl_interrupt *interrupt)
{
    return interrupt != NULL && interrupt->asked != NULL && interrupt->asked(interrupt->context);
}

/** Sleep; used between polls, so that a waiting rank leaves its core to others. */
void nl_sleep(double seconds);

/** Opaque.  A thread of its own that does one thing again and again: for what may take long, or
 * must not be held up by what does.  It meets no signals. */
typedef struct nl_ticker nl_ticker;

typedef void nl_tick_fn(void *context);

/** Call tick(context), now and then every `seconds` after its return, on a new thread.
 *  @param[in] context  borrowed until nl_ticker_end() */
NL_MUST_CHECK nl_status nl_ticker_create(double seconds, nl_tick_fn *tick, void *context,
                                         nl_ticker **out);

/** Wait for a call that is under way, end the thread, set to NULL; NULL-safe. */
void nl_ticker_end(nl_ticker **ticker);

/*---------------------------------------------------------------------------------------------
 * Random numbers: Philox4x32-10 (Salmon et al. 2011, library Random123), a pure function of
 * (seed, purpose, a, b, c, position): never of rank or order of calls elsewhere.
 *-------------------------------------------------------------------------------------------*/

/** What a stream is for.  Values are part of the results: never renumber, only append. */
typedef enum nl_purpose {
    NL_PURPOSE_TEST_DRAW = 1, /* seed data.seed: permutation of the test file */
    NL_PURPOSE_SUBSET = 2,    /* seed of the cell, or data.seed: permutation of the training file */
    NL_PURPOSE_LABEL_NOISE = 3, /* same seed as the subset; a = index in the file */
    NL_PURPOSE_INIT = 4,  /* seed of the cell; a = width, b = depth, c = layer (ntk: + 2^16) */
    NL_PURPOSE_BATCH = 5, /* seed of the cell; a = n_train, b = epoch */
    NL_PURPOSE_GLYPH_TRAIN = 6, /* a = image index */
    NL_PURPOSE_GLYPH_TEST = 7,  /* a = image index */
    NL_PURPOSE_SELF_TEST = 8,   /* doctor and tests */
    NL_PURPOSE_CHECK = 9, /* seed 0: vectors that filled kernels are checked with; a = order */
    NL_PURPOSE_QUADRATURE = 10, /* seed data.seed: a = order, b = what for, c = index */
} nl_purpose;

typedef struct nl_rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    int used;     /* words of `block` handed out; 4: none left */
    double spare; /* second normal of a Box-Muller pair */
    bool have_spare;
} nl_rng;

nl_rng nl_rng_open(uint32_t seed, nl_purpose purpose, uint32_t a, uint32_t b, uint32_t c);

/** Next 32 random bits. */
uint32_t nl_rng_u32(nl_rng *rng);

/** -1 or 1. */
double nl_rng_sign(nl_rng *rng);

/** Uniform on (0, 1), 53 bits. */
double nl_rng_uniform(nl_rng *rng);

/** Standard normal (Box-Muller, in double). */
double nl_rng_normal(nl_rng *rng);

/** Uniform integer in [0, bound), unbiased; bound >= 1. */
uint32_t nl_rng_below(nl_rng *rng, uint32_t bound);

/** Shuffle n integers in place (Fisher-Yates). */
void nl_rng_shuffle(nl_rng *rng, int *items, int n);

#endif
