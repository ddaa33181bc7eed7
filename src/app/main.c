/** @file main.c  The program: finds the command and leaves the rest to it. */
#include "blas_fix.h"
#include "command.h"
#include "launch.h"
#include "output.h"

#include "ntklens/linalg.h"

#include <string.h>

static const nl_command *const commands[] = {
    &nl_command_plan,   &nl_command_run,  &nl_command_status, &nl_command_merge,
    &nl_command_report, &nl_command_keys, &nl_command_doctor};

static void print_help(void)
{
    printf("usage: ntklens COMMAND ...\n\n"
           "Neural scaling through the NTK lens: trains a grid of networks, builds and "
           "diagonalises their\n"
           "Neural Tangent Kernels, and tabulates what it finds.\n\ncommands:\n");
    for (size_t k = 0; k < NL_COUNT(commands); k++) {
        printf("  %-8s %s\n", commands[k]->name, commands[k]->summary);
    }
    printf("\nexit codes:\n"
           "  0  done\n"
           "  1  internal error: memory, MPI, a file that cannot be read or written\n"
           "  2  wrong usage or study file\n"
           "  3  data files missing, damaged or unfit\n"
           "  4  numerical failure: no trustworthy spectrum for some kernel, the rest is saved\n"
           "  75 stopped early, disk full, folder in use, gone or not writable; the same command "
           "continues\n");
    printf("\nntklens COMMAND --help tells more; ntklens --version names the version.\n");
}

/* Its exit code. */
static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    char blas[64];

    for (size_t k = 0; k < NL_COUNT(commands); k++) {
        if (strcmp(name, commands[k]->name) == 0) {
            return nl_status_exit_code(commands[k]->run(commands[k], argc - 1, argv + 1));
        }
    }
    if (nl_launched_rank() != 0) {
        return nl_status_exit_code(NL_OK);
    }
    if (strcmp(name, "--version") == 0) {
        printf("ntklens %s (%s, kernels %s)\n", NTKLENS_VERSION, nl_blas_version(blas),
               nl_blas_kernel());
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return argc > 1 ? 0 : nl_status_exit_code(NL_ERR_USAGE);
    }
    return nl_status_exit_code(
        NL_FAIL(NL_ERR_USAGE, "unknown command %s; see ntklens --help", name));
}

int main(int argc, char **argv)
{
    nl_output_open();
    nl_blas_fix(argc, argv);
    return nl_output_close(run_command(argc, argv));
}
