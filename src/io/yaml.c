/** @file yaml.c  One YAML document as a tree with marks, by libyaml's events. */
#include "ntklens/io.h"
#include "yaml_slips.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Deeper nesting is no study file; the bound keeps every walk over a tree harmless. */
enum { max_depth = 32 };

typedef struct stored_node {
    nl_yaml_node node; /* first: a node is its store */
    struct stored_node *next;
    nl_yaml_node *open_key; /* map: the key that waits for its value */
    int capacity;
    char text[];
} stored_node;

struct nl_yaml {
    stored_node *nodes; /* owned, all of the tree */
    nl_yaml_node *root;
};

typedef struct builder {
    nl_yaml *yaml;
    nl_diagnostics *diagnostics;
    const char *source;
    const char *text; /* the input, to look at where libyaml stumbled */
    size_t length;
    bool inlined;  /* from a command line: no lines */
    bool unusable; /* no tree can come of this */
    bool failed;   /* out of memory */
    int documents;
    int depth;
    stored_node *open[max_depth];
} builder;

static nl_mark mark_at(const builder *b, size_t line, size_t column)
{
    nl_mark mark = {.source = b->source};

    if (!b->inlined) {
        mark.line = (int)line + 1;
        mark.column = (int)column + 1;
    }
    return mark;
}

/*---------------------------------------------------------------------------------------------
 * Syntax errors, in words
 *-------------------------------------------------------------------------------------------*/

/* What newcomers usually did where libyaml says this. */
static const char *advice(const char *problem)
{
    static const struct {
        const char *problem, *advice;
    } table[] = {
        {"mapping values are not allowed",
         "a second ':' in one line (text with ': ' in it stands in quotes), or this line is "
         "indented further than its neighbours"},
        {"did not find expected key", "this line's indentation does not fit those above"},
        {"did not find expected '-' indicator", "this line's indentation does not fit those above"},
        {"could not find expected ':'", "each line is 'key: value', with a space after the colon"},
        {"did not find expected ',' or ']'",
         "a list [ ... ] is not closed, or a comma is missing in it"},
        {"did not find expected ',' or '}'",
         "a group { ... } is not closed, or a comma is missing in it, as in {from: 8, to: 64, "
         "factor: 2}"},
        {"did not find expected node content", "a value is missing here"},
        {"did not find expected <document start>", "more than one value was written"},
        {"block sequence entries are not allowed", "a list item '-' starts in a line of its own"},
        {"found unexpected ':'", "a colon is followed by a space, as in 'key: value'"},
        {"found character that cannot start any token",
         "text that starts with % @ or ` stands in quotes"},
        {"found unexpected end of stream", "a quote or bracket is not closed"},
    };

    for (size_t k = 0; k < NL_COUNT(table); k++) {
        if (strncmp(problem, table[k].problem, strlen(table[k].problem)) == 0) {
            return table[k].advice;
        }
    }
    return NULL;
}

/* Does libyaml stumble lines behind what is wrong: a key without colon, an open quote or bracket?
 * Then the fault is where its context starts. */
static bool fault_is_earlier(const yaml_parser_t *parser)
{
    static const char *const contexts[] = {
        "while scanning a simple key", "while scanning a quoted scalar", "while parsing a flow "};

    for (size_t k = 0; parser->context != NULL && k < NL_COUNT(contexts); k++) {
        if (strncmp(parser->context, contexts[k], strlen(contexts[k])) == 0) {
            return parser->context_mark.line < parser->problem_mark.line;
        }
    }
    return false;
}

static const char *line_start(const builder *b, size_t line)
{
    const char *at = b->text;
    const char *end = b->text + b->length;

    for (; line > 0 && at < end; at++) {
        line -= *at == '\n';
    }
    return at;
}

/* Is something written before this place of a line (from 0)?  Then it is not its indentation that
 * is wrong. */
