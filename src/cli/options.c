/* Parsing options.  SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/help.h"
#include "cli/json.h"

/* How many letters must change to make a of b (Levenshtein), for "did you mean". */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    const size_t n = strlen(b);
    if (n >= sizeof row / sizeof *row)
        return n;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = best < change ? best : change;
        }
    }
    return row[n];
}

const char *option_nearest(const command *c, const char *name)
{
    const char *nearest = NULL;
    size_t best = 4;
    for (int i = 0; i < c->count; i++) {
        const size_t d = distance(name, c->options[i].name);
        if (d < best) {
            best = d;
            nearest = c->options[i].name;
        }
    }
    return nearest;
}

const option *option_find(const command *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return &c->options[i];
    return NULL;
}

static parsed unknown(const command *c, const char *name)
{
    const char *nearest = option_nearest(c, name);
    fprintf(stderr, "gomokunet %s: unknown option --%s", c->name, name);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean --%s?", nearest);
    fprintf(stderr, " (gomokunet %s --help lists them)\n", c->name);
    return PARSED_WRONG;
}

static bool wrong_value(const option *o, const char *where, const char *text)
{
    fprintf(stderr, "%s \"%s\": expected ", where, text);
    if (o->kind == OPT_SEED)
        fprintf(stderr, "a whole number from 0\n");
    else if (o->low < o->high)
        fprintf(stderr, "a%s number from %g to %g\n", o->kind == OPT_INT ? " whole" : "", o->low,
                o->high);
    else
        fprintf(stderr, "a%s number\n", o->kind == OPT_INT ? " whole" : "");
    return false;
}

static bool store_number(const option *o, const char *where, const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == OPT_SEED) {
        const unsigned long long n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
            return wrong_value(o, where, text);
        *(uint64_t *)o->target = n;
        return true;
    }
    const double x = strtod(text, &end);
    const bool whole = x >= -2e9 && x <= 2e9 && (double)(int)x == x;
    if (end == text || *end != '\0' || x != x || (o->kind == OPT_INT && !whole) ||
        (o->low < o->high && !(x >= o->low && x <= o->high)))
        return wrong_value(o, where, text);
    if (o->kind == OPT_INT)
        *(int *)o->target = (int)x;
    else
        *(double *)o->target = x;
    return true;
}

bool option_store(const option *o, const char *where, const char *text)
{
    text_list *list = o->target;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->target = true;
        return true;
    case OPT_TEXT:
    case OPT_CALL:
        *(const char **)o->target = text;
        return true;
    case OPT_LIST:
        if (list->count == LIST_MAX) {
            fprintf(stderr, "%s: at most %d times\n", where, LIST_MAX);
            return false;
        }
        list->item[list->count++] = text;
        return true;
    case OPT_INT:
    case OPT_SEED:
    case OPT_REAL:
        return store_number(o, where, text);
    }
    return false;
}

static bool store(const command *c, const option *o, const char *text)
{
    char where[96];
    snprintf(where, sizeof where, "gomokunet %s: --%s", c->name, o->name);
    return option_store(o, where, text);
}

/* One "--name", "--name value" or "--name=value"; *i moves over what was used. */
static parsed take(const command *c, int argc, char **argv, int *i, const option **o,
                   const char **value)
{
    char name[64];
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", equals != NULL ? (int)(equals - text) : 63, text);
    if (strcmp(name, "help") == 0) {
        return help_command(c, equals != NULL ? equals + 1 : "text") ? PARSED_HELP : PARSED_WRONG;
    }
    *o = option_find(c, name);
    *value = equals != NULL ? equals + 1 : NULL;
    if (*o == NULL)
        return unknown(c, name);
    if ((*o)->kind == OPT_FLAG && *value != NULL) {
        fprintf(stderr, "gomokunet %s: --%s takes no value\n", c->name, name);
        return PARSED_WRONG;
    }
    if ((*o)->kind == OPT_FLAG || *value != NULL)
        return PARSED_RUN;
    if (*i + 1 >= argc) {
        fprintf(stderr, "gomokunet %s: --%s: a value is missing, expected %s\n", c->name, name,
                (*o)->value);
        return PARSED_WRONG;
    }
    *value = argv[++*i];
    return PARSED_RUN;
}

/* The whole line is read before anything is stored: all but the values is then in order. */
static parsed look_over(const command *c, int argc, char **argv, text_list *rest)
{
    const char *preset = NULL, *file = NULL, *value;
    for (int i = 1; i < argc; i++) {
        const option *o;
        if (strncmp(argv[i], "--", 2) == 0) {
            const parsed result = take(c, argc, argv, &i, &o, &value);
            if (result != PARSED_RUN)
                return result;
            if (strcmp(o->name, "preset") == 0)
                preset = value;
            if (strcmp(o->name, "config") == 0)
                file = value;
        } else if (rest != NULL && rest->count < LIST_MAX) {
            rest->item[rest->count++] = argv[i];
        } else {
            fprintf(stderr, "gomokunet %s: \"%s\": expected an option (gomokunet %s --help)\n",
                    c->name, argv[i], c->name);
            return PARSED_WRONG;
        }
    }
    return config_apply(c, preset, file) ? PARSED_RUN : PARSED_WRONG;
}

