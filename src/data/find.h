/** @file find.h  Where the original files are, and what is said where they are not. */
#ifndef NTKLENS_DATA_FIND_H
#define NTKLENS_DATA_FIND_H

#include "ntklens/data.h"

/** NL_ERR_DATA unless `folder` is one that can be searched.  Says how to get the files of `source`.
 */
NL_MUST_CHECK nl_status nl_data_folder_check(nl_source source, const char *folder);

/** An error for a file that is nowhere; says how to get the files of `source`. */
nl_status nl_data_file_missing(nl_source source, const char *folder, const char *name);

/**
 * The folder itself, or the first of its subfolders `below` (ended by NULL), that holds a file of
 * one of the names; the folder itself where none does.
 *
 * @param[out] found  owned by the caller, NULL on failure
 */
NL_MUST_CHECK nl_status nl_data_folder_find(const char *folder, const char *const *below,
                                            const char *const *names, char **found);

/**
 * The file of these names: the first that is there, and where none is but for a link that leads
 * nowhere or a folder that cannot be searched, that one: opening it will say so.
 *
 * @param[out] path  owned by the caller, NULL on failure
 */
NL_MUST_CHECK nl_status nl_data_file_find(nl_source source, const char *folder,
                                          const char *const *names, char **path);

/** Append a line for every further file of these names with other content than the one that
 *  nl_data_file_find() gives. */
void nl_data_file_compare_copies(const char *folder, const char *const *names, nl_text *lines);

/** Append a line where two files, plain or gzipped, differ in content, or `other` is damaged. */
void nl_data_files_compare(const char *taken, const char *other, nl_text *lines);

#endif
