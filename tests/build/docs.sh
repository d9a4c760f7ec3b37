#!/usr/bin/env bash
# What the documentation shows is true: the programs in it are compiled and run against the library,
# the commands in `sh` blocks behind a "runnable" mark are run.
# `docs.sh umbrella|own-network|commands|python`; the last runs what is marked "runnable with python" too,
# by $PYTHON.
set -euo pipefail
root=$PWD
BUILD=${BUILD:-$root/build}
CC=${CC:-gcc}
openmp=$([ "${OPENMP:-1}" = 0 ] || echo -fopenmp)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # compile SOURCE PROGRAM: as a user would, with the library's public headers only
    $CC -std=c11 -Wall -Wextra -I"$root/include" "$1" "$BUILD/libgomokunet.a" $(cat "$BUILD/libs") $openmp -o "$2"
}

case $1 in
umbrella)
    sed -n '/^ \*     #include/,/^ \*     }$/s/^ \*     \{0,1\}//p' include/gomokunet/gomokunet.h |
        sed 's/^    \(#\|static float\|int main\|[{}]$\)/\1/' > "$work/step.c"
    lines=$(sed -n '/^    *const gn_net_config/,/printf/p' "$work/step.c" | wc -l)
    [ "$lines" -le 15 ] || { echo "the umbrella's program has grown to $lines lines"; exit 1; }
    compile "$work/step.c" "$work/step"
    "$work/step" | tee "$work/out"
    grep -Eq '^loss [0-9]+\.[0-9]{4}$' "$work/out"
    ;;
own-network)
    sed -n '/^```c$/,/^```$/p' docs/own-network.md | sed '/^```/d' > "$work/own.c"
    lines=$(wc -l < "$work/own.c")
    [ "$lines" -gt 20 ] && [ "$lines" -lt 60 ] || { echo "own.c has $lines lines"; exit 1; }
    compile "$work/own.c" "$work/own"
    "$work/own" > "$work/out"
    sed -n '/prints the loss/,$p' docs/own-network.md | sed -n '/^```$/,/^```$/p' | sed '/^```/d' |
        sed -n '1,4p' > "$work/shown"
    diff "$work/shown" "$work/out" && echo "own.c prints what the page shows"
    ;;
commands | python)
    # A runnable block stands behind the line "<!-- runnable -->"; each of its lines must exit 0.
    # It runs in a folder of its own, where build/gomokunet is the program.
    count=0 pages=(README.md docs/*.md) python=0
    ln -s "$BUILD" "$work/build"
    ln -s "$root/tests" "$work/tests"
    if [ "$1" = python ]; then # python3 is that which has numpy and PyTorch
        pages=($(grep -l '^<!-- runnable with python -->$' README.md docs/*.md)) python=1
        mkdir "$work/bin"
        ln -s "${PYTHON:-/usr/bin/python3}" "$work/bin/python3"
        export PATH="$work/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
    fi
    for page in "${pages[@]}"; do
        # A block of Python becomes a line that runs it.
        awk -v python=$python -v work="$work" '
             /^<!-- runnable -->$/ || (python && /^<!-- runnable with python -->$/) { ready = 1; next }
             ready && /^```sh$/ { copy = 1; ready = 0; next }
             ready && /^```python$/ { file = work "/block" ++blocks ".py"; ready = 0; next }
             /^```$/ { if (file != "") print "python3 " file; copy = 0; file = "" }
             file != "" { print > file; next }
             copy' "$page" > "$work/commands"
        while IFS= read -r line; do
            [ -n "$line" ] || continue
            echo "$page: $line"
            (cd "$work" && bash -euo pipefail -c "$line" > "$work/out" 2>&1 < /dev/null) ||
                { cat "$work/out"; exit 1; }
            count=$((count + 1))
        done < "$work/commands"
    done
    [ "$count" -gt 5 ] || { echo "only $count runnable commands found"; exit 1; }
    ;;
*) exit 2 ;;
esac
