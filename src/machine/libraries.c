/** @file libraries.c  The libraries that decide the last bits of results, and how they differ. */
#include "ntklens/linalg.h"
#include "ntklens/machine.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char *const nl_library_names[nl_library_facts] = {"blas_kernel", "blas", "scalapack", "elpa"};

/* File of the library that a function comes from, links resolved: its name ends with the version,
 * which ScaLAPACK and ELPA tell in no other way.  "none": it is not there. */
static void find_library(const char *function, char out[nl_library_width])
{
    void *address = dlsym(RTLD_DEFAULT, function);
    char path[PATH_MAX];
    const char *name = NULL;
    Dl_info info;

    snprintf(out, nl_library_width, "none");
    if (address != NULL && dladdr(address, &info) != 0) {
        name = realpath(info.dli_fname, path) != NULL ? path : info.dli_fname;
        name = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
        snprintf(out, nl_library_width, "%.*s", nl_library_width - 1, name);
    }
}

/* They do not change while a process lives, and to look for them takes as long as reading a cell.
 */
static nl_libraries loaded;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

static void look(void)
{
    snprintf(loaded.fact[0], nl_library_width, "%s", nl_blas_kernel());
    nl_blas_version(loaded.fact[1]);
    find_library("pdsyev_", loaded.fact[2]);
    find_library("elpa_allocate", loaded.fact[3]);
}

nl_libraries nl_libraries_here(void)
{
    (void)pthread_once(&looked, look);
    return loaded;
}

void nl_libraries_compare(const nl_libraries *other, nl_text *differences)
{
    const nl_libraries here = nl_libraries_here();
    const size_t before = differences->length;

    for (int k = 0; k < nl_library_facts; k++) {
        if (other->fact[k][0] != '\0' && strcmp(other->fact[k], here.fact[k]) != 0) {
            nl_text_append(differences, "%s%s %s, here %s",
                           differences->length > before ? "; " : "", nl_library_names[k],
                           other->fact[k], here.fact[k]);
        }
    }
}

bool nl_libraries_same(const nl_team *team)
{
    const nl_libraries here = nl_libraries_here();
    nl_libraries first = here;
    int differ = 0;

    nl_team_broadcast(team, &first, sizeof first, 0);
    differ = memcmp(&first, &here, sizeof here) != 0;
    MPI_Allreduce(MPI_IN_PLACE, &differ, 1, MPI_INT, MPI_LOR, team->comm);
    return differ == 0;
}
