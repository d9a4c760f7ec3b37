/* Command-line options: a table a command, one parser for all.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_OPTIONS_H
#define GN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gomokunet/net.h"

/* The program's exit statuses. */
enum { EXIT_GOOD = 0, EXIT_NEGATIVE = 1, EXIT_USAGE = 2, EXIT_RUNTIME = 3, EXIT_SIGINT = 130 };

/* OPT_CALL is a text that concerns one call of the program and is no part of a run's options. */
typedef enum option_kind {
    OPT_FLAG, OPT_INT, OPT_SEED, OPT_REAL, OPT_TEXT, OPT_LIST, OPT_CALL
} option_kind;

enum { LIST_MAX = 64, OPTIONS_MAX = 64 };

/* The values of an option that may be given several times. */
typedef struct text_list {
    const char *item[LIST_MAX];
    int count;
} text_list;

/* One option.  `target` is a bool, int, uint64_t, double, const char * or text_list. */
typedef struct option {
    const char *name; /* without the dashes */
    option_kind kind;
    void *target;
    double low, high; /* limits of OPT_INT and OPT_REAL; both 0: none */
    const char *value; /* what the help calls the value: "N", "PATH"; words to choose: "a|b:N" */
    const char *help;
} option;

typedef struct command {
    const char *name;
    const char *summary; /* one line */
    const char *positional; /* names of arguments without dashes, for the help; NULL: none */
    const option *options;
    int count;
    bool *given; /* filled by options_parse: which options were given; NULL: not wanted */
} command;

/* What parsing came to. */
typedef enum parsed { PARSED_RUN, PARSED_HELP, PARSED_WRONG } parsed;

/* Parses argv[1..]; --help is known everywhere.  --preset and --config, where the command has them,
 * are seen to first, so that options given win over both, wherever they stand.  Mistakes are told on
 * stderr, with what was expected; positional arguments go into `rest`. */
parsed options_parse(const command *c, int argc, char **argv, text_list *rest);

/* The value of an option as text that option_set reads back; list items end with a newline. */
void option_text(const option *o, char *text, size_t room);
/* An exit status; other than 0: told on stderr. */
int option_set(const command *c, const option *o, const char *text);

const option *option_find(const command *c, const char *name);   /* NULL: there is none */
const char *option_nearest(const command *c, const char *name);  /* NULL: none is near */

/* Stores a value; lists grow.  The text must live on.  False: told on stderr behind `where`. */
bool option_store(const option *o, const char *where, const char *text);

/* Writes the options of a run as the members of a JSON object: "lr":0.001,"steps":100.  What was
 * not given and has no value is null. */
void options_json(FILE *out, const command *c, const char *separator);

/* --- Options that several commands share ----------------------------------------------------- */

typedef struct net_options {
    gn_net_config config;
    const char *conv, *preset;
} net_options;
net_options net_options_default(void);

#define NET_OPTIONS(n)                                                                            \
    {"preset", OPT_TEXT, &(n)->preset, 0, 0, "NAME",                                              \
     "tiny (3x32), small (6x64), medium (10x96), paper (30x192, use-checkpoint)"},                \
    {"board-size", OPT_INT, &(n)->config.board_size, 0, 0, "N", "squares a side, 5 to 25"},       \
    {"num-blocks", OPT_INT, &(n)->config.num_blocks, 0, 0, "N", "residual blocks"},               \
    {"channels", OPT_INT, &(n)->config.channels, 0, 0, "N", "channels of a map"},                 \
    {"conv", OPT_TEXT, &(n)->conv, 0, 0, "dense|separable", "kind of convolution"},               \
    {"use-checkpoint", OPT_FLAG, &(n)->config.use_checkpoint, 0, 0, NULL,                         \
     "keep one map a block and recompute the rest"}

/* Resolves `conv` and checks the whole configuration.  false: told on stderr. */
bool net_options_resolve(net_options *n, const char *command_name);

/* Tells an error on stderr and returns the exit status that belongs to it. */
int tell(const char *command_name, const gn_err *err);
/* The same where reading `path` failed: a file that is there and may be read, and yet could not be,
 * is the machine's failure and no wrong input. */
int tell_input(const char *command_name, const char *path, const gn_err *err);

#endif
