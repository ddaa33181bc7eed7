/** @file output.h  Standard output, the part of it that fails. */
#ifndef NTKLENS_APP_OUTPUT_H
#define NTKLENS_APP_OUTPUT_H

/** Before anything is opened: a standard stream that is closed gets a place, lest a file of results
 *  take it and be written to by messages; a reader that leaves does not end the program. */
void nl_output_open(void);

/**
 * Behind all work: is what was printed where it should be?
 *
 * @param[in] code  exit code so far
 * @return `code`; 1 instead of 0, and a line about it, where it could not be written.  A reader
 * that left (`ntklens ... | head`) has what it wanted.
 */
int nl_output_close(int code);

#endif