static bool follows_something(const builder *b, yaml_mark_t mark)
{
    const char *at = line_start(b, mark.line);
    const char *end = b->text + b->length;

    for (size_t k = 0; k < mark.column && at < end && *at != '\n'; k++, at++) {
        if (*at != ' ' && *at != '\t') {
            return true;
        }
    }
    return false;
}

/* Is there a tab in the indentation of this line (from 0)? */
static bool tab_indents(const builder *b, size_t line)
{
    const char *at = line_start(b, line);
    const char *end = b->text + b->length;

    while (at < end && *at == ' ') {
        at++;
    }
    return at < end && *at == '\t';
}

/* libyaml's reader gives an offset in bytes. */
static nl_mark mark_of_offset(const builder *b, size_t offset)
{
    size_t line = 0;
    size_t column = 0;

    for (size_t k = 0; k < offset && k < b->length; k++) {
        column += (b->text[k] & 0xc0) != 0x80; /* characters, not bytes */
        column = b->text[k] == '\n' ? 0 : column;
        line += b->text[k] == '\n';
    }
    return mark_at(b, line, column);
}

/* What libyaml says, at the place that is to be mended, with what to do. */
static void complain_stumble(builder *b, const yaml_parser_t *parser)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    const char *hint = advice(problem);
    const bool earlier = fault_is_earlier(parser);
    const yaml_mark_t place = earlier ? parser->context_mark : parser->problem_mark;
    char context[160] = "";

    if (parser->context != NULL) {
        snprintf(context, sizeof context, " %s", parser->context);
        if (!b->inlined && !earlier && parser->context_mark.line != parser->problem_mark.line) {
            snprintf(context + strlen(context), sizeof context - strlen(context),
                     " that starts in line %zu", parser->context_mark.line + 1);
        }
    }
    if (strncmp(problem, "did not find expected key", 25) == 0 &&
        follows_something(b, parser->problem_mark)) {
        hint = "nothing more belongs in this line; a comment starts with '#'";
    }
    if (tab_indents(b, parser->problem_mark.line)) {
        hint = "this line is indented with a tab: YAML wants spaces";
    }
    nl_diagnostics_add(b->diagnostics, mark_at(b, place.line, place.column),
                       "not valid YAML: %s%s%s%s", problem, context, hint != NULL ? "; " : "",
                       hint != NULL ? hint : "");
}

static void complain_syntax(builder *b, const yaml_parser_t *parser)
{
    b->unusable = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        b->failed = true;
    } else if (parser->error == YAML_READER_ERROR) {
        nl_diagnostics_add(b->diagnostics, mark_of_offset(b, parser->problem_offset),
                           "not a text file in UTF-8: %s",
                           parser->problem != NULL ? parser->problem : "not text");
    } else if (b->inlined ||
               nl_yaml_complain_slips(b->source, b->text, b->length, parser->problem_mark.line,
                                      b->diagnostics) == 0) {
        complain_stumble(b, parser);
    }
}

/*---------------------------------------------------------------------------------------------
 * The tree
 *-------------------------------------------------------------------------------------------*/

static stored_node *new_node(builder *b, nl_yaml_kind kind, nl_mark mark, const void *text,
                             size_t length)
{
    stored_node *stored = calloc(1, sizeof *stored + length + 1);

    if (stored == NULL) {
        b->failed = true;
        return NULL;
    }
    if (length > 0) {
        memcpy(stored->text, text, length);
    }
    stored->node = (nl_yaml_node){.kind = kind, .mark = mark, .text = stored->text};
    stored->next = b->yaml->nodes;
    b->yaml->nodes = stored;
    return stored;
}

/* Room for one more pair or item. */
static bool reserve_child(builder *b, stored_node *parent)
{
    int capacity = parent->capacity > 0 ? 2 * parent->capacity : 8;
    size_t bytes = (size_t)capacity * sizeof(nl_yaml_node *);
    nl_yaml_node **grown = NULL;

    if (parent->node.keys != NULL && parent->node.count < parent->capacity) {
        return true;
    }
    grown = realloc(parent->node.values, bytes);
    if (grown != NULL) {
        parent->node.values = grown;
        grown = realloc(parent->node.keys, bytes);
    }
    if (grown == NULL) {
        b->failed = true;
        return false;
    }
    parent->node.keys = grown;
    parent->capacity = capacity;
    return true;
}

