/** @file node_memory.c  Memory that the ranks of a node share. */
#include "ntklens/par.h"

#include <stdlib.h>

static nl_status out_of_memory(size_t size, const char *use)
{
    char text[32];

    return NL_FAIL(NL_ERR_NOMEM,
                   "no %s of memory shared by the node's ranks for %s: expected room for them in "
                   "/dev/shm (in a container, raise --shm-size)",
                   nl_format_bytes((double)size, text), use);
}

nl_status nl_node_memory_create(const nl_team *team, size_t size, const char *use,
                                nl_node_memory *out)
{
    MPI_Errhandler usual = MPI_ERRHANDLER_NULL;
    MPI_Aint held = 0;
    void *base = NULL;
    int unit = 1;
    int code = MPI_SUCCESS;

    *out = (nl_node_memory){0};
    if (team->node_size == 1) {
        out->bytes = nl_calloc(size, 1);
        return out->bytes != NULL
                   ? NL_OK
                   : NL_FAIL(NL_ERR_NOMEM, "out of memory: %zu bytes for %s", size, use);
    }
    /* A node without room is an error to be told in our words, not MPI's abort. */
    MPI_Comm_get_errhandler(team->node, &usual);
    MPI_Comm_set_errhandler(team->node, MPI_ERRORS_RETURN);
    code = MPI_Win_allocate_shared(team->node_rank == 0 ? (MPI_Aint)size : 0, 1, MPI_INFO_NULL,
                                   team->node, &base, &out->window);
    MPI_Comm_set_errhandler(team->node, usual);
    MPI_Errhandler_free(&usual);
    if (code != MPI_SUCCESS) {
        return out_of_memory(size, use);
    }
    out->is_window = true;
    MPI_Win_shared_query(out->window, 0, &held, &unit, &base);
    if (held < (MPI_Aint)size) {
        return out_of_memory(size, use);
    }
    out->bytes = base;
    return NL_OK;
}

void nl_node_memory_fence(const nl_node_memory *memory)
{
    if (memory->is_window) {
        MPI_Win_fence(MPI_MODE_NOSUCCEED, memory->window);
    }
}

void nl_node_memory_free(nl_node_memory *memory)
{
    if (memory->is_window) {
        MPI_Win_free(&memory->window);
    } else {
        free(memory->bytes);
    }
    *memory = (nl_node_memory){0};
}
