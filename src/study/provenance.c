/** @file provenance.c  DIR/study.yaml: the resolved study, and what computed it. */
#include "provenance.h"
#include "libraries.h"

#include "ntklens/io.h"

#include <stdlib.h>
#include <string.h>

nl_status nl_provenance_write(const nl_study *study, const char *folder, const char *data_folder)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    char hdf5[32];
    int length = 0;
    const nl_libraries here = nl_libraries_here();
    nl_text text = {0};
    nl_status status = NL_OK;
    char *path = nl_path_join(folder, "study.yaml");

    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, ",\n")] = '\0';
    {
        enum { others = 4 };
        const char *names[others + nl_library_facts] = {"ntklens", "mpi", "hdf5", "compiler"};
        const char *values[others + nl_library_facts] = {NTKLENS_VERSION, mpi, nl_h5_version(hdf5),
                                                         __VERSION__};

        for (int k = 0; k < nl_library_facts; k++) {
            names[others + k] = nl_library_names[k];
            values[others + k] = here.fact[k];
        }
        nl_study_write(study, data_folder, (int)NL_COUNT(names), names, values, &text);
    }
    if (path == NULL || text.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the resolved study");
    } else {
        status = nl_file_write_atomic(path, text.data, text.length, NL_PLAIN);
    }
    nl_text_free(&text);
    free(path);
    return status;
}
