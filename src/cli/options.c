/* Parsing options.  SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/json.h"

static void print_help(const command *c)
{
    printf("gomokunet %s: %s\n\nusage: gomokunet %s [options]%s%s\n\n", c->name, c->summary,
           c->name, c->positional != NULL ? " " : "", c->positional != NULL ? c->positional : "");
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        printf("  %-26s %s\n", left, o->help);
    }
    printf("  %-26s %s\n", "--help", "this text");
}

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

static parsed unknown(const command *c, const char *name)
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
    fprintf(stderr, "gomokunet %s: unknown option --%s", c->name, name);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean --%s?", nearest);
    fprintf(stderr, " (gomokunet %s --help lists them)\n", c->name);
    return PARSED_WRONG;
}

static bool wrong_value(const command *c, const option *o, const char *text)
{
    fprintf(stderr, "gomokunet %s: --%s \"%s\": expected ", c->name, o->name, text);
    if (o->kind == OPT_SEED)
        fprintf(stderr, "a whole number from 0\n");
    else if (o->low < o->high)
        fprintf(stderr, "a%s number from %g to %g\n", o->kind == OPT_INT ? " whole" : "", o->low,
                o->high);
    else
        fprintf(stderr, "a%s number\n", o->kind == OPT_INT ? " whole" : "");
    return false;
}

static bool store_number(const command *c, const option *o, const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == OPT_SEED) {
        const unsigned long long n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
            return wrong_value(c, o, text);
        *(uint64_t *)o->target = n;
        return true;
    }
    const double x = strtod(text, &end);
    const bool whole = x >= -2e9 && x <= 2e9 && (double)(int)x == x;
    if (end == text || *end != '\0' || x != x || (o->kind == OPT_INT && !whole) ||
        (o->low < o->high && !(x >= o->low && x <= o->high)))
        return wrong_value(c, o, text);
    if (o->kind == OPT_INT)
        *(int *)o->target = (int)x;
    else
        *(double *)o->target = x;
    return true;
}

static bool store(const command *c, const option *o, const char *text)
{
    text_list *list = o->target;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->target = true;
        return true;
    case OPT_TEXT:
        *(const char **)o->target = text;
        return true;
    case OPT_LIST:
        if (list->count == LIST_MAX) {
            fprintf(stderr, "gomokunet %s: --%s: at most %d times\n", c->name, o->name, LIST_MAX);
            return false;
        }
        list->item[list->count++] = text;
        return true;
    case OPT_INT:
    case OPT_SEED:
    case OPT_REAL:
        return store_number(c, o, text);
    }
    return false;
}

/* One "--name", "--name value" or "--name=value"; *i moves over what was used. */
static parsed parse_one(const command *c, int argc, char **argv, int *i)
{
    char name[64];
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", equals != NULL ? (int)(equals - text) : 63, text);
    if (strcmp(name, "help") == 0) {
        print_help(c);
        return PARSED_HELP;
    }
    for (int k = 0; k < c->count; k++) {
        const option *o = &c->options[k];
        if (strcmp(o->name, name) != 0)
            continue;
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (o->kind == OPT_FLAG && value != NULL) {
            fprintf(stderr, "gomokunet %s: --%s takes no value\n", c->name, name);
            return PARSED_WRONG;
        }
        if (o->kind != OPT_FLAG && value == NULL) {
            if (*i + 1 >= argc) {
                fprintf(stderr, "gomokunet %s: --%s: a value is missing, expected %s\n", c->name,
                        name, o->value);
                return PARSED_WRONG;
            }
            value = argv[++*i];
        }
        if (c->given != NULL)
            c->given[k] = true;
        return store(c, o, value) ? PARSED_RUN : PARSED_WRONG;
    }
    return unknown(c, name);
}

parsed options_parse(const command *c, int argc, char **argv, text_list *rest)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            const parsed result = parse_one(c, argc, argv, &i);
            if (result != PARSED_RUN)
                return result;
        } else if (rest != NULL && rest->count < LIST_MAX) {
            rest->item[rest->count++] = argv[i];
        } else {
            fprintf(stderr, "gomokunet %s: \"%s\": expected an option (gomokunet %s --help)\n",
                    c->name, argv[i], c->name);
            return PARSED_WRONG;
        }
    }
    return PARSED_RUN;
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
        break;
    case OPT_SEED:
        snprintf(text, room, "%" PRIu64, *(const uint64_t *)o->target);
        break;
    case OPT_REAL:
        snprintf(text, room, "%.17g", *(const double *)o->target);
        break;
    case OPT_TEXT:
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

void options_json(FILE *out, const command *c)
{
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        const text_list *list = o->target;
        fprintf(out, "%s\"%s\":", i > 0 ? "," : "", o->name);
        switch (o->kind) {
        case OPT_FLAG:
            fputs(*(const bool *)o->target ? "true" : "false", out);
            break;
        case OPT_INT:
            fprintf(out, "%d", *(const int *)o->target);
            break;
        case OPT_SEED:
            fprintf(out, "%" PRIu64, *(const uint64_t *)o->target);
            break;
        case OPT_REAL:
            json_number(out, *(const double *)o->target);
            break;
        case OPT_TEXT:
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
