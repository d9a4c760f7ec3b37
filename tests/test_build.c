/* What is built, documented and installed: each test runs a script of tests/build, which says what
 * is wrong.  Status 77: what the script needs is not there.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
Test(build, the_umbrella_opens_with_a_program) { good("docs.sh umbrella"); }
Test(build, the_network_of_ones_own_runs) { good("docs.sh own-network"); }
Test(build, the_commands_of_the_documentation_run) { good("docs.sh commands"); }
Test(build, completion_offers_what_the_help_lists) { good("completion.sh"); }
Test(build, the_manual_page_is_complete_and_clean) { good("manual.sh"); }
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
