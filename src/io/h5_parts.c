/**
 * @file h5_parts.c  The structure of HDF5 files, as far as h5.c makes use of it.
 *
 * What is read may be a stranger's, with a right trailer: anyone can compute one.  The library
 * follows whatever a file says, into other files (external storage, links, virtual datasets) and
 * into loops, crashes and gigabytes.  Reading in a child process with limits is no way out under
 * MPI, where fork is not safe.  So this reader knows just what h5.c writes, the library's default
 * format since 1.8, and finds everything else damaged.  Whatever a file says, a read looks at each
 * of its bytes a bounded number of times, allocates nothing but texts, which lie in the file, and
 * ends.
 *
 *     superblock, version 0, at byte 0, offsets and lengths of 8 bytes, no driver block
 *       root group's object header
 *         symbol table message -> B-tree "TREE" of groups -> "SNOD" -> object headers
 *                              -> local heap "HEAP": names
 *     object header, version 1: messages in one block and its continuations
 *       0x0001 dataspace, version 1, rank up to 4
 *       0x0003 datatype, version 1: whole numbers of 1, 4, 8 bytes; IEEE single and double;
 *              texts of fixed length, and of variable length in attributes
 *       0x0008 layout, version 3, compact or contiguous
 *       0x000c attribute, versions 1 to 3, of one element; texts -> global heap "GCOL"
 *       0x0010 continuation        0x0011 symbol table        others are passed over
 *
 * Not read: soft and external links, groups of the newer format, shared messages, external files
 * (0x0007), filters (0x000b) and chunks.  h5.c writes the probe and indices deflated in chunks;
 * they are there for other programs.
 *
 * Format: The HDF Group, HDF5 File Format Specification, version 1.1 (libraries 1.8 to 1.14).
 */
#include "h5_parts.h"

#include <string.h>

enum {
    node_head = 24,   /* of a B-tree: up to its first key */
    entry_size = 40,  /* of a symbol table */
    most_levels = 16, /* of a B-tree */
    most_blocks = 64, /* of an object header; the library starts a new one every few attributes */
    most_name = 256   /* bytes of one, with its NUL */
};

enum {
    message_dataspace = 0x0001,
    message_datatype = 0x0003,
    message_external_files = 0x0007,
    message_layout = 0x0008,
    message_filters = 0x000b,
    message_attribute = 0x000c,
    message_continuation = 0x0010,
    message_symbol_table = 0x0011
};

/*---------------------------------------------------------------------------------------------
 * Bytes
 *-------------------------------------------------------------------------------------------*/

/* `size` bytes from an address; false where the image ends before. */
static bool take(const nl_h5_reader *file, uint64_t address, uint64_t size, nl_span *out)
{
    if (address > file->length || size > file->length - address) {
        return false;
    }
    *out = (nl_span){file->bytes + address, (size_t)size};
    return true;
}

/* The next `size` bytes of a span, which they leave. */
static bool take_front(nl_span *from, size_t size, nl_span *out)
{
    if (size > from->size) {
        return false;
    }
    *out = (nl_span){from->at, size};
    from->at += size;
    from->size -= size;
    return true;
}

/* A node or heap with its signature. */
static bool take_signed(const nl_h5_reader *file, uint64_t address, const char *signature,
                        size_t size, nl_span *out)
{
    return take(file, address, size, out) && memcmp(out->at, signature, 4) == 0;
}

/*---------------------------------------------------------------------------------------------
 * Object headers
 *-------------------------------------------------------------------------------------------*/

/** Goes through the messages of an object. */
typedef struct header_walk {
    const nl_h5_reader *file;
    nl_span rest;               /* of the block that is read */
    nl_span block[most_blocks]; /* those still to be read */
    int blocks;
    size_t budget; /* bytes that blocks may have: a walk in a circle comes to an end */
    bool is_damaged;
} header_walk;

typedef struct message {
    unsigned type;
    bool is_shared; /* its content is elsewhere */
    nl_span body;
} message;

static header_walk walk_header(const nl_h5_reader *file, uint64_t address)
{
    header_walk walk = {.file = file, .budget = file->length};
    nl_span head = {0};

    if (!take(file, address, 16, &head) || head.at[0] != 1 ||
        !take(file, address + 16, nl_number_at(head.at + 8, 4), &walk.rest)) {
        walk.is_damaged = true;
    }
    return walk;
}

static void add_block(header_walk *walk, const message *m)
{
    nl_span block = {0};

    if (m->body.size < 16 || walk->blocks == most_blocks ||
        !take(walk->file, nl_number_at(m->body.at, 8), nl_number_at(m->body.at + 8, 8), &block) ||
        block.size > walk->budget) {
        walk->is_damaged = true;
        return;
    }
    walk->budget -= block.size;
    walk->block[walk->blocks++] = block;
}

