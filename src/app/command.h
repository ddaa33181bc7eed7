/** @file command.h  The subcommands and what they share. */
#ifndef NTKLENS_APP_COMMAND_H
#define NTKLENS_APP_COMMAND_H

#include "ntklens/base.h"

/** One option of a subcommand. */
typedef struct nl_option {
    const char *name;    /* without the dashes */
    char letter;         /* short form, 0: none */
    const char *operand; /* name of its operand in the help, NULL: takes none */
    const char *help;
} nl_option;

/** A subcommand. */
typedef struct nl_command {
    const char *name;
    const char *operands; /* usage line: "STUDY.yaml -o DIR" */
    const char *summary;
    const char *details;      /* for --help, may be NULL */
    const nl_option *options; /* ends with a NULL name */
    nl_status (*run)(const struct nl_command *command, int argc, char **argv);
} nl_command;

extern const nl_command nl_command_doctor;
extern const nl_command nl_command_run;
extern const nl_command nl_command_keys;
extern const nl_command nl_command_merge;
extern const nl_command nl_command_plan;
extern const nl_command nl_command_report;
extern const nl_command nl_command_status;

/** An option or operand as it was met. */
typedef struct nl_argument {
    const nl_option *option; /* NULL: an operand */
    const char *text;        /* operand, or the option's; NULL: none */
} nl_argument;

/** What became of the arguments. */
typedef struct nl_arguments {
    int count;
    nl_argument *item; /* owned: free() */
    bool help;         /* --help was met and printed */
} nl_arguments;

#endif
