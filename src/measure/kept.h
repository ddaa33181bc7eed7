/** @file kept.h  What is kept on disk of a measurement in work, for whoever goes on with it. */
#ifndef NTKLENS_MEASURE_KEPT_H
#define NTKLENS_MEASURE_KEPT_H

#include "ntklens/io.h"
#include "ntklens/measure.h"

/** Files of one measurement and rank: the folder's name of it and .0, .1, ... */
typedef struct nl_kept {
    const nl_measurer *m; /* borrowed */
    int kernel;
    nl_method method;
    char *stem;           /* owned; NULL: nothing is kept */
    uint32_t identity[2]; /* of what is measured and how; of parameters and images */
    bool identified;
    double last, last_write; /* when; seconds it took */
} nl_kept;

/** Of a kernel of the measurer's state.  Local. */
NL_MUST_CHECK nl_status nl_kept_open(const nl_measurer *m, int kernel, nl_method method,
                                     nl_kept *out);

/** The measurement is done, or what was kept does not serve: remove its files.  Local. */
void nl_kept_remove(nl_kept *kept);
void nl_kept_close(nl_kept *kept);

/** Is it time to write?  Where writing is slow it is done less often: it may cost 2 % of the time.
 */
bool nl_kept_due(const nl_kept *kept);

/** Does it take longer to make again what was made since the last time, than to write bytes? */
bool nl_kept_worth(const nl_kept *kept, double bytes);

/** Two pieces of content, one behind the other. */
typedef struct nl_kept_content {
    int64_t done;  /* units of work before those of the file, or that it holds */
    int64_t count; /* what the reader makes of it */
    const void *bytes[2];
    size_t length[2];
} nl_kept_content;

/** Write file number `index`.  Local. */
NL_MUST_CHECK nl_status nl_kept_write(nl_kept *kept, int index, const nl_kept_content *content);

/**
 * Open file number `index`.  Local.
 *
 * @param[out] sealed  its content behind the head; NULL: there is none, or it is of another
 *                     measurement, of another grid, or damaged, which is told
 * @param[out] head    done and count as written; length[0]: bytes that are left to be read
 */
NL_MUST_CHECK nl_status nl_kept_read(nl_kept *kept, int index, nl_sealed **sealed,
                                     nl_kept_content *head);

/** Tell that it is gone on with, or from the beginning, and why.  Local. */
NL_MUST_CHECK nl_status nl_kept_tell(const nl_kept *kept, const char *event, const char *format,
                                     ...) NL_PRINTF(3, 4);

#endif