/* False: there are no more, or the header is damaged. */
static bool next_message(header_walk *walk, message *out)
{
    nl_span head = {0};

    while (!walk->is_damaged && walk->rest.size < 8 && walk->blocks > 0) {
        walk->rest = walk->block[--walk->blocks];
    }
    if (walk->is_damaged || !take_front(&walk->rest, 8, &head)) {
        return false;
    }
    out->type = (unsigned)nl_number_at(head.at, 2);
    out->is_shared = (head.at[4] & 2) != 0;
    if (!take_front(&walk->rest, (size_t)nl_number_at(head.at + 2, 2), &out->body)) {
        walk->is_damaged = true;
        return false;
    }
    if (out->type == message_continuation) {
        add_block(walk, out);
    }
    return !walk->is_damaged;
}

/*---------------------------------------------------------------------------------------------
 * Groups
 *-------------------------------------------------------------------------------------------*/

/** Part of a path: not terminated. */
typedef struct name_part {
    const char *at;
    size_t length;
} name_part;

/* Order of a name and that at an offset of the heap, as of strcmp; false: it is not there. */
static bool compare_name(name_part name, nl_span heap, uint64_t offset, int *order)
{
    const unsigned char *other = NULL;
    size_t room = 0;
    size_t length = 0;

    if (offset >= heap.size) {
        return false;
    }
    other = heap.at + offset;
    room = heap.size - (size_t)offset < most_name ? heap.size - (size_t)offset : most_name;
    length = strnlen((const char *)other, room);
    if (length == room) {
        return false; /* it does not end */
    }
    *order = memcmp(name.at, other, name.length < length ? name.length : length);
    if (*order == 0) {
        *order = (name.length > length) - (name.length < length);
    }
    return true;
}

/* Names of a group. */
static bool take_heap(const nl_h5_reader *file, uint64_t address, nl_span *out)
{
    nl_span head = {0};

    return take_signed(file, address, "HEAP", 32, &head) && head.at[4] == 0 &&
           take(file, nl_number_at(head.at + 24, 8), nl_number_at(head.at + 8, 8), out);
}

/* The child of a B-tree's node in which a name would stand: the first whose last name is not
 * before it. */
static nl_h5_finding descend(const nl_h5_reader *file, nl_span heap, name_part name, int level,
                             uint64_t *address)
{
    nl_span head = {0};
    nl_span pairs = {0};
    size_t count = 0;

    if (!take_signed(file, *address, "TREE", node_head, &head) || head.at[4] != 0 ||
        head.at[5] != level) {
        return NL_H5_DAMAGED;
    }
    count = (size_t)nl_number_at(head.at + 6, 2);
    if (!take(file, *address + node_head, 16 * count + 8, &pairs)) {
        return NL_H5_DAMAGED;
    }
    for (size_t k = 0; k < count; k++) { /* key, child, key, child, ..., key */
        int order = 0;

        if (!compare_name(name, heap, nl_number_at(pairs.at + 16 * (k + 1), 8), &order)) {
            return NL_H5_DAMAGED;
        }
        if (order <= 0) {
            *address = nl_number_at(pairs.at + 16 * k + 8, 8);
            return NL_H5_FOUND;
        }
    }
    return NL_H5_ABSENT;
}

/* The entry of a name in a symbol table's node: its object header. */
static nl_h5_finding find_entry(const nl_h5_reader *file, nl_span heap, name_part name,
                                uint64_t node, uint64_t *object)
{
    nl_span head = {0};
    nl_span entries = {0};

    if (!take_signed(file, node, "SNOD", 8, &head) || head.at[4] != 1 ||
        !take(file, node + 8, entry_size * nl_number_at(head.at + 6, 2), &entries)) {
        return NL_H5_DAMAGED;
    }
    for (; entries.size > 0; entries.at += entry_size, entries.size -= entry_size) {
        int order = 0;

        if (!compare_name(name, heap, nl_number_at(entries.at, 8), &order)) {
            return NL_H5_DAMAGED;
        }
        if (order == 0) { /* 0 and 1: a hard link; 2: a soft one */
            *object = nl_number_at(entries.at + 8, 8);
            return nl_number_at(entries.at + 16, 4) <= 1 ? NL_H5_FOUND : NL_H5_DAMAGED;
        }
    }
    return NL_H5_ABSENT;
}

