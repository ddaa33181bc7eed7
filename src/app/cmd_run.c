/** @file cmd_run.c  ntklens run: train and measure a study. */
#include "arguments.h"
#include "command.h"
#include "launch.h"
#include "stop.h"

#include "ntklens/io.h"
#include "ntklens/par.h"
#include "ntklens/run.h"
#include "ntklens/study.h"

#include <stdlib.h>
#include <string.h>

static const nl_option options[] = {
    {"output", 'o', "DIR", "folder of the results; running again with the same one continues"},
    {"set", 0, "KEY=VALUE",
     "override a key, as --set 'model.widths=[8, 16]'; may be given many times"},
    {"max-time", 0, "HH:MM:SS", "stop early enough to be done by then; exit code 75"},
    {"fresh", 0, NULL, "start anew; earlier results are kept in DIR/previous-<n>"},
    {"quiet", 'q', NULL, "no progress"},
    {0},
};

/** The command line of `run`. */
typedef struct run_request {
    const char *study;
    const char **sets; /* owned; the texts are argv's */
    int set_count;
    double max_seconds; /* 0: no limit */
    nl_stop_policy policy;
    nl_run_options options;
} run_request;

static nl_status usage(const char *what)
{
    return nl_launched_rank() == 0 ? NL_FAIL(NL_ERR_USAGE, "run: %s; see ntklens run --help", what)
                                   : NL_ERR_USAGE;
}

static nl_status read_request(const nl_arguments *arguments, run_request *request)
{
    request->sets = calloc((size_t)arguments->count + 1, sizeof *request->sets);
    if (request->sets == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for arguments");
    }
    for (int k = 0; k < arguments->count; k++) {
        const nl_argument *a = &arguments->item[k];

        if (a->option == NULL) {
            if (request->study != NULL) {
                return usage("more than one study file");
            }
            request->study = a->text;
        } else if (strcmp(a->option->name, "output") == 0) {
            request->options.folder = a->text;
        } else if (strcmp(a->option->name, "set") == 0) {
            request->sets[request->set_count++] = a->text;
        } else if (strcmp(a->option->name, "max-time") == 0) {
            request->max_seconds = nl_parse_duration(a->text);
            if (request->max_seconds < 0.0) {
                return usage("--max-time wants HH:MM:SS, as 01:30:00");
            }
        } else if (strcmp(a->option->name, "fresh") == 0) {
            request->options.fresh = true;
        } else {
            request->options.quiet = true;
        }
    }
    if (request->study == NULL) {
        return usage("a study file is missing");
    }
    return request->options.folder == NULL || request->options.folder[0] == '\0'
               ? usage("the folder of the results is missing: -o DIR")
               : NL_OK;
}

/* The root reads, all parse the same bytes; complaints are told by the root alone. */
static nl_status read_study(const nl_team *team, const run_request *request, nl_study **study)
{
    unsigned char *text = NULL;
    size_t length = 0;
    nl_study_source source = {
        .file = request->study, .set_count = request->set_count, .sets = request->sets};
    nl_status status = NL_OK;

    if (team->rank == 0 &&
        nl_file_read_given(request->study, nl_study_file_limit, &text, &length) != NL_OK) {
        status = NL_ERR_STUDY;
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        nl_team_broadcast(team, &length, sizeof length, 0);
    }
    if (status == NL_OK && team->rank != 0) {
        text = nl_calloc(length + 1, 1);
        status = text == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the study file") : NL_OK;
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        nl_team_broadcast(team, text, length, 0);
        source.text = (const char *)text;
        source.length = length;
        status = team->rank != 0 ? nl_study_parse_silently(&source, study)
                                 : nl_study_parse(&source, study);
    }
    free(text);
    return nl_agree(team->comm, status);
}

static double real_clock(void *context)
{
    (void)context;
    return nl_now();
}

static nl_status run_on_team(run_request *request)
{
    char *stop_file = nl_path_join(request->options.folder, "stop");
    nl_team *team = NULL;
    nl_study *study = NULL;
    nl_status status = nl_team_create(MPI_COMM_WORLD, &team);

    if (status == NL_OK) {
        status =
            nl_agree(team->comm,
                     stop_file != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path"));
    }
    if (status != NL_OK) {
        free(stop_file);
        nl_team_destroy(&team);
        return status;
    }
    request->policy.stop_file = team->rank == 0 ? stop_file : NULL;
    request->policy.startup = nl_now() - request->policy.start;
    request->options.stop_context = &request->policy;
    request->options.stop_file = stop_file;
    nl_stop_watch_signals(); /* behind MPI_Init, which sets handlers of its own */
    status = read_study(team, request, &study);
    if (status == NL_OK) {
        status = nl_study_run(study, &request->options, team);
    }
    if (status == NL_STOPPED && team->rank == 0) {
        nl_warn("%s: stopped early; the same command continues", request->options.folder);
    }
    free(stop_file);
    nl_study_destroy(&study);
    nl_team_destroy(&team);
    return status;
}

static nl_status run(const nl_command *command, int argc, char **argv)
{
    nl_arguments arguments = {0};
    run_request request = {
        .options = {.stop_wanted = nl_stop_wanted, .time_left = nl_stop_time_left}};
    nl_status status = nl_arguments_parse(command, argc, argv, &arguments);

    if (status == NL_OK && !arguments.help) {
        status = read_request(&arguments, &request);
        if (status == NL_OK) {
            request.policy = nl_stop_policy_make(real_clock, NULL, request.max_seconds, NULL);
            nl_mpi_start();
            status = run_on_team(&request);
            nl_mpi_stop();
        }
    }
    free(request.sets);
    free(arguments.item);
    /* One rank that ends badly makes mpirun end the others: let the root carry the exit code. */
    return nl_launched_rank() == 0 ? status : NL_OK;
}

const nl_command nl_command_run = {
    .name = "run",
    .operands = "STUDY.yaml -o DIR [--set KEY=VALUE ...] [--max-time HH:MM:SS]\n"
                "                   [--fresh] [--quiet]",
    .summary = "Train and measure every cell of a study; continue where an earlier run ended.",
    .details = "Start it with mpirun or srun to use many ranks, or alone for one:\n"
               "  mpirun -n 2 ntklens run configs/quickstart.yaml -o out/quickstart\n\n"
               "It stops early, keeping all work, on SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, "
               "SIGXCPU or "
               "SIGPWR\n"
               "to any rank, when --max-time nears, and when a file DIR/stop appears.\n\n"
               "ntklens --help tells the exit codes.",
    .options = options,
    .run = run,
};
