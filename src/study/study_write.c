/** @file study_write.c  A resolved study as YAML again. */
#include "keys.h"

#include "ntklens/study.h"

#include <string.h>

/* Code points that YAML takes as they are inside double quotes. */
static bool is_printable(uint32_t code)
{
    return (code >= 0x20 && code < 0x7f) || (code >= 0xa0 && code < 0x2028) ||
           (code > 0x2029 && code < 0xd800) || (code >= 0xe000 && code < 0xfeff) ||
           (code > 0xfeff && code < 0xfffd) || code >= 0x10000;
}

static void write_quoted(const char *text, nl_text *out)
{
    size_t length = 0;

    nl_text_append(out, "\"");
    for (const char *at = text; *at != '\0'; at += length) {
        uint32_t code = nl_utf8_decode(at, &length);

        if (code == '"' || code == '\\') {
            nl_text_append(out, "\\%c", (int)code);
        } else if (is_printable(code)) {
            nl_text_append_bytes(out, at, length);
        } else {
            nl_text_append(out, "\\u%04X", (unsigned)code);
        }
    }
    nl_text_append(out, "\"");
}

/* Plural keys (widths, seeds) stay lists also with one value; learning_rate does not. */
static bool is_written_as_list(const nl_key_info *info, const nl_values *values)
{
    return info->shape == NL_SHAPE_LIST || values->count != 1 ||
           (info->shape == NL_SHAPE_AXIS && (info->fallback == NULL || info->fallback[0] == '['));
}

static void write_values(const nl_key_info *info, const nl_values *values, nl_text *out)
{
    bool list = is_written_as_list(info, values);
    char digits[32];

    nl_text_append(out, list ? " [" : " ");
    for (int k = 0; k < values->count; k++) {
        nl_text_append(out, k > 0 ? ", " : "");
        if (info->type == NL_TYPE_TEXT) {
            write_quoted(values->item[k].word, out);
        } else {
            nl_text_append(out, "%s", nl_scalar_text(info, &values->item[k], digits));
        }
    }
    nl_text_append(out, list ? "]\n" : "\n");
}

/* Open the sections of `path` that the key before it did not stand in; the depth they lead to. */
static int write_sections(const char *path, const char *previous, nl_text *out)
{
    int depth = 0;

    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t length = (size_t)(dot - path);

        if (strncmp(path, previous, length + 1) != 0) {
            const char *name = dot;

            while (name > path && name[-1] != '.') {
                name--;
            }
            nl_text_append(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - name), name);
        }
        depth++;
    }
    return depth;
}

void nl_study_write(const nl_study *study, const char *data_folder, int facts,
                    const char *const fact_names[], const char *const fact_values[], nl_text *out)
{
    const char *previous = "";

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        int depth = write_sections(info->path, previous, out);

        nl_text_append(out, "%*s%s:", 2 * depth, "", nl_path_last(info->path));
        if (key == NL_KEY_PATH && data_folder != NULL) {
            nl_text_append(out, " ");
            write_quoted(data_folder, out);
            nl_text_append(out, "\n");
        } else {
            write_values(info, &study->value[key], out);
        }
        previous = info->path;
    }
    nl_text_append(out, facts > 0 ? "provenance:\n" : "");
    for (int k = 0; k < facts; k++) {
        nl_text_append(out, "  ");
        write_quoted(fact_names[k], out);
        nl_text_append(out, ": ");
        write_quoted(fact_values[k], out);
        nl_text_append(out, "\n");
    }
}
