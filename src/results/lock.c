/** @file lock.c  DIR/lock: who runs here. */
#include "ntklens/folder.h"
#include "ntklens/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double patience = 10.0; /* seconds to wait for another run to end */
static const double poll_interval = 0.25;
static const double beat_interval = 1.0; /* several fit into the patience of another run */
static const double sign_of_life = 15.0; /* a file touched longer ago than that is left behind */

struct nl_lock {
    int file;
    char *folder; /* owned */
    nl_holder me;
    atomic_bool lost;  /* set by the ticker's thread */
    nl_ticker *ticker; /* owned */
};

/** A process as /proc tells it. */
typedef struct process {
    unsigned long long start; /* clock ticks since boot; 0: no such process, or no /proc */
    bool dying;               /* killed: its memory is gone, or nobody has asked for its end yet */
} process;

/* Fields 3, 22 and 23 of /proc/<pid>/stat: state, start, and the size of its memory, 0 once it is
 * given back, which comes before files are closed. */
static process inspect_process(long pid)
{
    char path[64];
    char line[1024];
    char state = 0;
    unsigned long long size = 0;
    process found = {0};
    FILE *file = NULL;
    const char *behind = NULL;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            behind = strrchr(line, ')'); /* the command's name may hold anything */
        }
        fclose(file);
    }
    if (behind == NULL ||
        sscanf(behind + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
               "%*d %llu %llu",
               &state, &found.start, &size) != 3) {
        return (process){0};
    }
    found.dying = state == 'Z' || state == 'X' || size == 0;
    return found;
}

