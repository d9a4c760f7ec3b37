/* Completion scripts for bash and zsh, and gomokunet completion.
 *
 * What a value may be is read from its option: numbers by their kind, words to choose from by their
 * name in the help ("dense|separable"), anything else is a file.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"

typedef enum value_kind { WORDS, NUMBER, FILES } value_kind;

static value_kind kind_of(const option *o)
{
    if (strchr(o->value, '|') != NULL)
        return WORDS;
    const bool number = o->kind == OPT_INT || o->kind == OPT_SEED || o->kind == OPT_REAL;
    return number ? NUMBER : FILES;
}

/* "none|every:K" as "none every:": capitals stand for what the user fills in. */
static void print_words(const char *value)
{
    bool hidden = false;
    for (; *value != '\0'; value++) {
        hidden = *value != '|' && (hidden || (*value >= 'A' && *value <= 'Z'));
        if (!hidden)
            putchar(*value == '|' ? ' ' : *value);
    }
}

static void print_commands(void)
{
    for (const program_command *c = program_commands; c->name != NULL; c++)
        printf("%s ", c->name);
}

/* --- bash ------------------------------------------------------------------------------------ */

static const char bash_head[] =
    "# Completion of gomokunet for bash.  In ~/.bashrc: eval \"$(gomokunet completion bash)\"\n"
    "_gomokunet() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local options= words= rest= kind=\n"
    "    COMPREPLY=()\n"
    "    # \"--name=value\" comes as three words.\n"
    "    if [ \"$word\" = = ]; then\n"
    "        word=\n"
    "    elif [ \"$last\" = = ]; then\n"
    "        last=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n";

static const char bash_middle[] =
    "    case ${COMP_WORDS[1]} in\n";

static const char bash_tail[] =
    "    esac\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        words=\"$commands --help --version\"\n"
    "    elif [ \"$kind\" = number ]; then\n"
    "        compopt +o default 2> /dev/null\n"
    "        return\n"
    "    elif [ \"$kind\" = file ]; then\n"
    "        return\n"
    "    elif [ -z \"$words\" ]; then\n"
    "        case $word,$rest in\n"
    "        -* | ,) words=$options ;;\n"
    "        *,file) return ;;\n"
    "        *) words=$rest ;;\n"
    "        esac\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
    "}\n"
    "complete -o default -F _gomokunet gomokunet\n";

/* "--a | --b) kind=file ;;" for all options of a kind. */
static void bash_kind(const command *c, value_kind kind, const char *name)
{
    bool any = false;
    for (int i = 0; i < c->count; i++) {
        if (c->options[i].kind == OPT_FLAG || kind_of(&c->options[i]) != kind)
            continue;
        printf("%s--%s", any ? " | " : "        ", c->options[i].name);
        any = true;
    }
    if (any)
        printf(") kind=%s ;;\n", name);
}

void help_bash(const command *c)
{
    printf("    %s)\n        options='", c->name);
    for (int i = 0; i < c->count; i++)
        printf("--%s ", c->options[i].name);
    printf("--help'\n");
    if (c->positional != NULL && strchr(c->positional, '|') != NULL) {
        printf("        rest='");
        print_words(c->positional);
        printf("'\n");
    } else if (c->positional != NULL) {
        printf("        rest=%s\n", strstr(c->positional, "COMMAND") ? "$commands" : "file");
    }
    printf("        case $last in\n");
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        if (o->kind == OPT_FLAG || kind_of(o) != WORDS)
            continue;
        printf("        --%s) words='", o->name);
        print_words(o->value);
        printf("' ;;\n");
    }
    bash_kind(c, NUMBER, "number");
    bash_kind(c, FILES, "file");
    printf("        esac\n        ;;\n");
}

static void bash(void)
{
    fputs(bash_head, stdout);
    fputs("    local commands='", stdout);
    print_commands();
    fputs("'\n", stdout);
    fputs(bash_middle, stdout);
    help_all("bash");
    fputs(bash_tail, stdout);
}

/* --- zsh ------------------------------------------------------------------------------------- */

/* A text inside '...' and [...] of a specification. */
static void zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text) != NULL)
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh_choice(const char *value, value_kind kind)
{
    putchar(':');
    zsh_text(value);
    putchar(':');
    if (kind == WORDS) {
        putchar('(');
        print_words(value);
        putchar(')');
    } else if (kind == FILES) {
        fputs("_files", stdout);
    }
}

void help_zsh(const command *c)
{
    printf("    %s)\n        _arguments \\\n", c->name);
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        printf("            '%s--%s%s[", o->kind == OPT_LIST ? "*" : "", o->name,
               o->value != NULL ? "=" : "");
        zsh_text(o->help);
        putchar(']');
        if (o->value != NULL)
            zsh_choice(o->value, kind_of(o));
        fputs("' \\\n", stdout);
    }
    if (c->positional != NULL && strstr(c->positional, "COMMAND") != NULL) {
        fputs("            '*:command:(", stdout);
        print_commands();
        fputs(")' \\\n", stdout);
    } else if (c->positional != NULL) {
        fputs("            '*", stdout);
        zsh_choice(c->positional, strchr(c->positional, '|') != NULL ? WORDS : FILES);
        fputs("' \\\n", stdout);
    }
    fputs("            '--help[this text]'\n        ;;\n", stdout);
}

static void zsh(void)
{
    fputs("#compdef gomokunet\n"
          "# Completion of gomokunet for zsh: the file _gomokunet in a folder of $fpath.\n"
          "_gomokunet() {\n"
          "    if (( CURRENT == 2 )); then\n"
          "        local -a commands\n"
          "        commands=(\n", stdout);
    for (const program_command *c = program_commands; c->name != NULL; c++) {
        printf("            '%s:", c->name);
        zsh_text(c->summary);
        fputs("'\n", stdout);
    }
    fputs("        )\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $words[1] in\n", stdout);
    help_all("zsh");
    fputs("    esac\n"
          "}\n"
          "_gomokunet \"$@\"\n", stdout);
}

int command_completion(int argc, char **argv)
{
    text_list shell = {.count = 0};
    const command c = {"completion", "write completion for a shell", "bash|zsh", NULL, 0, NULL};
    const parsed p = options_parse(&c, argc, argv, &shell);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (shell.count == 1 && strcmp(shell.item[0], "bash") == 0) {
        bash();
        return EXIT_GOOD;
    }
    if (shell.count == 1 && strcmp(shell.item[0], "zsh") == 0) {
        zsh();
        return EXIT_GOOD;
    }
    fprintf(stderr, "gomokunet completion: expected bash or zsh\n");
    return EXIT_USAGE;
}
