/** @file cmd_keys.c  ntklens keys: the keys of a study file, the columns of results.csv. */
#include "arguments.h"
#include "command.h"

#include "ntklens/rows.h"
#include "ntklens/run.h"

#include <stdlib.h>
#include <string.h>

static const nl_option options[] = {
    {"columns", 0, NULL, "the columns of results.csv instead"},
    {0},
};

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);
    bool columns = false;

    for (int k = 0; status == NL_OK && k < arguments.count; k++) {
        if (arguments.item[k].option == NULL) {
            status = NL_FAIL(NL_ERR_USAGE, "keys: takes no operand %s; see ntklens keys --help",
                             arguments.item[k].text);
        }
        columns = true; /* the only option */
    }
    if (status == NL_OK && !arguments.help) {
        if (columns) {
            nl_columns_print(stdout);
            nl_infinite_columns_print(stdout);
        } else {
            nl_keys_print(stdout);
        }
    }
    free(arguments.item);
    return status;
}

const nl_command nl_command_keys = {
    .name = "keys",
    .operands = "[--columns]",
    .summary = "Print every key of a study file: type, range, default, what it affects, meaning.",
    .options = options,
    .run = run,
};
