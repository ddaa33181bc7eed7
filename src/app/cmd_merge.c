/** @file cmd_merge.c  ntklens merge: results of several folders in one. */
#include "arguments.h"
#include "command.h"
#include "launch.h"

#include "ntklens/study.h"

#include <stdlib.h>

static const nl_option options[] = {
    {"output", 'o', "OUT", "folder of the united results; what it holds already takes part"},
    {0},
};

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);
    const char **folders = calloc((size_t)argc + 1, sizeof *folders);
    const char *out = NULL;
    int count = 0;

    if (status == NL_OK && folders == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for arguments");
    }
    for (int k = 0; status == NL_OK && k < arguments.count; k++) {
        if (arguments.item[k].option != NULL) {
            out = arguments.item[k].text;
        } else {
            folders[count++] = arguments.item[k].text;
        }
    }
    if (status == NL_OK && !arguments.help && nl_launched_rank() == 0) {
        status = out == NULL || out[0] == '\0' || count == 0
                     ? NL_FAIL(NL_ERR_USAGE,
                               "merge: expected -o OUT and folders of results; see ntklens merge "
                               "--help")
                     : nl_study_merge(out, count, folders);
    }
    free(folders);
    free(arguments.item);
    return status;
}

const nl_command nl_command_merge = {
    .name = "merge",
    .operands = "-o OUT DIR...",
    .summary = "Unite results of several folders whose studies differ only in axes of the grid.",
    .details = "The table is the one that a single run over the united grid would have written.\n"
               "Merging again adds what was finished since; checkpoints stay where they are.",
    .options = options,
    .run = run,
};