static nl_h5_finding find_in_group(const nl_h5_reader *file, uint64_t group, name_part name,
                                   uint64_t *object)
{
    header_walk walk = walk_header(file, group);
    message m = {0};
    nl_span heap = {0};
    nl_span root = {0};
    uint64_t node = 0;
    nl_h5_finding found = NL_H5_FOUND;

    while (next_message(&walk, &m) && m.type != message_symbol_table) {
    }
    if (walk.is_damaged || m.type != message_symbol_table || m.is_shared || m.body.size < 16) {
        return NL_H5_DAMAGED; /* a dataset, or a group of the newer format */
    }
    node = nl_number_at(m.body.at, 8);
    if (!take_heap(file, nl_number_at(m.body.at + 8, 8), &heap) ||
        !take_signed(file, node, "TREE", node_head, &root) || root.at[5] >= most_levels) {
        return NL_H5_DAMAGED;
    }
    for (int level = root.at[5]; found == NL_H5_FOUND && level >= 0; level--) {
        found = descend(file, heap, name, level, &node);
    }
    return found == NL_H5_FOUND ? find_entry(file, heap, name, node, object) : found;
}

/* The object header at the end of an absolute path. */
nl_h5_finding nl_h5_find_object(const nl_h5_reader *file, const char *path, uint64_t *object)
{
    nl_h5_finding found = NL_H5_FOUND;

    *object = file->root;
    path += strspn(path, "/");
    while (found == NL_H5_FOUND && *path != '\0') {
        const name_part name = {path, strcspn(path, "/")};

        found = find_in_group(file, *object, name, object);
        path += name.length;
        path += strspn(path, "/");
    }
    return found;
}

/*---------------------------------------------------------------------------------------------
 * Types, shapes, values
 *-------------------------------------------------------------------------------------------*/

/* The properties of IEEE numbers of 4 and 8 bytes: no offset, sign on top, bias. */
static bool is_ieee(const unsigned char *body, size_t size)
{
    static const unsigned char single_bits[] = {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0};
    static const unsigned char double_bits[] = {0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0};
    const bool implied = (body[1] & 0x30) == 0x20 && (body[1] & 0x4e) == 0 && (body[1] & 0x80) == 0;

    return implied && body[2] == 8 * size - 1 &&
           memcmp(body + 8, size == 4 ? single_bits : double_bits, sizeof single_bits) == 0;
}

static bool read_type(nl_span body, nl_h5_element *out)
{
    if (body.size < 8 || body.at[0] >> 4 != 1) {
        return false;
    }
    *out = (nl_h5_element){.class = body.at[0] & 15,
                           .size = (size_t)nl_number_at(body.at + 4, 4),
                           .is_signed = (body.at[1] & 8) != 0,
                           .is_big_endian = (body.at[1] & 1) != 0};
    switch (out->class) {
    case NL_H5_WHOLE:
        return body.size >= 12 && (out->size == 1 || out->size == 4 || out->size == 8) &&
               nl_number_at(body.at + 8, 2) == 0 && nl_number_at(body.at + 10, 2) == 8 * out->size;
    case NL_H5_REAL:
        return body.size >= 20 && (out->size == 4 || out->size == 8) && is_ieee(body.at, out->size);
    case NL_H5_TEXT:
        return out->size > 0;
    case NL_H5_VARIABLE:
        return out->size == 16 && (body.at[1] & 15) == 1; /* a text, no sequence */
    default:
        return false;
    }
}

static bool read_extent(nl_span body, nl_h5_extent *out)
{
    *out = (nl_h5_extent){.count = 1};
    if (body.size < 8 || body.at[0] != 1 || body.at[1] > nl_h5_most_rank ||
        body.size < 8 + 8 * (size_t)body.at[1]) {
        return false;
    }
    out->rank = body.at[1];
    for (int k = 0; k < out->rank; k++) {
        out->dims[k] = nl_number_at(body.at + 8 + 8 * (size_t)k, 8);
        if (__builtin_mul_overflow(out->count, out->dims[k], &out->count)) {
            return false;
        }
    }
    return true;
}

/* Where a dataset's elements are. */
static bool read_layout(const nl_h5_reader *file, nl_span body, nl_span *out)
{
    if (body.size < 4 || body.at[0] != 3) {
        return false;
    }
    if (body.at[1] == 0) { /* compact */
        const size_t size = (size_t)nl_number_at(body.at + 2, 2);

        *out = (nl_span){body.at + 4, size};
        return size <= body.size - 4;
    }
    if (body.at[1] != 1 || body.size < 18) { /* contiguous */
        return false;
    }
    if (nl_number_at(body.at + 10, 8) == 0) { /* no elements, no address */
        *out = (nl_span){body.at, 0};
        return true;
    }
    return take(file, nl_number_at(body.at + 2, 8), nl_number_at(body.at + 10, 8), out);
}

/* Are there as many bytes as the elements want? */
static bool is_filled(const nl_h5_content *c)
{
    uint64_t bytes = 0;

    return !__builtin_mul_overflow(c->shape.count, (uint64_t)c->type.size, &bytes) &&
           bytes == c->data.size;
}