/* A key that names something, once; complaints otherwise. */
static bool key_is_sound(builder *b, const nl_yaml_node *map, const nl_yaml_node *key)
{
    if (key->kind == NL_YAML_BROKEN) {
        return false;
    }
    if (key->kind != NL_YAML_SCALAR) {
        nl_diagnostics_add(b->diagnostics, key->mark, "a key must be plain text, this is a %s",
                           key->kind == NL_YAML_LIST ? "list" : "group of keys");
        return false;
    }
    if (key->text[0] == '\0') {
        nl_diagnostics_add(b->diagnostics, key->mark, "a value without a key");
        return false;
    }
    if (!key->quoted && strcmp(key->text, "<<") == 0) {
        nl_diagnostics_add(b->diagnostics, key->mark,
                           "merge keys (<<) are not supported: write the keys out");
        return false;
    }
    for (int k = 0; k < map->count; k++) {
        if (strcmp(map->keys[k]->text, key->text) == 0) {
            char first[48] = "";

            if (!b->inlined) {
                snprintf(first, sizeof first, ", first in line %d", map->keys[k]->mark.line);
            }
            nl_diagnostics_add(b->diagnostics, key->mark, "%.60s: given twice%s", key->text, first);
            return false;
        }
    }
    return true;
}

/* Hang a node into the collection that is open. */
static void attach(builder *b, nl_yaml_node *node)
{
    stored_node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
    nl_yaml_node *key = NULL;

    if (parent == NULL) {
        b->yaml->root = node;
        return;
    }
    if (parent->node.kind == NL_YAML_MAP) {
        key = parent->open_key;
        if (key == NULL) {
            parent->open_key = node;
            return;
        }
        parent->open_key = NULL;
        if (!key_is_sound(b, &parent->node, key)) {
            return;
        }
    }
    if (reserve_child(b, parent)) {
        parent->node.keys[parent->node.count] = key;
        parent->node.values[parent->node.count] = node;
        parent->node.count++;
    }
}

static void refuse_decoration(builder *b, nl_mark mark, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor != NULL) {
        nl_diagnostics_add(b->diagnostics, mark,
                           "anchors (&%.40s) are not supported: write values out where they apply",
                           (const char *)anchor);
    }
    if (tag != NULL) {
        nl_diagnostics_add(b->diagnostics, mark, "tags (%.60s) are not supported: leave it out",
                           (const char *)tag);
    }
}

static void take_scalar(builder *b, nl_mark mark, const yaml_event_t *event)
{
    const yaml_char_t *text = event->data.scalar.value;
    size_t length = event->data.scalar.length;
    stored_node *stored = NULL;

    refuse_decoration(b, mark, event->data.scalar.anchor, event->data.scalar.tag);
    stored = new_node(b, NL_YAML_SCALAR, mark, text, length);
    if (stored == NULL) {
        return;
    }
    stored->node.quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (memchr(text, '\0', length) != NULL) {
        nl_diagnostics_add(b->diagnostics, mark, "a NUL character (\\0) cannot be part of a text");
        stored->node.kind = NL_YAML_BROKEN;
    }
    attach(b, &stored->node);
}

static void open_collection(builder *b, nl_mark mark, nl_yaml_kind kind, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    stored_node *stored = NULL;

    refuse_decoration(b, mark, anchor, tag);
    if (b->depth == max_depth) {
        nl_diagnostics_add(b->diagnostics, mark, "nested more than %d levels deep", max_depth);
        b->unusable = true;
        return;
    }
    stored = new_node(b, kind, mark, NULL, 0);
    if (stored != NULL) {
        attach(b, &stored->node);
        b->open[b->depth++] = stored;
    }
}

