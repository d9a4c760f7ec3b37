/* gomokunet info, gomokunet selftest.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <zlib.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/json.h"
#include "cli/options.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"

static const char contract[] = "order v1";

#define TEXT_OF(x) #x
#define DOTTED(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#if defined(__clang__)
#define COMPILER "clang " DOTTED(__clang_major__, __clang_minor__, __clang_patchlevel__)
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#ifdef _OPENMP
enum { WITH_OPENMP = 1 };
#else
enum { WITH_OPENMP = 0 };
#endif

/* The instruction set that is used here, and all that this build could use here. */
static void print_tables(FILE *out)
{
    static const char *const tables[] = {"plain", "avx2", "avx512", "neon"};
    const char *between = "";
    fprintf(out, "instruction set: %s (this machine runs ", gn_table_fast()->name);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (gn_table_named(tables[i]) != NULL) {
            fprintf(out, "%s%s", between, tables[i]);
            between = ", ";
        }
    fprintf(out, ")\n");
}

void help_version(FILE *out)
{
    fprintf(out, "gomokunet %s\ncontract: %s\ncompiler: %s\nopenmp: %s\n", GN_VERSION, contract,
            COMPILER, WITH_OPENMP ? "yes" : "no");
    print_tables(out);
    fprintf(out, "libraries: zlib %s\n", zlibVersion());
}

static void print_text(const gn_net *net)
{
    help_version(stdout);
    printf("parameters: %zu (%d blocks x %d channels, %s, %dx%d)\n", gn_tape_parameters(net->tape),
           net->config.num_blocks, net->config.channels, gn_conv_name(net->config.conv),
           net->config.board_size, net->config.board_size);
}

void info_versions(FILE *out)
{
    fputs("\"version\":", out);
    json_text(out, GN_VERSION);
    fputs(",\"contract\":", out);
    json_text(out, contract);
    fputs(",\"isa\":", out);
    json_text(out, gn_table_fast()->name);
    for (size_t i = 0; gn_table_float(i) != NULL; i++) {
        fputs(i > 0 ? "," : ",\"tables\":[", out);
        json_text(out, gn_table_float(i)->name);
    }
    fputs("],\"compiler\":", out);
    json_text(out, COMPILER);
    fprintf(out, ",\"openmp\":%s", WITH_OPENMP ? "true" : "false");
}

static void print_json(const gn_net *net)
{
    fputc('{', stdout);
    info_versions(stdout);
    printf(",\"parameters\":%zu}\n", gn_tape_parameters(net->tape));
}

int command_info(int argc, char **argv)
{
    net_options n = net_options_default();
    bool json = false;
    const option list[] = {
        NET_OPTIONS(&n),
        {"json", OPT_FLAG, &json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"info", "version, contract, instruction set, parameters", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (!net_options_resolve(&n, "info"))
        return EXIT_USAGE;
    gn_net net;
    gn_err err;
    if (gn_net_create(&net, &n.config, &err) != GN_OK)
        return tell("info", &err);
    if (json)
        print_json(&net);
    else
        print_text(&net);
    gn_net_destroy(&net);
    return EXIT_GOOD;
}

int command_selftest(int argc, char **argv)
{
    enum { ROOM = 64 };
    bool json = false;
    const option list[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "as JSON"}};
    const command c = {"selftest", "does this machine keep the numeric contract?", NULL, list, 1,
                       NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    gn_check checks[ROOM];
    const int count = gn_selftest_checks(checks, ROOM);
    int failed = 0;
    if (json)
        fputs("{\"checks\":[", stdout);
    for (int i = 0; i < count && i < ROOM; i++) {
        failed += !checks[i].passed;
        if (!json) {
            printf("%-4s %s\n", checks[i].passed ? "ok" : "FAIL", checks[i].name);
            continue;
        }
        fputs(i > 0 ? ",{\"name\":" : "{\"name\":", stdout);
        json_text(stdout, checks[i].name);
        printf(",\"passed\":%s}", checks[i].passed ? "true" : "false");
    }
    if (json)
        printf("],\"failed\":%d}\n", failed);
    else
        printf("%d of %d checks hold\n", count - failed, count);
    return failed == 0 ? EXIT_GOOD : EXIT_NEGATIVE;
}
