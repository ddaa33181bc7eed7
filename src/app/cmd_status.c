/** @file cmd_status.c  ntklens status: where a study stands. */
#include "arguments.h"
#include "command.h"
#include "launch.h"

#include "ntklens/plan.h"

#include <stdlib.h>

static const nl_option options[] = {
    {"json", 0, NULL, "print JSON instead of text"},
    {0},
};

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);
    const char *folder = NULL;
    bool json = false;

    for (int k = 0; status == NL_OK && k < arguments.count; k++) {
        if (arguments.item[k].option != NULL) {
            json = true; /* the only option */
        } else if (folder != NULL) {
            status =
                NL_FAIL(NL_ERR_USAGE, "status: more than one folder; see ntklens status --help");
        } else {
            folder = arguments.item[k].text;
        }
    }
    if (status == NL_OK && !arguments.help && nl_launched_rank() == 0) {
        status = folder == NULL ? NL_FAIL(NL_ERR_USAGE,
                                          "status: a folder is missing; see ntklens status --help")
                                : nl_study_status_show(folder, json, stdout);
    }
    free(arguments.item);
    return status;
}

const nl_command nl_command_status = {
    .name = "status",
    .operands = "DIR [--json]",
    .summary = "Say what of a study is done, begun and left, who runs it, and what went wrong.",
    .details = "Reads the results folder and changes nothing; safe while the study runs.",
    .options = options,
    .run = run,
};
