/** @file cmd_plan.c  ntklens plan: what a run would need. */
#include "arguments.h"
#include "command.h"
#include "launch.h"

#include "ntklens/io.h"
#include "ntklens/plan.h"
#include "ntklens/study.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const nl_option options[] = {
    {"ranks", 'n', "P", "ranks of the run; default 1, or as few as --memory-per-rank allows"},
    {"ranks-per-node", 0, "R", "of them, on a node; default: as many as this machine has cores"},
    {"memory-per-rank", 0, "SIZE", "memory of a rank on the machine meant, as 4G"},
    {"set", 0, "KEY=VALUE",
     "override a key, as --set 'model.widths=[8, 16]'; may be given many times"},
    {"timings", 0, "FILE", "timings.csv of an earlier run instead of rates measured here"},
    {"json", 0, NULL, "print JSON instead of text"},
    {0},
};

/** The command line of `plan`. */
typedef struct plan_request {
    const char *study;
    const char **sets; /* owned; the texts are argv's */
    int set_count;
    nl_plan_options options;
} plan_request;

static nl_status read_ranks(const char *option, const char *text, int *ranks)
{
    char *end = NULL;
    const long number = strtol(text, &end, 10);

    if (end == text || *end != '\0' || number < 1 || number > 1000000) {
        return NL_FAIL(NL_ERR_USAGE, "plan: --%s %s: expected a whole number from 1 to 1000000",
                       option, text);
    }
    *ranks = (int)number;
    return NL_OK;
}

static nl_status read_option(const nl_argument *a, plan_request *request)
{
    const char *name = a->option->name;

    if (strcmp(name, "ranks") == 0) {
        return read_ranks(name, a->text, &request->options.ranks);
    }
    if (strcmp(name, "ranks-per-node") == 0) {
        return read_ranks(name, a->text, &request->options.ranks_per_node);
    }
    if (strcmp(name, "memory-per-rank") == 0 &&
        !nl_bytes_parse(a->text, &request->options.memory_per_rank)) {
        return NL_FAIL(NL_ERR_USAGE, "plan: --memory-per-rank %s: expected a size, as 4G or 500MB",
                       a->text);
    }
    if (strcmp(name, "set") == 0) {
        request->sets[request->set_count++] = a->text;
    } else if (strcmp(name, "timings") == 0) {
        request->options.timings = a->text;
    } else if (strcmp(name, "json") == 0) {
        request->options.json = true;
    }
    return NL_OK;
}

static nl_status read_request(const nl_arguments *arguments, plan_request *request)
{
    nl_status status = NL_OK;

    request->sets = calloc((size_t)arguments->count + 1, sizeof *request->sets);
    if (request->sets == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for arguments");
    }
    for (int k = 0; status == NL_OK && k < arguments->count; k++) {
        const nl_argument *a = &arguments->item[k];

        if (a->option != NULL) {
            status = read_option(a, request);
        } else if (request->study != NULL) {
            status =
                NL_FAIL(NL_ERR_USAGE, "plan: more than one study file; see ntklens plan --help");
        } else {
            request->study = a->text;
        }
    }
    if (status == NL_OK && request->study == NULL) {
        status = NL_FAIL(NL_ERR_USAGE, "plan: a study file is missing; see ntklens plan --help");
    }
    return status;
}

static nl_status make_plan(const plan_request *request)
{
    unsigned char *text = NULL;
    size_t length = 0;
    nl_study *study = NULL;
    nl_status status = nl_file_read_given(request->study, nl_study_file_limit, &text, &length);

    if (status != NL_OK) {
        return NL_ERR_STUDY;
    }
    status = nl_study_parse(&(nl_study_source){request->study, (const char *)text, length,
                                               request->set_count, request->sets},
                            &study);
    if (status == NL_OK) {
        status = nl_study_plan(study, &request->options, stdout);
    }
    nl_study_destroy(&study);
    free(text);
    return status;
}

static nl_status run(const nl_command *command, int argc, char **argv)
{
    const bool root = nl_launched_rank() == 0;
    nl_arguments arguments = {0};
    plan_request request = {0};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);

    if (status == NL_OK && !arguments.help && root) {
        status = read_request(&arguments, &request);
    }
    if (status == NL_OK && !arguments.help) {
        /* Under a launcher every rank of the job has to take part in this. */
        nl_mpi_start();
        status = root ? make_plan(&request) : NL_OK;
        nl_mpi_stop();
    }
    free(request.sets);
    free(arguments.item);
    return root ? status : NL_OK;
}

const nl_command nl_command_plan = {
    .name = "plan",
    .operands = "STUDY.yaml [--ranks P] [--ranks-per-node R] [--memory-per-rank SIZE]\n"
                "                    [--set KEY=VALUE ...] [--timings FILE] [--json]",
    .summary = "Say what a study would need before it is run: memory, time, files, a batch header.",
    .details =
        "Needs no launcher and writes no files.  Without --timings a few networks and "
        "kernels are timed\non this machine, for about a second.  Warns of plain sgd whose "
        "learning rate is above the largest\nstable one of its initial kernel: one network of "
        "each kind is initialised and looked at.",
    .options = options,
    .run = run,
};
