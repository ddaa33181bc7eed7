/** @file arguments.c  Options and operands of subcommands. */
#include "arguments.h"
#include "blas_fix.h"
#include "command.h"
#include "launch.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { most_options = 16, first_long = 256, help_value = 255, blas_fix_value = 254 };

static void print_help(const nl_command *command)
{
    printf("usage: ntklens %s %s\n\n%s\n", command->name, command->operands, command->summary);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    printf("\noptions:\n");
    for (const nl_option *o = command->options; o->name != NULL; o++) {
        char left[64];

        snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter != 0 ? "-" : "  ",
                 o->letter != 0 ? o->letter : ' ', o->letter != 0 ? ", " : " ", o->name,
                 o->operand != NULL ? " " : "", o->operand != NULL ? o->operand : "");
        printf("  %-28s %s\n", left, o->help);
    }
    printf("      --%-22s %s\n", nl_blas_fix_option,
           "keep the BLAS kernels that OpenBLAS chose, however old");
    printf("  %-28s %s\n", "    --help", "print this and exit");
}

static int count_options(const nl_command *command)
{
    int count = 0;

    while (command->options[count].name != NULL) {
        count++;
    }
    return count;
}

/* The command's table in getopt's form. */
static void translate(const nl_command *command, struct option *longs, char *shorts)
{
    int count = count_options(command);

    *shorts++ = ':'; /* tell a missing operand from an unknown option */
    for (int k = 0; k < count; k++) {
        const nl_option *o = &command->options[k];

        longs[k] = (struct option){.name = o->name,
                                   .has_arg = o->operand != NULL ? required_argument : no_argument,
                                   .val = first_long + k};
        if (o->letter != 0) {
            *shorts++ = o->letter;
            if (o->operand != NULL) {
                *shorts++ = ':';
            }
        }
    }
    longs[count] = (struct option){.name = "help", .val = help_value};
    longs[count + 1] = (struct option){.name = nl_blas_fix_option, .val = blas_fix_value};
    *shorts = '\0';
}

static const nl_option *find_option(const nl_command *command, int value)
{
    for (const nl_option *o = command->options; o->name != NULL; o++) {
        if (value == first_long + (int)(o - command->options) ||
            (o->letter != 0 && value == o->letter)) {
            return o;
        }
    }
    return NULL;
}

static nl_status complain(const nl_command *command, const char *what, const char *word)
{
    if (nl_launched_rank() != 0) {
        return NL_ERR_USAGE;
    }
    return NL_FAIL(NL_ERR_USAGE, "%s: %s %s; see ntklens %s --help", command->name, what, word,
                   command->name);
}

nl_status nl_arguments_parse(const nl_command *command, int argc, char **argv, nl_arguments *out)
{
    struct option longs[most_options + 3] = {0};
    char shorts[2 * most_options + 4] = "";
    int value = 0;

    *out = (nl_arguments){.item = calloc((size_t)argc + 1, sizeof *out->item)};
    if (out->item == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for arguments");
    }
    translate(command, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (value == help_value) {
            out->help = true;
            if (nl_launched_rank() == 0) {
                print_help(command);
            }
            return NL_OK;
        }
        if (value == blas_fix_value) {
            continue; /* main() has heeded it */
        }
        if (value == '?' || value == ':') {
            return complain(command,
                            value == ':' ? "an operand is missing behind" : "unknown option",
                            argv[optind - 1]);
        }
        out->item[out->count++] =
            (nl_argument){.option = find_option(command, value), .text = optarg};
    }
    for (int k = optind; k < argc; k++) {
        out->item[out->count++] = (nl_argument){.text = argv[k]};
    }
    return NL_OK;
}
