/** @file keys_print.c  The key table for people: `ntklens keys`. */
#include "keys.h"

#include <string.h>

enum { key_width = 26, default_width = 16, affects_width = 13, line_width = 100 };
enum { indent = key_width + default_width + affects_width };

static const char *affects_text(nl_affects affects)
{
    static const char *const texts[] = {"nothing", "training", "measurement", "execution"};

    return texts[affects];
}

/* Words of `text` in lines of the last column; the cursor stands at its start. */
static void print_wrapped(FILE *stream, const char *text)
{
    size_t used = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (used > 0 && used + 1 + word > line_width - indent) {
            fprintf(stream, "\n%*s", indent, "");
            used = 0;
        }
        used += (size_t)fprintf(stream, "%s%.*s", used > 0 ? " " : "", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

static void print_key(FILE *stream, const nl_key_info *info, const char *name, int depth)
{
    char expected[nl_expected_size];
    char text[nl_expected_size + 32];
    const char *fallback = info->fallback;

    if (fallback == NULL) {
        fallback = "(required)";
    }
    nl_key_expected(info, expected);
    snprintf(text, sizeof text, "%s%s", expected,
             info->shape == NL_SHAPE_AXIS   ? "; axis"
             : info->shape == NL_SHAPE_LIST ? "; list"
                                            : "");
    fprintf(stream, "%*s%-*s%-*s%-*s", depth, "", key_width - depth, name, default_width, fallback,
            affects_width, affects_text(info->affects));
    print_wrapped(stream, text);
    fprintf(stream, "%*s", indent, "");
    print_wrapped(stream, info->help);
}

void nl_keys_print(FILE *stream)
{
    const char *section = "";

    fprintf(stream, "%-*s%-*s%-*s%s\n", key_width, "KEY", default_width, "DEFAULT", affects_width,
            "AFFECTS", "VALUES AND MEANING");
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        size_t length = strcspn(info->path, ".");
        bool top = info->path[length] == '\0';

        if (!top && (strncmp(section, info->path, length) != 0 || section[length] != '.')) {
            fprintf(stream, "%.*s:\n", (int)length, info->path);
        }
        section = info->path;
        print_key(stream, info, top ? info->path : info->path + length + 1, top ? 0 : 2);
    }
    fputs("\naxis: one value, a list [16, 32, 64], or a range {from: 8, to: 1024, factor: 2} or\n"
          "      {from: 0, to: 9, step: 1}; a study trains every combination of its axes\n"
          "list: the same, but not an axis\n"
          "A change of a key is taken up by work that is redone from there: training (train and\n"
          "measure anew), measurement (measure kept snapshots anew), execution (nothing redone).\n",
          stream);
}
