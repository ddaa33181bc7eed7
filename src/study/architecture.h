/** @file architecture.h  Keys of kinds of networks: what `auto` means, what networks they make. */
#ifndef NTKLENS_STUDY_ARCHITECTURE_H
#define NTKLENS_STUDY_ARCHITECTURE_H

#include "ntklens/study.h"

/** A value as cells of a kind have it: `auto` resolved, the word "" where the kind has no such key.
 *  Pure. */
nl_scalar nl_value_of_kind(nl_key key, nl_net_kind kind, const nl_scalar *value);

/** Is any network of the study a cnn or a resnet? */
bool nl_study_is_convolutional(const nl_study *study);

/** Has any network of the study such a key? */
bool nl_key_concerns(const nl_study *study, nl_key key);

/** What a cnn or resnet asks for; zeros for an mlp. */
nl_convolutional_spec nl_cell_convolutional_spec(const nl_cell *cell, const nl_dataset_info *info);

#endif
