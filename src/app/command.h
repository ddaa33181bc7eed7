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

/** Sort out argv[1..] by the command's options; --help prints and sets `help`.  A complaint is one
 *  line.  NL_ERR_USAGE where something is unknown or lacks its operand. */
NL_MUST_CHECK nl_status nl_arguments_parse(const nl_command *command, int argc, char **argv,
                                           nl_arguments *out);

/** Rank in the job as the launcher tells it in the environment, 0 without a launcher: before
 *  MPI_Init, so that help and complaints come once. */
int nl_launched_rank(void);

/** MPI_Init with all the threads that par.h needs.  Ranks of one machine need no network, and Open
 *  MPI shall not look for one, which takes ten times as long as all else that it does at its start;
 *  OMPI_MCA_pml, if set, wins.  Neither does one process without mpirun need ssh or rsh; where
 * there is none, OMPI_MCA_plm is set unless it is.  Collective over the job. */
void nl_mpi_start(void);

#endif
