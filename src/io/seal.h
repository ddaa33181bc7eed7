/** @file seal.h  The end mark of sealed files. */
#ifndef NTKLENS_IO_SEAL_H
#define NTKLENS_IO_SEAL_H

#include "ntklens/io.h"

/** Ends a sealed file, behind its content.  Little-endian on disk; every bit is checked. */
typedef struct nl_trailer {
    unsigned char magic[8];
    unsigned char length[8]; /* of the content, bytes */
    unsigned char crc32[4];  /* of the content, zlib's */
    unsigned char zero[4];
} nl_trailer;

/** What an end mark says of the content so far.  Zero-initialise. */
typedef struct nl_sealing {
    uint64_t length;
    unsigned long crc32;
} nl_sealing;

void nl_sealing_add(nl_sealing *sealing, const void *bytes, size_t length);
nl_trailer nl_sealing_end(const nl_sealing *sealing);

/** Does the content of an open regular file, from its beginning, match its end mark?  A part of it
 *  is in memory at a time.  It is left at its beginning.
 *
 *  @param[out] length  of the content
 *  @return NL_ERR_DAMAGED where it does not, NL_ERR_IO where it cannot be read */
NL_MUST_CHECK nl_status nl_seal_check(int file, const char *path, uint64_t *length);

#endif