/* NULL, or in words what is wrong. */
const char *nl_h5_read_dataset(const nl_h5_reader *file, uint64_t object, nl_h5_content *out)
{
    header_walk walk = walk_header(file, object);
    message m = {0};
    unsigned found = 0; /* bits by type of message */
    bool good = true;

    *out = (nl_h5_content){0};
    while (good && next_message(&walk, &m)) {
        switch (m.type) {
        case message_dataspace:
            good = !m.is_shared && read_extent(m.body, &out->shape);
            break;
        case message_datatype:
            good =
                !m.is_shared && read_type(m.body, &out->type) && out->type.class != NL_H5_VARIABLE;
            break;
        case message_layout:
            good = !m.is_shared && read_layout(file, m.body, &out->data);
            break;
        case message_external_files:
            return "is kept in other files, expected its content";
        case message_filters:
            return "is filtered, expected plain numbers";
        default:
            continue;
        }
        found |= 1u << m.type;
    }
    if (!good || walk.is_damaged ||
        found != (1u << message_dataspace | 1u << message_datatype | 1u << message_layout)) {
        return "is of another kind, shape or layout than ntklens writes";
    }
    return is_filled(out) ? NULL : "does not hold what its shape says";
}

/*---------------------------------------------------------------------------------------------
 * Attributes
 *-------------------------------------------------------------------------------------------*/

/* Its parts are padded to eight bytes in version 1 only. */
static bool read_attribute(nl_span body, nl_span *name, nl_h5_content *out)
{
    nl_span head = {0};
    nl_span type = {0};
    nl_span space = {0};
    size_t size[3] = {0};

    *out = (nl_h5_content){0};
    if (!take_front(&body, 8, &head) || head.at[0] < 1 || head.at[0] > 3 ||
        (head.at[0] > 1 && head.at[1] != 0) || /* shared type or space */
        (head.at[0] == 3 && !take_front(&body, 1, &space))) {
        return false;
    }
    for (int k = 0; k < 3; k++) {
        size[k] = (size_t)nl_number_at(head.at + 2 + 2 * (size_t)k, 2);
        size[k] = head.at[0] == 1 ? (size[k] + 7) / 8 * 8 : size[k];
    }
    if (!take_front(&body, size[0], name) || !take_front(&body, size[1], &type) ||
        !take_front(&body, size[2], &space) || !read_type(type, &out->type) ||
        !read_extent(space, &out->shape) || out->shape.count != 1) {
        return false;
    }
    return take_front(&body, out->type.size, &out->data);
}

static bool is_name(nl_span name, const char *wanted)
{
    const size_t length = strlen(wanted);

    return name.size > length && memcmp(name.at, wanted, length + 1) == 0;
}

/* An attribute of the object at a path.  Others may be of any kind, but must be whole. */
nl_h5_finding nl_h5_find_attribute(const nl_h5_reader *file, const char *path, const char *name,
                                   nl_h5_content *out)
{
    uint64_t object = 0;
    nl_h5_finding found = nl_h5_find_object(file, path, &object);
    header_walk walk = {0};
    message m = {0};

    if (found != NL_H5_FOUND) {
        return found;
    }
    walk = walk_header(file, object);
    while (next_message(&walk, &m)) {
        nl_span theirs = {0};

        if (m.type == message_attribute) {
            const bool good = !m.is_shared && read_attribute(m.body, &theirs, out);

            if (is_name(theirs, name)) {
                return good ? NL_H5_FOUND : NL_H5_DAMAGED;
            }
        }
    }
    return walk.is_damaged ? NL_H5_DAMAGED : NL_H5_ABSENT;
}

/* An object of a global heap. */
bool nl_h5_take_global(const nl_h5_reader *file, uint64_t address, uint64_t index, nl_span *out)
{
    nl_span head = {0};
    nl_span heap = {0};

    if (!take_signed(file, address, "GCOL", 16, &head) || head.at[4] != 1 ||
        !take(file, address, nl_number_at(head.at + 8, 8), &heap) ||
        !take_front(&heap, 16, &head)) {
        return false;
    }
    while (take_front(&heap, 16, &head)) {
        const uint64_t size = nl_number_at(head.at + 8, 8);
        size_t skip = 0;

        if (nl_number_at(head.at, 2) == index && index != 0) {
            return size <= heap.size && take_front(&heap, (size_t)size, out);
        }
        if (size > heap.size || nl_number_at(head.at, 2) == 0) { /* 0: what is free */
            return false;
        }
        skip = ((size_t)size + 7) / 8 * 8;
        take_front(&heap, skip < heap.size ? skip : heap.size, out);
    }
    return false;
}