static nl_holder myself(void)
{
    nl_holder me = {.pid = (long)getpid()};
    const char *job = getenv("SLURM_JOB_ID");
    time_t now = time(NULL);
    struct tm utc;

    if (gethostname(me.host, sizeof me.host - 1) != 0) {
        snprintf(me.host, sizeof me.host, "unknown");
    }
    me.start = inspect_process(me.pid).start;
    snprintf(me.job, sizeof me.job, "%s", job != NULL && job[0] != '\0' ? job : "-");
    strftime(me.since, sizeof me.since, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return me;
}

/* False where the file is empty or not whole: nobody holds it. */
static bool read_holder(int file, nl_holder *h)
{
    char text[1024];
    const ssize_t length = NL_REPEAT(pread(file, text, sizeof text - 1, 0));

    *h = (nl_holder){0};
    if (length <= 0) {
        return false;
    }
    text[length] = '\0';
    if (sscanf(text, "host=%255s\npid=%ld\nstart=%llu\njob=%63s\ntime=%31s", h->host, &h->pid,
               &h->start, h->job, h->since) != 5) {
        return false;
    }
    nl_mask_controls(h->host);
    nl_mask_controls(h->job);
    nl_mask_controls(h->since);
    return true;
}

static bool write_holder(int file, const nl_holder *h)
{
    char text[1024];
    int length = snprintf(text, sizeof text, "host=%s\npid=%ld\nstart=%llu\njob=%s\ntime=%s\n",
                          h->host, h->pid, h->start, h->job, h->since);

    return NL_REPEAT(ftruncate(file, 0)) == 0 &&
           NL_REPEAT(pwrite(file, text, (size_t)length, 0)) == length &&
           NL_REPEAT(fsync(file)) == 0;
}

static double seconds_of(struct timespec time)
{
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double changed_at(int file)
{
    struct stat entry;

    return fstat(file, &entry) == 0 ? seconds_of(entry.st_mtim) : 0.0;
}

/** What is known of another run after a look. */
typedef enum sight { DEAD, ALIVE, UNKNOWN } sight;

static sight look_at(const nl_holder *other, const nl_holder *me)
{
    if (strcmp(other->host, me->host) == 0) {
        const process found = inspect_process(other->pid);

        if (other->pid == me->pid) {
            return DEAD; /* an earlier process with our number */
        }
        return found.start != 0 && found.start == other->start && !found.dying ? ALIVE : DEAD;
    }
    if (strcmp(me->job, "-") != 0 && strcmp(other->job, me->job) == 0) {
        return DEAD; /* an earlier start of this job on another node */
    }
    return UNKNOWN;
}

/* Killed a moment ago, on this host: the system may still hold its files open. */
static bool is_dying(const nl_holder *other, const nl_holder *me)
{
    const process found = inspect_process(other->pid);

    return strcmp(other->host, me->host) == 0 && found.start == other->start && found.dying;
}

bool nl_lock_inspect(const char *folder, nl_holder *holder, bool *alive)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    nl_holder me = myself();
    char *path = nl_path_join(folder, "lock");
    const int file = path != NULL ? nl_open_plain(path, O_RDONLY) : -1;
    const bool named = file >= 0 && read_holder(file, holder);
    struct timespec now;

    *alive = false;
    snprintf(me.job, sizeof me.job, "-"); /* whoever only looks may do so from within the job */
    if (named && fcntl(file, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK) {
        *alive = !is_dying(holder, &me);
    } else if (named) {
        const sight what = look_at(holder, &me);

        clock_gettime(CLOCK_REALTIME, &now);
        *alive =
            what == ALIVE || (what == UNKNOWN && seconds_of(now) - changed_at(file) < sign_of_life);
    }
    if (file >= 0) {
        close(file);
    }
    free(path);
    return named;
}

/* Wait until nobody else runs here; false when patience ends and *other still does. */
static bool wait_for_turn(const char *folder, int file, const nl_holder *me, nl_holder *other)
{
    const double start = nl_now();
    const double seen = changed_at(file);
    bool told = false;

    for (;;) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        const bool locked =
            NL_REPEAT(fcntl(file, F_SETLK, &whole)) == 0 || (errno != EACCES && errno != EAGAIN);
        const bool held = read_holder(file, other);
        const sight what = held ? look_at(other, me) : DEAD;

        if (locked && what == DEAD) {
            return true;
        }
        if (nl_now() - start >= patience) {
            return locked && what == UNKNOWN && changed_at(file) == seen;
        }
        if (!told) {
            nl_warn("%s: waiting %.0f s for another run to end", folder, patience);
            told = true;
        }
        nl_sleep(poll_interval);
    }
}

/* Tells errno. */
static nl_status failure(const char *path, const char *what)
{
    const int error = errno;
    char reason[192];

    return NL_FAIL(nl_write_status(error), "%s: cannot be %s: %s", path, what,
                   nl_write_reason(error, reason));
}

static void destroy(nl_lock *lock)
{
    if (lock != NULL) {
        nl_ticker_end(&lock->ticker);
        if (lock->file >= 0) {
            close(lock->file);
        }
        free(lock->folder);
        free(lock);
    }
}

static void beat(void *context);

nl_status nl_lock_take(const char *folder, nl_lock **out)
{
    char *path = nl_path_join(folder, "lock");
    nl_lock *lock = calloc(1, sizeof *lock);
    nl_holder other = {0};
    nl_status status = NL_OK;

    *out = NULL;
    if (lock != NULL) {
        lock->file = -1;
        lock->folder = strdup(folder);
        lock->me = myself();
    }
    if (path == NULL || lock == NULL || lock->folder == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a lock");
        goto done;
    }
    lock->file = nl_open_plain(path, O_RDWR | O_CREAT);
    if (lock->file < 0) {
        status = failure(path, "opened for writing");
    } else if (!wait_for_turn(folder, lock->file, &lock->me, &other)) {
        status = NL_FAIL(NL_ERR_BUSY,
                         "%s: another run is at work there: host %s, process %ld, job %s, since %s",
                         folder, other.host, other.pid, other.job, other.since);
    } else if (!write_holder(lock->file, &lock->me)) {
        status = failure(path, "written");
    } else {
        status = nl_ticker_create(beat_interval, beat, lock, &lock->ticker);
    }

done:
    free(path);
    if (status != NL_OK) {
        destroy(lock);
        return status;
    }
    *out = lock;
    return NL_OK;
}

const nl_holder *nl_lock_holder(const nl_lock *lock)
{
    return &lock->me;
}

/** What the file says. */
typedef enum claim { OURS, NOBODYS, OTHERS, UNREADABLE } claim;

static claim read_claim(const char *folder, const nl_holder *me, nl_holder *now)
{
    char *path = nl_path_join(folder, "lock");
    const int file = path != NULL ? nl_open_plain(path, O_RDONLY) : -1;
    claim found = path != NULL && (errno == ENOENT || errno == ELOOP) ? NOBODYS : UNREADABLE;

    if (file >= 0) {
        found = !read_holder(file, now) ? NOBODYS
                : strcmp(now->host, me->host) == 0 && now->pid == me->pid &&
                        now->start == me->start && strcmp(now->since, me->since) == 0
                    ? OURS
                    : OTHERS;
        close(file);
    }
    free(path);
    return found;
}

bool nl_lock_is_held(const char *folder, const nl_holder *holder)
{
    nl_holder now;
    const claim found = read_claim(folder, holder, &now);

    return found == OURS || found == UNREADABLE;
}

/* nl_tick_fn: is it still ours?  Then a sign of life. */
static void beat(void *context)
{
    nl_lock *lock = context;

    if (!nl_lock_is_held(lock->folder, &lock->me)) {
        atomic_store(&lock->lost, true);
    } else {
        futimens(lock->file, NULL);
    }
}

bool nl_lock_is_lost(const nl_lock *lock)
{
    return lock != NULL && atomic_load(&lock->lost);
}

nl_status nl_lock_complain_lost(const nl_lock *lock)
{
    nl_holder now;

    if (read_claim(lock->folder, &lock->me, &now) == OTHERS) {
        return NL_FAIL(NL_ERR_BUSY,
                       "%s: the lock is lost: another run has taken it over: host %s, process %ld, "
                       "job %s, since %s; this one ends and writes nothing more",
                       lock->folder, now.host, now.pid, now.job, now.since);
    }
    return NL_FAIL(NL_ERR_BUSY,
                   "%s: the lock is lost: its file was removed or emptied; this run ends and "
                   "writes nothing more, the same command continues",
                   lock->folder);
}

void nl_lock_release(nl_lock **lock)
{
    nl_lock *l = *lock;

    if (l != NULL) {
        nl_ticker_end(&l->ticker);
    }
    /* Emptied, not removed: another run may wait on this very file. */
    if (l != NULL && !nl_lock_is_lost(l) && nl_lock_is_held(l->folder, &l->me) &&
        NL_REPEAT(ftruncate(l->file, 0)) != 0) {
        nl_warn("%s: the lock file cannot be emptied: %s", l->folder, strerror(errno));
    }
    destroy(l);
    *lock = NULL;
}
