/** @file arguments.h  Options and operands of subcommands. */
#ifndef NTKLENS_APP_ARGUMENTS_H
#define NTKLENS_APP_ARGUMENTS_H

#include "command.h"

/** Sort out argv[1..] by the command's options; --help prints and sets `help`.  A complaint is one
 *  line.  NL_ERR_USAGE where something is unknown or lacks its operand. */
NL_MUST_CHECK nl_status nl_arguments_parse(const nl_command *command, int argc, char **argv,
                                           nl_arguments *out);

#endif
