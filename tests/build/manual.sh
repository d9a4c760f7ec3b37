#!/usr/bin/env bash
# The manual page: every command and option of the help is in it, and the formatters find no fault.
set -euo pipefail
BUILD=${BUILD:-build}
PROGRAM=${GN_PROGRAM:-$BUILD/gomokunet}
page=$(mktemp)
trap 'rm -f "$page"' EXIT
"$PROGRAM" help --man > "$page"
count=0
for name in $("$PROGRAM" help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
    part=$(sed -n "/^\.SS gomokunet $name /,/^\.S[HS] [^g]/p" "$page" | sed '1!{/^\.SS/,$d}')
    [ -n "$part" ] || { echo "no section on $name"; exit 1; }
    # The summary stands in two tables: that of the usage, and the command's own.
    summary=$("$PROGRAM" help | sed -n "s/^  $name  *//p")
    [ "$("$PROGRAM" "$name" --help | head -1)" = "gomokunet $name: $summary" ] ||
        { echo "$name: two different summaries"; exit 1; }
    for option in $("$PROGRAM" "$name" --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p'); do
        [ "$option" = help ] && continue
        grep -q -e "^\.B \\\\-\\\\-${option//-/\\\\-}\( \|$\)" <<< "$part" ||
            { echo "$name: --$option is missing"; exit 1; }
        count=$((count + 1))
    done
done
[ "$count" -gt 50 ] || { echo "only $count options seen"; exit 1; }
if command -v groff > /dev/null; then
    said=$(groff -ww -man -Tascii "$page" 2>&1 > /dev/null)
    [ -z "$said" ] || { echo "groff: $said"; exit 1; }
fi
if command -v man > /dev/null; then
    said=$(LC_ALL=C MANWIDTH=80 man --warnings -l "$page" 2>&1 > /dev/null)
    [ -z "$said" ] || { echo "man: $said"; exit 1; }
fi
