/* Help as text.
 *
 * A command's table of options lives inside the command; asking it for `--help=FORM` is how the
 * manual and the completion scripts come to read it.  SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"

void help_usage(FILE *out)
{
    fprintf(out, "usage: gomokunet COMMAND [options]\n\n");
    for (const program_command *c = program_commands; c->name != NULL; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fprintf(out, "\ngomokunet COMMAND --help explains the options; gomokunet --version tells how "
                 "this one was built.\n");
}

bool help_default(const option *o, char *text, size_t room)
{
    const char *own;
    double x;
    switch (o->kind) {
    case OPT_FLAG:
    case OPT_LIST:
        return false;
    case OPT_TEXT:
    case OPT_CALL:
        own = *(const char *const *)o->target;
        snprintf(text, room, "%s", own != NULL ? own : "");
        return own != NULL && *own != '\0';
    case OPT_SEED:
        snprintf(text, room, "%" PRIu64, *(const uint64_t *)o->target);
        return true;
    case OPT_INT:
    case OPT_REAL:
        if (strcmp(o->name, "threads") == 0) { /* the same text on every machine */
            snprintf(text, room, "one a core");
            return true;
        }
        x = o->kind == OPT_INT ? (double)*(const int *)o->target : *(const double *)o->target;
        snprintf(text, room, "%.12g", x);
        return x != 0 && (o->low >= o->high || (x >= o->low && x <= o->high)); /* 0: not set */
    }
    return false;
}

static void help_text(const command *c)
{
    printf("gomokunet %s: %s\n\nusage: gomokunet %s [options]%s%s\n\n", c->name, c->summary,
           c->name, c->positional != NULL ? " " : "", c->positional != NULL ? c->positional : "");
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        char left[64], value[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        printf("  %-26s ", left);
        if (strlen(left) > 26)
            printf("\n%29s", "");
        fputs(o->help, stdout);
        printf(help_default(o, value, sizeof value) ? " (default: %s)\n" : "\n", value);
    }
    printf("  %-26s %s\n", "--help", "this text");
}

bool help_command(const command *c, const char *form)
{
    static const struct {
        const char *form;
        void (*print)(const command *c);
    } forms[] = {{"text", help_text}, {"man", help_man}, {"bash", help_bash}, {"zsh", help_zsh}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].form, form) == 0) {
            forms[i].print(c);
            return true;
        }
    fprintf(stderr, "gomokunet %s: --help=%s: expected text, man, bash or zsh\n", c->name, form);
    return false;
}

void help_all(const char *form)
{
    char name[32], ask[32];
    for (const program_command *c = program_commands; c->name != NULL; c++) {
        snprintf(name, sizeof name, "%s", c->name);
        snprintf(ask, sizeof ask, "--help=%s", form);
        c->run(2, (char *[]){name, ask, NULL});
    }
}
