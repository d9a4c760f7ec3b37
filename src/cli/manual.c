/* The manual page in troff, and gomokunet help.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"

static const char head[] =
    ".SH NAME\n"
    "gomokunet \\- train GomokuNet on the CPU, with gradient checkpointing and the same bits "
    "everywhere\n"
    ".SH SYNOPSIS\n"
    ".B gomokunet\n"
    ".I COMMAND\n"
    "[\\fIoptions\\fR]\n"
    ".br\n"
    ".B gomokunet \\-\\-version\n"
    ".SH DESCRIPTION\n"
    "GomokuNet is a squeeze-and-excitation residual network for Gomoku, with a policy and a value\n"
    "head.\n"
    "This program trains it, scores it and checks it.\n"
    "Results do not depend on the number of threads, the instruction set, the compiler or the\n"
    "checkpoint policy: they are the same bits.\n"
    ".PP\n"
    "An option is given as\n"
    ".BI \\-\\-name\\~ value\n"
    "or\n"
    ".BI \\-\\-name= value\\fR.\n"
    "What people read goes to standard output, errors to standard error.\n"
    ".SH COMMANDS\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nGood.\n"
    ".TP\n.B 1\nA negative verdict: a check failed, gradients differ.\n"
    ".TP\n.B 2\nWrong usage or input.\n"
    ".TP\n.B 3\nA failure at run time: disk, memory, a value that is not finite.\n"
    ".TP\n.B 130\nInterrupted, with the state saved.\n"
    ".SH FILES\n"
    "The run folder that\n"
    ".B train \\-\\-out\n"
    "names holds:\n"
    ".TP\n.I model.safetensors\nParameters and running statistics, by PyTorch's names.\n"
    ".TP\n.I metrics.jsonl\nA JSON object a step.\n"
    ".TP\n.I curves.svg\nThe learning curves, drawn anew at each evaluation.\n"
    ".TP\n.I config.json\nAll options.\n"
    ".TP\n.I state/\nThe last two states, for\n.BR \\-\\-resume .\n"
    ".SH EXAMPLES\n"
    "Train a small network on games of the built-in player, then go on after ctrl-C:\n"
    ".PP\n.nf\n"
    "    gomokunet train \\-\\-num\\-blocks 6 \\-\\-channels 48 \\-\\-use\\-checkpoint "
    "\\-\\-out run\n"
    "    gomokunet train \\-\\-resume run\n"
    ".fi\n.PP\n"
    "See where the time of a step goes:\n"
    ".PP\n.nf\n"
    "    gomokunet train \\-\\-steps 10 \\-\\-eval\\-fraction 0 \\-\\-profile\n"
    ".fi\n";

/* Text that troff takes as it is. */
static void escaped(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
}

/* "positions a step" becomes a sentence: "Positions a step." */
static void sentence(const char *text)
{
    char first[2] = {*text, '\0'};
    const size_t length = strlen(text);
    if (*text >= 'a' && *text <= 'z' && !(text[1] >= '0' && text[1] <= '9'))
        first[0] = (char)(*text - 'a' + 'A');
    escaped(first);
    if (length > 0)
        escaped(text + 1);
    fputs(length > 0 && strchr(".?!", text[length - 1]) != NULL ? "\n" : ".\n", stdout);
}

void help_man(const command *c)
{
    char value[64];
    printf(".SS gomokunet %s [options]", c->name);
    if (c->positional != NULL) {
        putchar(' ');
        escaped(c->positional);
    }
    putchar('\n');
    sentence(c->summary);
    for (int i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        fputs(".TP\n.B \\-\\-", stdout);
        escaped(o->name);
        if (o->value != NULL) {
            fputs(" \\fI", stdout);
            escaped(o->value);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        sentence(o->help);
        if (help_default(o, value, sizeof value)) {
            fputs("Default: ", stdout);
            escaped(value);
            fputs(".\n", stdout);
        }
    }
}

static void manual(void)
{
    printf(".\\\" Written by: gomokunet help --man\n"
           ".TH GOMOKUNET 1 \"\" \"GomokuNet %s\" \"User Commands\"\n", GN_VERSION);
    fputs(head, stdout);
    help_all("man");
    fputs(tail, stdout);
}

int command_help(int argc, char **argv)
{
    bool man = false;
    text_list names = {.count = 0};
    const option list[] = {{"man", OPT_FLAG, &man, 0, 0, NULL, "write the manual page in troff"}};
    const command c = {"help", "explain a command, or write the manual page", "[COMMAND]", list, 1,
                       NULL};
    const parsed p = options_parse(&c, argc, argv, &names);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (man)
        manual();
    else if (names.count == 0)
        help_usage(stdout);
    for (int i = 0; i < names.count && !man; i++) {
        const program_command *asked = program_commands;
        while (asked->name != NULL && strcmp(asked->name, names.item[i]) != 0)
            asked++;
        if (asked->name == NULL) {
            fprintf(stderr, "gomokunet help: \"%s\" is no command; gomokunet help lists them\n",
                    names.item[i]);
            return EXIT_USAGE;
        }
        char name[32], ask[] = "--help";
        snprintf(name, sizeof name, "%s", asked->name);
        asked->run(2, (char *[]){name, ask, NULL});
    }
    return EXIT_GOOD;
}
