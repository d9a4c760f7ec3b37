/* What is built, documented and installed: each test runs a script of tests/build, which says what
 * is wrong.  Status 77: what the script needs is not there.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A compiler that may fuse a*b + c does. */
#ifdef __x86_64__
#define FUSES "-mavx2 -mfma -ffp-contract=fast"
#else
#define FUSES "-ffp-contract=fast"
#endif

/* The script's output, its last 8 KiB, is the text of the failure. */
static int script(const char *arguments, char *text, size_t room)
{
    char line[512], part[512];
    snprintf(line, sizeof line, "tests/build/%s 2>&1", arguments);
    FILE *pipe = popen(line, "r");
    cr_assert_not_null(pipe);
    size_t used = 0;
    for (size_t n; (n = fread(part, 1, sizeof part - 1, pipe)) > 0;) {
        if (used + n >= room)
            used = 0;
        memcpy(text + used, part, n);
        used += n;
    }
    text[used] = '\0';
    const int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void good(const char *arguments)
{
    static char text[1 << 13];
    const int status = script(arguments, text, sizeof text);
    if (status == 77)
        cr_skip_test("%s", text);
    cr_assert_eq(status, 0, "tests/build/%s: status %d\n%s", arguments, status, text);
}

Test(build, a_folder_includes_only_folders_above_it) { good("layers.sh"); }
Test(build, public_headers_are_c11_and_cpp17) { good("headers.sh"); }
Test(build, the_digest_needs_no_library_and_no_instruction_set) { good("digest.sh"); }
Test(build, random_cases_have_the_bits_of_the_plain_ops) { good("fuzz.sh"); }
Test(build, fast_math_is_refused) { good("refuses.sh"); }
Test(build, each_table_is_in_its_own_vectors) { good("vectors.sh"); }
Test(build, hostile_hosts_get_the_same_bits) { good("hostile.sh"); }
Test(build, no_sum_in_an_order_of_its_own) { good("static.sh sources"); }
Test(build, the_core_calls_nothing_of_libm) { good("static.sh symbols $BUILD/obj"); }
Test(build, fused_only_where_the_source_says_fma) { good("static.sh fused $BUILD/obj"); }
Test(build, the_compiler_fuses_nothing_by_itself) { good("static.sh soft"); }
Test(build, the_umbrella_opens_with_a_program) { good("docs.sh umbrella"); }
Test(build, the_network_of_ones_own_runs) { good("docs.sh own-network"); }
Test(build, the_commands_of_the_documentation_run) { good("docs.sh commands"); }
Test(build, completion_offers_what_the_help_lists) { good("completion.sh"); }
Test(build, the_manual_page_is_complete_and_clean) { good("manual.sh"); }
Test(build, the_one_file_reader_reads_golden_files) { good("reader.sh"); }
Test(build, install_and_pkg_config) { good("install.sh"); }

/* The layers script must see what it forbids. */
Test(build, layers_are_really_checked)
{
    static const struct {
        const char *file, *line, *said;
    } cases[] = {
        {"src/base/a.c", "#include \"ops/real.h\"", "base may not include ops"},
        {"src/net/a.h", "#include \"gomokunet/train.h\"", "net may not include train"},
        {"include/gomokunet/op.h", "#include \"gomokunet/tape.h\"", "ops may not include autograd"},
        {"src/ops/a.c", "#  include \"nowhere/a.h\"", "belongs to no folder"},
        {"src/extra/a.c", "#include \"base/a.h\"", "belongs to no folder"},
        {"src/net/a.c", "#include \"base/a.h\"", NULL},
    };
    static char text[1 << 13], line[512];
    char folder[] = "/tmp/gn_layers_XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line,
                 "cd %s && rm -rf src include && mkdir -p src include/gomokunet && "
                 "mkdir -p $(dirname %s) && echo '%s' > %s", folder, cases[i].file, cases[i].line,
                 cases[i].file);
        cr_assert_eq(system(line), 0);
        snprintf(line, sizeof line, "layers.sh %s", folder);
        const int status = script(line, text, sizeof text);
        cr_assert_eq(status, cases[i].said != NULL, "%s: %s", cases[i].line, text);
        cr_assert(cases[i].said == NULL || strstr(text, cases[i].said) != NULL, "%s", text);
    }
    snprintf(line, sizeof line, "rm -rf -- %s", folder);
    cr_assert_eq(system(line), 0);
}

/* The static checks must see what they forbid: a source or an object each. */
Test(build, static_checks_really_check)
{
    static const struct {
        const char *file, *line, *command, *said;
    } cases[] = {
        {"src/a.c", "#pragma omp parallel for reduction(+ : sum)", "sources %s", "of their own"},
        {"src/a.c", "#pragma  omp  atomic", "sources %s", "of their own"},
        {"include/a.h", "extern _Atomic float sum;", "sources %s", "an atomic"},
        {"src/a.c", "void f(float *s) { __atomic_store_n(s, 1, 0); }", "sources %s", "an atomic"},
        {"src/a.c", "#pragma omp parallel for", "sources %s", NULL},
        {"ops/a.c", "float expf(float); float f(float x) { return expf(x); }", "symbols %s",
         "calls expf"},
        {"net/a.c", "double tanh(double); double f(double x) { return tanh(x); }", "symbols %s",
         "calls tanh"},
        {"tensor/a.c", "void *malloc(unsigned long); void *f(void) { return malloc(9); }",
         "symbols %s", NULL},
#ifdef __x86_64__
        {"ops/plain_double.c", "double f(double a, double b) { return a * b + a; }", "fused %s",
         "ops/plain_double.o holds 1 fused"},
        {"net/a.c", "float f(float a) { return __builtin_fmaf(a, a, a); }", "fused %s",
         "net/a.o holds 1 fused"},
        {"base/fma.c", "float f(float a) { return __builtin_fmaf(a, a, a); }", "fused %s", NULL},
        {"base/fma.c", "float f(float a) { return a; }", "fused %s", "seen at all"},
        {"kernels/fast_avx2.c", "float f(float a) { return __builtin_fmaf(a, a, a); }", "fused %s",
         "0 packed"},
#endif
    };
    static char text[1 << 13], line[1024];
    const char *compiler = getenv("CC") != NULL ? getenv("CC") : "gcc";
    char folder[] = "/tmp/gn_static_XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool compiles = strncmp(cases[i].command, "sources", 7) != 0;
        snprintf(line, sizeof line,
                 "cd %s && rm -rf * && mkdir -p src include $(dirname %s) && echo '%s' > %s && "
                 "if [ %d = 1 ]; then %s -O2 %s -c %s -o $(echo %s | sed 's/c$/o/'); fi", folder,
                 cases[i].file, cases[i].line, cases[i].file, compiles, compiler, FUSES,
                 cases[i].file, cases[i].file);
        cr_assert_eq(system(line), 0, "%s", line);
        snprintf(line, sizeof line, "static.sh ");
        snprintf(line + strlen(line), sizeof line - strlen(line), cases[i].command, folder);
        const int status = script(line, text, sizeof text);
        cr_assert_eq(status, cases[i].said != NULL, "%s: %s", cases[i].line, text);
        cr_assert(cases[i].said == NULL || strstr(text, cases[i].said) != NULL, "%s", text);
    }
    snprintf(line, sizeof line, "rm -rf -- %s", folder);
    cr_assert_eq(system(line), 0);
}
