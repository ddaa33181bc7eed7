/**
 * @file crew.c  Threads that share what one rank computes.
 *
 * A job is open from when the caller has described it until no piece is left.  A thread that wants
 * to take part first says so (`inside`) and then looks whether the job is open; the caller closes
 * it first and then waits until nobody is inside.  So whoever is late finds it closed, or the next
 * one open, which is described by then.
 */
#include "ntklens/crew.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

static const double spin_seconds = 100e-6; /* longer than what is done between the jobs of a step */
enum { spins_a_look = 64, spins_before_yield = 4096, cache_line = 64 };

/** What a thread is to do. */
enum { asleep, working, leaving };

typedef struct crew_thread {
    nl_crew *crew;
    int worker;
    pthread_t thread;
    bool started;
    _Alignas(cache_line) atomic_uint order; /* futex */
} crew_thread;

struct nl_crew {
    double every;
    nl_crew_look_fn *look;
    void *context; /* borrowed */
    double next_look;
    int size; /* threads that work, with the caller */
    int most; /* of these */
    crew_thread thread[nl_most_of_crew];
    /* the job */
    nl_crew_piece_fn *piece;
    void *piece_context;
    int pieces;
    unsigned rounding;
    _Alignas(cache_line) atomic_uint number; /* futex; of the job */
    atomic_int sleepers;                     /* on that */
    atomic_bool open;
    _Alignas(cache_line) atomic_int next; /* piece */
    _Alignas(cache_line) atomic_int inside;
};

static void sleep_while(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void relax(void)
{
#ifdef __SSE2__
    _mm_pause();
#endif
}

/* How the calling thread rounds, and whether subnormal numbers count as zero. */
static unsigned rounding_here(void)
{
#ifdef __SSE2__
    return _mm_getcsr();
#else
    return 0;
#endif
}

static void round_as(unsigned rounding)
{
#ifdef __SSE2__
    _mm_setcsr(rounding);
#else
    (void)rounding;
#endif
}

static void take_pieces(nl_crew *crew, int worker)
{
    for (int piece = atomic_fetch_add(&crew->next, 1); piece < crew->pieces;
         piece = atomic_fetch_add(&crew->next, 1)) {
        crew->piece(crew->piece_context, piece, worker);
    }
}

static void take_part(nl_crew *crew, int worker)
{
    atomic_fetch_add(&crew->inside, 1);
    if (atomic_load(&crew->open)) {
        round_as(crew->rounding);
        take_pieces(crew, worker);
    }
    atomic_fetch_sub(&crew->inside, 1);
}

/* Until there is another job than `seen`, or another order: spin, then sleep. */
static void await_job(nl_crew *crew, const crew_thread *self, unsigned seen)
{
    const double until = nl_now() + spin_seconds;

    do {
        for (int k = 0; k < spins_a_look; k++) {
            if (atomic_load_explicit(&crew->number, memory_order_acquire) != seen ||
                atomic_load_explicit(&self->order, memory_order_acquire) != working) {
                return;
            }
            relax();
        }
    } while (nl_now() < until);
    atomic_fetch_add(&crew->sleepers, 1);
    sleep_while(&crew->number, seen);
    atomic_fetch_sub(&crew->sleepers, 1);
}

static void *work(void *argument)
{
    crew_thread *self = argument;
    nl_crew *crew = self->crew;
    unsigned seen = atomic_load(&crew->number) - 1; /* the present job may be open */
    unsigned order = asleep;

    while ((order = atomic_load(&self->order)) != leaving) {
        const unsigned number = atomic_load(&crew->number);

        if (order == asleep) {
            sleep_while(&self->order, asleep);
        } else if (number != seen) {
            seen = number;
            take_part(crew, self->worker);
        } else {
            await_job(crew, self, seen);
        }
    }
    return NULL;
}

nl_status nl_crew_create(double every, nl_crew_look_fn *look, void *context, nl_crew **out)
{
    nl_crew *crew = nl_calloc(1, sizeof *crew);

    *out = crew;
    if (crew == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for threads");
    }
    crew->every = every;
    crew->look = look;
    crew->context = context;
    crew->size = 1;
    crew->most = nl_most_of_crew;
    for (int k = 1; k < nl_most_of_crew; k++) {
        crew->thread[k].crew = crew;
        crew->thread[k].worker = k;
    }
    return NL_OK;
}

void nl_crew_destroy(nl_crew **crew_)
{
    nl_crew *crew = *crew_;

    if (crew == NULL) {
        return;
    }
    for (int k = 1; k < nl_most_of_crew; k++) {
        atomic_store(&crew->thread[k].order, leaving);
        wake_all(&crew->thread[k].order);
    }
    atomic_fetch_add(&crew->number, 1);
    wake_all(&crew->number);
    for (int k = 1; k < nl_most_of_crew; k++) {
        if (crew->thread[k].started) {
            pthread_join(crew->thread[k].thread, NULL);
        }
    }
    free(crew);
    *crew_ = NULL;
}

static bool start(crew_thread *thread)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread->started = pthread_create(&thread->thread, NULL, work, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return thread->started;
}

int nl_crew_hire(nl_crew *crew, const cpu_set_t *cores)
{
    crew_thread *thread = NULL;
    cpu_set_t own;
    int k = 1;

    while (k < crew->most && atomic_load(&crew->thread[k].order) != asleep) {
        k++;
    }
    if (k == crew->most) {
        return -1;
    }
    thread = &crew->thread[k];
    if (!thread->started && !start(thread)) {
        return -1;
    }
    if (cores == NULL && sched_getaffinity(0, sizeof own, &own) == 0) {
        cores = &own;
    }
    if (cores == NULL || pthread_setaffinity_np(thread->thread, sizeof *cores, cores) != 0) {
        return -1;
    }
    atomic_store(&thread->order, working);
    wake_all(&thread->order);
    crew->size++;
    return k;
}

void nl_crew_dismiss(nl_crew *crew, int worker)
{
    atomic_store(&crew->thread[worker].order, asleep);
    crew->size--;
}

void nl_crew_limit(nl_crew *crew, int most)
{
    crew->most = most;
}

int nl_crew_most(const nl_crew *crew)
{
    return crew != NULL ? crew->most : 1;
}

int nl_crew_size(const nl_crew *crew)
{
    return crew != NULL ? crew->size : 1;
}

void nl_crew_look(nl_crew *crew)
{
    if (crew != NULL && crew->look != NULL && nl_now() >= crew->next_look) {
        crew->look(crew->context, crew);
        crew->next_look = nl_now() + crew->every;
    }
}

static void await_others(nl_crew *crew)
{
    for (int k = 0; atomic_load(&crew->inside) != 0; k++) {
        if (k < spins_before_yield) {
            relax();
        } else {
            sched_yield(); /* somebody else has that core */
        }
    }
}

void nl_crew_run(nl_crew *crew, nl_crew_piece_fn *piece, void *context, int pieces)
{
    nl_crew_look(crew);
    if (nl_crew_size(crew) == 1 || pieces <= 1) {
        for (int k = 0; k < pieces; k++) {
            piece(context, k, 0);
        }
        return;
    }
    crew->piece = piece;
    crew->piece_context = context;
    crew->pieces = pieces;
    crew->rounding = rounding_here();
    atomic_store(&crew->next, 0);
    atomic_store(&crew->open, true);
    atomic_fetch_add(&crew->number, 1);
    if (atomic_load(&crew->sleepers) > 0) {
        wake_all(&crew->number);
    }
    take_pieces(crew, 0);
    atomic_store(&crew->open, false);
    await_others(crew);
}
