/** @file provenance.c  DIR/study.yaml: the resolved study, and what computed it. */
#include "ntklens/folder.h"
#include "ntklens/io.h"
#include "ntklens/machine.h"

#include <stdlib.h>
#include <string.h>

/** Names and values, some of which are not known. */
typedef struct facts {
    int count;
    const char *names[8 + nl_library_facts], *values[8 + nl_library_facts];
} facts;

static void add_fact(facts *f, const char *name, const char *value)
{
    if (value != NULL) {
        f->names[f->count] = name;
        f->values[f->count++] = value;
    }
}

nl_status nl_provenance_write(const nl_study *study, const char *folder, const nl_data_facts *data)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    char hdf5[32];
    int length = 0;
    const nl_libraries here = nl_libraries_here();
    facts f = {0};
    nl_text text = {0};
    nl_status status = NL_OK;
    char *path = nl_path_join(folder, "study.yaml");

    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, ",\n")] = '\0';
    add_fact(&f, NL_FACT_FINGERPRINT, data->fingerprint);
    add_fact(&f, NL_FACT_REMARKS, data->remarks);
    add_fact(&f, "ntklens", NTKLENS_VERSION);
    add_fact(&f, "mpi", mpi);
    add_fact(&f, "hdf5", nl_h5_version(hdf5));
    add_fact(&f, "compiler", __VERSION__);
    for (int k = 0; k < nl_library_facts; k++) {
        add_fact(&f, nl_library_names[k], here.fact[k]);
    }
    nl_study_write(study, data->folder, f.count, f.names, f.values, &text);
    if (path == NULL || text.failed) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the resolved study");
    } else {
        status = nl_file_write_atomic(path, text.data, text.length, NL_PLAIN);
    }
    nl_text_free(&text);
    free(path);
    return status;
}
