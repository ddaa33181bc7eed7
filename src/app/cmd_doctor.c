/** @file cmd_doctor.c  ntklens doctor: check the machine. */
#include "arguments.h"
#include "command.h"
#include "launch.h"

#include "ntklens/machine.h"

#include <stdlib.h>

static const nl_option options[] = {
    {"json", 0, NULL, "print JSON instead of text"},
    {0},
};

static nl_status check(bool json)
{
    nl_team *team = NULL;
    nl_status status = NL_OK;

    nl_mpi_start();
    status = nl_team_create(MPI_COMM_WORLD, &team);
    if (status == NL_OK) {
        status = nl_doctor(team, json, stdout);
    }
    nl_team_destroy(&team);
    nl_mpi_stop();
    return status;
}

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);
    bool json = false;

    for (int k = 0; status == NL_OK && k < arguments.count; k++) {
        if (arguments.item[k].option != NULL) {
            json = true; /* the only option */
        } else {
            status = nl_launched_rank() == 0
                         ? NL_FAIL(NL_ERR_USAGE, "doctor: %s: expected no operand",
                                   arguments.item[k].text)
                         : NL_ERR_USAGE;
        }
    }
    if (status == NL_OK && !arguments.help) {
        status = check(json);
    }
    free(arguments.item);
    return nl_launched_rank() == 0 ? status : NL_OK;
}

const nl_command nl_command_doctor = {
    .name = "doctor",
    .operands = "[--json]",
    .summary = "Check the machine: cores, memory, BLAS and its speed, eigensolvers; say what to "
               "change.",
    .details = "Start it as the study will be started, to see what its ranks get:\n"
               "  mpirun -n 2 ntklens doctor\n\n"
               "exit codes: 0 fit for the work, 4 a solver gives wrong eigenvalues",
    .options = options,
    .run = run,
};