parsed options_parse(const command *c, int argc, char **argv, text_list *rest)
{
    bool seen[OPTIONS_MAX] = {false};
    const parsed result = look_over(c, argc, argv, rest);
    if (result != PARSED_RUN)
        return result;
    for (int i = 1; i < argc; i++) {
        const option *o;
        const char *value;
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        take(c, argc, argv, &i, &o, &value);
        if (o->kind == OPT_LIST && !seen[o - c->options]) /* not more of the file's list */
            ((text_list *)o->target)->count = 0;
        seen[o - c->options] = true;
        if (c->given != NULL)
            c->given[o - c->options] = true;
        if (!store(c, o, value))
            return PARSED_WRONG;
    }
    return PARSED_RUN;
}

/* Whether an option has no value yet: a number that it could not be given. */
static bool unset(const option *o)
{
    return o->kind == OPT_INT && o->low > 0 && *(const int *)o->target == 0;
}

void option_text(const option *o, char *text, size_t room)
{
    const text_list *list = o->target;
    const char *own = NULL;
    size_t used = 0;
    switch (o->kind) {
    case OPT_FLAG:
        snprintf(text, room, "%s", *(const bool *)o->target ? "true" : "");
        break;
    case OPT_INT:
        snprintf(text, room, "%d", *(const int *)o->target);
        if (unset(o))
            text[0] = '\0';
        break;
    case OPT_SEED:
        snprintf(text, room, "%" PRIu64, *(const uint64_t *)o->target);
        break;
    case OPT_REAL:
        snprintf(text, room, "%.17g", *(const double *)o->target);
        break;
    case OPT_TEXT:
    case OPT_CALL:
        own = *(const char *const *)o->target;
        snprintf(text, room, "%s", own != NULL ? own : "");
        break;
    case OPT_LIST:
        text[0] = '\0';
        for (int i = 0; i < list->count && used < room; i++)
            used += (size_t)snprintf(text + used, room - used, "%s\n", list->item[i]);
        break;
    }
}

/* The texts live as long as the program: options point at them. */
static const char *keep_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

/* Stores a copy of a text. */
static int set_text(const command *c, const option *o, const char *text, size_t length)
{
    const char *copy = keep_text(text, length);
    if (copy != NULL)
        return store(c, o, copy) ? EXIT_GOOD : EXIT_USAGE;
    fprintf(stderr, "gomokunet %s: no memory for the text of --%s\n", c->name, o->name);
    return EXIT_RUNTIME;
}

int option_set(const command *c, const option *o, const char *text)
{
    if (o->kind == OPT_FLAG) {
        *(bool *)o->target = *text != '\0';
        return EXIT_GOOD;
    }
    if (*text == '\0')
        return EXIT_GOOD;
    if (o->kind != OPT_LIST)
        return set_text(c, o, text, strlen(text));
    ((text_list *)o->target)->count = 0;
    int status = EXIT_GOOD;
    for (const char *end; status == EXIT_GOOD && (end = strchr(text, '\n')) != NULL; text = end + 1)
        status = set_text(c, o, text, (size_t)(end - text));
    return status;
}

static void value_json(FILE *out, const option *o)
{
    const text_list *list = o->target;
    switch (o->kind) {
    case OPT_FLAG:
        fputs(*(const bool *)o->target ? "true" : "false", out);
        break;
    case OPT_INT:
        if (unset(o))
            json_text(out, NULL);
        else
            fprintf(out, "%d", *(const int *)o->target);
        break;
    case OPT_SEED:
        fprintf(out, "%" PRIu64, *(const uint64_t *)o->target);
        break;
    case OPT_REAL:
        json_number(out, *(const double *)o->target);
        break;
    case OPT_TEXT:
    case OPT_CALL:
        json_text(out, *(const char *const *)o->target);
        break;
    case OPT_LIST:
        fputc('[', out);
        for (int k = 0; k < list->count; k++) {
            fputs(k > 0 ? "," : "", out);
            json_text(out, list->item[k]);
        }
        fputc(']', out);
        break;
    }
}

void options_json(FILE *out, const command *c, const char *separator)
{
    const char *between = "";
    for (int i = 0; i < c->count; i++) {
        if (c->options[i].kind == OPT_CALL)
            continue;
        fprintf(out, "%s\"%s\":", between, c->options[i].name);
        value_json(out, &c->options[i]);
        between = separator;
    }
}

net_options net_options_default(void)
{
    return (net_options){.config = gn_net_default(), .conv = "dense"};
}

bool net_options_resolve(net_options *n, const char *command_name)
{
    if (strcmp(n->conv, "dense") != 0 && strcmp(n->conv, "separable") != 0) {
        fprintf(stderr, "gomokunet %s: --conv \"%s\": expected dense or separable\n", command_name,
                n->conv);
        return false;
    }
    n->config.conv = strcmp(n->conv, "separable") == 0 ? GN_SEPARABLE : GN_DENSE;
    gn_err err;
    if (gn_net_validate(&n->config, &err) == GN_OK)
        return true;
    tell(command_name, &err);
    return false;
}

int tell(const char *command_name, const gn_err *err)
{
    fprintf(stderr, "gomokunet %s: %s\n", command_name, err->text);
    switch (err->status) {
    case GN_OK:
        return EXIT_GOOD;
    case GN_E_CONFIG:
    case GN_E_FORMAT:
    case GN_E_SHAPE:
    case GN_E_DATA:
        return EXIT_USAGE;
    case GN_E_IO:
    case GN_E_NOMEM:
    case GN_E_NUMERIC:
    case GN_E_PLATFORM:
        return EXIT_RUNTIME;
    }
    return EXIT_RUNTIME;
}

int tell_input(const char *command_name, const char *path, const gn_err *err)
{
    struct stat info;
    const int status = tell(command_name, err);
    if (err->status != GN_E_IO)
        return status;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0
               ? EXIT_RUNTIME
               : EXIT_USAGE;
}
