/* The files of golden/: they hold what MANIFEST says, and this build computes the same bits anew.
 *
 * The first tensor that moved is named.  What `make test` has no time for (GN_GOLDEN=check makes
 * that too) is in golden/RECIPES under "check".
 * SPDX-License-Identifier: MIT */
#include "gomokunet/io.h"
#include "support/shell.h"

static char root[2048];

static void enter(void)
{
    cr_assert_not_null(getcwd(root, sizeof root));
    shell_enter();
}

TestSuite(golden_files, .init = enter, .fini = shell_leave, .timeout = 1200);

/* --- Lines of "HASH  NAME" ------------------------------------------------------------------- */

enum { LINE = 512 };

static FILE *open_golden(const char *name)
{
    char path[2600];
    snprintf(path, sizeof path, "%s/golden/%s", root, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s is not there", path);
    return f;
}

/* The next line that is no comment, without its end; false: there is none. */
static bool next_line(FILE *f, char line[LINE])
{
    while (fgets(line, LINE, f) != NULL)
        if (*line != '#' && *line != '\n') {
            line[strcspn(line, "\n")] = '\0';
            return true;
        }
    return false;
}

/* The next line of a file's in MANIFEST, turned to "HASH  TENSOR". */
static bool next_of(FILE *manifest, const char *file, char line[LINE])
{
    const size_t n = strlen(file);
    while (next_line(manifest, line)) {
        cr_assert(strlen(line) > 66, "MANIFEST: \"%s\": expected HASH  FILE:TENSOR", line);
        if (strncmp(line + 66, file, n) == 0 && line[66 + n] == ':') {
            memmove(line + 66, line + 67 + n, strlen(line + 67 + n) + 1);
            return true;
        }
    }
    return false;
}

static bool is_digest(const char *file)
{
    const size_t n = strlen(file);
    return n > 7 && strcmp(file + n - 7, ".sha256") == 0;
}

/* --- What the files hold ---------------------------------------------------------------------- */

static void expect_listed(const char *file)
{
    char path[2600], line[LINE], hex[65];
    snprintf(path, sizeof path, "%s/golden/%s", root, file);
    gn_reader *r;
    gn_err err;
    cr_assert(gn_reader_open(&r, path, &err) == GN_OK, "%s", err.text);
    FILE *manifest = open_golden("MANIFEST");
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const gn_entry *e = gn_reader_at(r, i);
        gn_sha256 hash;
        gn_sha256_begin(&hash);
        gn_sha256_add_elements(&hash, e->data, e->bytes, gn_dtype_size(e->type));
        gn_sha256_hex(&hash, hex);
        cr_assert(next_of(manifest, file, line), "%s: %s is not in MANIFEST", file, e->name);
        cr_assert_str_eq(line + 66, e->name, "%s: MANIFEST has %s where the file has %s", file,
                         line + 66, e->name);
        cr_assert(strncmp(line, hex, 64) == 0, "%s: tensor %s is not what MANIFEST says", file,
                  e->name);
    }
    cr_assert(!next_of(manifest, file, line), "%s: MANIFEST has %s, the file does not", file, line);
    fclose(manifest);
    gn_reader_close(r);
}

/* Every line of RECIPES in turn: when, file, options. */
static bool next_recipe(FILE *recipes, char when[16], char file[128], char options[LINE])
{
    char line[LINE];
    int at = 0;
    if (!next_line(recipes, line))
        return false;
    cr_assert(sscanf(line, "%15s %127s %n", when, file, &at) == 2, "RECIPES: %s", line);
    strcpy(options, line + at);
    return true;
}

Test(golden_files, hold_what_the_manifest_says)
{
    char when[16], file[128], options[LINE];
    FILE *recipes = open_golden("RECIPES");
    int files = 0;
    while (next_recipe(recipes, when, file, options))
        if (!is_digest(file)) {
            expect_listed(file);
            files++;
        }
    fclose(recipes);
    cr_assert(files >= 3, "only %d files", files);
}

/* --- Denormals -------------------------------------------------------------------------------- */

/* What a committed file, or the digest file `made`, says about denormal numbers; "" if nothing. */
static void flush_safe(char said[8], const char *file, const char *made)
{
    char path[2600], line[LINE];
    snprintf(path, sizeof path, "%s/golden/%s", root, file);
    *said = '\0';
    if (made == NULL && !is_digest(file)) {
        gn_reader *r;
        cr_assert(gn_reader_open(&r, path, NULL) == GN_OK);
        const char *text = gn_reader_metadata(r, "ftz-safe");
        snprintf(said, 8, "%s", text == NULL ? "" : text);
        gn_reader_close(r);
        return;
    }
    FILE *f = fopen(made == NULL ? path : made, "r");
    cr_assert_not_null(f, "%s", path);
    while (fgets(line, LINE, f) != NULL)
        sscanf(line, "# ftz-safe: %7s", said);
    fclose(f);
}

/* Only the suite of denormals needs them. */
static void expect_flush_safe(const char *file, const char *options)
{
    char old[8], new[8];
    const bool asked = strstr(options, "--check-ftz") != NULL;
    const char *want = !asked ? "" : strstr(file, "denormal") != NULL ? "no" : "yes";
    flush_safe(old, file, NULL);
    flush_safe(new, file, "new.sha256");
    cr_assert_str_eq(old, want, "%s: ftz-safe is \"%s\"", file, old);
    cr_assert_str_eq(new, want, "%s: ftz-safe became \"%s\"", file, new);
}

/* --- Computed anew ---------------------------------------------------------------------------- */

static void expect_anew(const char *file, const char *options)
{
    char new[LINE], old[LINE];
    cr_assert_eq(gomokunet("golden %s --out new.sha256", options), 0, "%s: %s", file, shell_err);
    FILE *made = fopen("new.sha256", "r"), *f = open_golden(is_digest(file) ? file : "MANIFEST");
    cr_assert_not_null(made);
    size_t tensors = 0;
    for (; next_line(made, new); tensors++) {
        const bool more = is_digest(file) ? next_line(f, old) : next_of(f, file, old);
        cr_assert(more, "%s: %s is new", file, new + 66);
        cr_assert_str_eq(new + 66, old + 66, "%s: %s came where %s was", file, new + 66, old + 66);
        cr_assert(strcmp(new, old) == 0, "%s: the first tensor that moved is %s", file, new + 66);
    }
    cr_assert(!(is_digest(file) ? next_line(f, old) : next_of(f, file, old)), "%s: %s is no more",
              file, old + 66);
    cr_assert(tensors >= 10, "%s: only %zu tensors", file, tensors);
    fclose(made);
    fclose(f);
    expect_flush_safe(file, options);
}

Test(golden_files, are_computed_anew_bit_for_bit)
{
    char when[16], file[128], options[LINE];
    const char *wanted = getenv("GN_GOLDEN");
    FILE *recipes = open_golden("RECIPES");
    int files = 0;
    while (next_recipe(recipes, when, file, options))
        if (strcmp(when, "test") == 0 || (wanted != NULL && strcmp(wanted, when) == 0)) {
            expect_anew(file, options);
            files++;
        }
    fclose(recipes);
    cr_assert(files >= 5, "only %d files", files);
}
