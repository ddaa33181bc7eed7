/** @file suggest.c  What was probably meant by a word that nobody knows. */
#include "suggest.h"
#include "keys.h"

#include <ctype.h>
#include <string.h>

enum { longest = 48, most_named = 3 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edits (insert, delete, replace, swap neighbours) between two words, case aside: Damerau's
 * distance in its restricted form.  Long words count as far. */
static int distance(const char *a, const char *b)
{
    int d[longest + 1][longest + 1];
    size_t rows = strlen(a);
    size_t columns = strlen(b);

    if (rows > longest || columns > longest) {
        return longest;
    }
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            d[i][j] = least(d[i - 1][j], d[i][j - 1]) + 1;
            d[i][j] = least(d[i][j], d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1])) {
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[rows][columns];
}

/* Edits that are still taken for a slip in a word of this length. */
static int tolerance(const char *word)
{
    return 1 + (int)strlen(word) / 4;
}

typedef struct search {
    const char *section, *key; /* as written */
    char full[nl_path_size];
    int best;                  /* least score so far */
    int found;                 /* candidates with that score */
    char path[most_named][64]; /* the first of them */
} search;

/* A known path is near when its name is (one more where it stands in another section), or when the
 * whole path is. */
static void weigh(search *s, const char *path)
{
    const char *last = nl_path_last(path);
    size_t head = last > path ? (size_t)(last - path) - 1 : 0;
    bool elsewhere = strlen(s->section) != head || strncmp(s->section, path, head) != 0;
    int score = least(distance(s->full, path), distance(s->key, last) + elsewhere);

    if (score > s->best) {
        return;
    }
    if (score < s->best) {
        s->best = score;
        s->found = 0;
    }
    if (s->found < most_named) {
        snprintf(s->path[s->found], sizeof s->path[0], "%s", path);
    }
    s->found++;
}

/* All sections that open with this key: "measure" and "measure.at" at measure.at.steps. */
static void weigh_sections(search *s, nl_key key)
{
    const char *path = nl_key_describe(key)->path;
    const char *previous = key > 0 ? nl_key_describe((nl_key)(key - 1))->path : "";

    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        char section[64];

        snprintf(section, sizeof section, "%.*s", (int)(dot - path), path);
        if (!nl_path_is_below(previous, section)) {
            weigh(s, section);
        }
    }
}

/* "widths belongs to model", where the name is right and the section wrong. */
static bool say_where_it_belongs(const search *s, char *text, size_t size)
{
    for (int k = 0; k < s->found; k++) {
        const char *last = nl_path_last(s->path[k]);

        if (strcmp(last, s->key) != 0) {
            return false;
        }
    }
    snprintf(text, size, "%s belongs", s->key);
    for (int k = 0; k < s->found; k++) {
        const char *last = nl_path_last(s->path[k]);
        size_t length = strlen(text);
        int head = last > s->path[k] ? (int)(last - s->path[k]) - 1 : 0;

        snprintf(text + length, size - length, " %s %.*s%s", k > 0 ? "or" : "to", head, s->path[k],
                 head == 0 ? "the top level" : "");
    }
    return true;
}

static void say_what_was_meant(const search *s, char *text, size_t size)
{
    snprintf(text, size, "did you mean ");
    for (int k = 0; k < s->found; k++) {
        size_t length = strlen(text);

        snprintf(text + length, size - length, "%s%s%s", k > 0 ? " or " : "", s->path[k],
                 k + 1 == s->found ? "?" : "");
    }
}

/* Nothing is near: name what the section has. */
static void say_what_is_there(const char *section, char *text, size_t size)
{
    char last[64] = "";

    snprintf(text, size, "%s has", section[0] != '\0' ? section : "the top level");
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const char *path = nl_key_describe((nl_key)key)->path;
        const char *name = path;
        char child[64];
        size_t length = strlen(text);

        if (section[0] != '\0') {
            if (!nl_path_is_below(path, section)) {
                continue;
            }
            name = path + strlen(section) + 1;
        }
        snprintf(child, sizeof child, "%.*s", (int)strcspn(name, "."), name);
        if (strcmp(child, last) != 0) {
            snprintf(text + length, size - length, "%s %s", last[0] != '\0' ? "," : "", child);
            snprintf(last, sizeof last, "%s", child);
        }
    }
}

void nl_key_suggest(const char *section, const char *key, bool dotted, nl_suggestion *out)
{
    search s = {.section = section, .key = key, .best = tolerance(key)};
    bool known = section[0] == '\0' || nl_key_is_section(section);

    *out = (nl_suggestion){0};
    snprintf(s.full, sizeof s.full, "%s%s%s", section, section[0] != '\0' ? "." : "", key);
    for (int k = 0; k < NL_KEY_COUNT; k++) {
        weigh_sections(&s, (nl_key)k);
        weigh(&s, nl_key_describe((nl_key)k)->path);
    }
    if (s.found == 0 || s.found > most_named) {
        say_what_is_there(known ? section : "", out->text, sizeof out->text);
        return;
    }
    if (s.found == 1) {
        snprintf(out->path, sizeof out->path, "%s", s.path[0]);
    }
    if (dotted || !say_where_it_belongs(&s, out->text, sizeof out->text)) {
        say_what_was_meant(&s, out->text, sizeof out->text);
    }
}

bool nl_choice_suggest(const char *choices, const char *word, char out[64])
{
    char choice[64];
    int best = tolerance(word) + 1;

    for (int index = 0; nl_choice_at(choices, index, choice); index++) {
        int edits = distance(word, choice);

        if (edits < best) {
            best = edits;
            memcpy(out, choice, sizeof choice);
        }
    }
    return best <= tolerance(word);
}

const char *nl_excerpt(const char *text, char out[64])
{
    enum { most = 48 };
    size_t length = strlen(text);

    if (length > most) {
        length = most;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
            length--;
        }
        snprintf(out, 64, "%.*s...", (int)length, text);
    } else {
        snprintf(out, 64, "%s", text);
    }
    return out;
}
