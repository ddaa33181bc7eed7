/** @file run_state.c  One rank's view of a running study: questions that every file of the run
 * asks. */
#include "run_state.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

bool nl_run_stopping(const nl_run *run)
{
    return nl_service_stopping(run->schedule.service) != 0;
}

void nl_remove_checkpoints(const nl_run *run, const nl_cell *cell)
{
    static const char *const folders[] = {"checkpoints", "checkpoints/previous"};

    for (size_t k = 0; k < NL_COUNT(folders); k++) {
        char *path = nl_cell_path(run->in.options->folder, folders[k], cell);

        if (path != NULL) {
            unlink(path); /* most cells have none */
        }
        free(path);
    }
}

void nl_remove_kept(const nl_run *run)
{
    char *path = nl_path_join(run->in.options->folder, NL_KEPT_FOLDER);
    const int folder = path != NULL ? nl_folder_open(path) : -1;
    DIR *listing = folder >= 0 ? fdopendir(folder) : NULL;

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL; entry != NULL;
         entry = readdir(listing)) {
        unlinkat(folder, entry->d_name, 0);
    }
    if (listing != NULL) {
        closedir(listing);
        rmdir(path);
    } else if (folder >= 0) {
        close(folder);
    }
    free(path);
}

bool nl_run_may_write(const nl_run *run)
{
    return nl_service_stopping(run->schedule.service) != NL_STOP_ERROR + NL_ERR_BUSY &&
           nl_lock_is_held(run->in.options->folder, &run->in.holder);
}
