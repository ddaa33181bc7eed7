/** @file names.c  What each source is called and what its images look like.  No MPI. */
#include "names.h"
#include "files.h"

static const struct {
    const char *name;
    int channels, side;
} sources[NL_SOURCE_COUNT] = {
    [NL_MNIST] = {"mnist", 1, 28},     [NL_FASHION_MNIST] = {"fashion-mnist", 1, 28},
    [NL_CIFAR10] = {"cifar10", 3, 32}, [NL_GLYPHS] = {"glyphs", 1, 28},
    [NL_HDF5] = {"hdf5", 0, 0}, /* the file says it */
};

const char *nl_source_name(nl_source source)
{
    return (unsigned)source < NL_SOURCE_COUNT ? sources[source].name : "unknown source";
}

nl_dataset_info nl_source_shape(nl_source source)
{
    const int channels = sources[source].channels;
    const int side = sources[source].side;

    return (nl_dataset_info){.source = source,
                             .channels = channels,
                             .height = side,
                             .width = side,
                             .inputs = channels * side * side,
                             .classes = nl_class_count};
}