static void take_alias(builder *b, nl_mark mark, const yaml_event_t *event)
{
    stored_node *stored = new_node(b, NL_YAML_BROKEN, mark, NULL, 0);

    nl_diagnostics_add(b->diagnostics, mark,
                       "aliases (*%.40s) are not supported: write the value out",
                       (const char *)event->data.alias.anchor);
    if (stored != NULL) {
        attach(b, &stored->node);
    }
}

static void take_event(builder *b, const yaml_event_t *event)
{
    nl_mark mark = mark_at(b, event->start_mark.line, event->start_mark.column);

    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++b->documents > 1) {
            nl_diagnostics_add(b->diagnostics, mark,
                               "a second document starts here (---): a file holds one");
            b->unusable = true;
        }
        break;
    case YAML_ALIAS_EVENT:
        take_alias(b, mark, event);
        break;
    case YAML_SCALAR_EVENT:
        take_scalar(b, mark, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        open_collection(b, mark, NL_YAML_LIST, event->data.sequence_start.anchor,
                        event->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        open_collection(b, mark, NL_YAML_MAP, event->data.mapping_start.anchor,
                        event->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        break;
    default: /* starts and ends of stream and document */
        break;
    }
}

/* Nothing but comments, or `---` alone. */
static void check_emptiness(builder *b)
{
    const nl_yaml_node *root = b->yaml->root;

    if (b->unusable || (root != NULL && (root->kind != NL_YAML_SCALAR || root->text[0] != '\0'))) {
        return;
    }
    if (b->inlined && root == NULL) {
        stored_node *stored = new_node(b, NL_YAML_SCALAR, mark_at(b, 0, 0), NULL, 0);

        b->yaml->root = stored != NULL ? &stored->node : NULL;
    } else if (!b->inlined && (root == NULL || !root->quoted)) {
        nl_diagnostics_add(b->diagnostics, mark_at(b, 0, 0),
                           "empty: 'key: value' lines were expected");
        b->unusable = true;
    }
}

static nl_status parse(builder *b, nl_yaml **out)
{
    yaml_parser_t parser;
    bool more = true;

    *out = NULL;
    b->yaml = calloc(1, sizeof *b->yaml);
    if (b->yaml == NULL || yaml_parser_initialize(&parser) == 0) {
        nl_yaml_destroy(&b->yaml);
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory while parsing", b->source);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->length);
    while (more && !b->unusable && !b->failed) {
        yaml_event_t event;

        if (yaml_parser_parse(&parser, &event) == 0) {
            complain_syntax(b, &parser);
            break;
        }
        take_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (!b->failed) {
        check_emptiness(b);
    }
    if (b->unusable || b->failed) {
        nl_yaml_destroy(&b->yaml);
    }
    *out = b->yaml;
    return b->failed ? NL_FAIL(NL_ERR_NOMEM, "%s: out of memory while parsing", b->source) : NL_OK;
}

nl_status nl_yaml_parse(const char *source, const char *text, size_t length,
                        nl_diagnostics *diagnostics, nl_yaml **out)
{
    builder b = {.diagnostics = diagnostics, .source = source, .text = text, .length = length};

    return parse(&b, out);
}

nl_status nl_yaml_parse_value(const char *source, const char *text, nl_diagnostics *diagnostics,
                              nl_yaml **out)
{
    builder b = {.diagnostics = diagnostics,
                 .source = source,
                 .text = text,
                 .length = strlen(text),
                 .inlined = true};

    return parse(&b, out);
}

const nl_yaml_node *nl_yaml_root(const nl_yaml *yaml)
{
    return yaml->root;
}

void nl_yaml_destroy(nl_yaml **yaml)
{
    if (*yaml == NULL) {
        return;
    }
    for (stored_node *stored = (*yaml)->nodes; stored != NULL;) {
        stored_node *next = stored->next;

        free(stored->node.keys);
        free(stored->node.values);
        free(stored);
        stored = next;
    }
    free(*yaml);
    *yaml = NULL;
}
