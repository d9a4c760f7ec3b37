#!/usr/bin/env bash
# Completion, as a shell asks for it: words on the line, and what may stand in the last one's place.
set -euo pipefail
BUILD=${BUILD:-build}
PROGRAM=${GN_PROGRAM:-$BUILD/gomokunet}
set +u # as in the shell of a person
eval "$("$PROGRAM" completion bash)"

asks() { # asks "words on the line" "every word offered"
    # At the end of "a b " the word in hand is a new, empty one.
    read -r -a COMP_WORDS <<< "$1"
    [ "${1% }" = "$1" ] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=(before)
    _gomokunet || true
    [ "${COMPREPLY[*]}" = "$2" ] ||
        { echo "\"$1\" offers \"${COMPREPLY[*]}\", expected \"$2\""; exit 1; }
}

asks "gomokunet tr" "train"
asks "gomokunet --v" "--version"
asks "gomokunet train --use" "--use-checkpoint"
asks "gomokunet train --eval-" "--eval-data --eval-fraction --eval-every"
asks "gomokunet train --conv " "dense separable"
asks "gomokunet train --conv = sep" "separable"
asks "gomokunet train --conv =" "dense separable"
asks "gomokunet train --checkpoint e" "every:"
asks "gomokunet train --batch-size " ""
asks "gomokunet train --data " "" # the shell itself completes files
asks "gomokunet curve " ""
asks "gomokunet curve --o" "--out"
asks "gomokunet completion " "bash zsh"
asks "gomokunet help sel" "selftest"

# No command and no option is forgotten: each that its help lists is offered.
count=0
for name in $("$PROGRAM" help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
    wanted=$("$PROGRAM" "$name" --help | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p')
    asks "gomokunet $name --" "$(echo $wanted)"
    count=$((count + $(wc -w <<< "$wanted")))
done
[ "$count" -gt 60 ] || { echo "only $count options seen"; exit 1; }

# zsh: the same names, and a script that zsh can read.
"$PROGRAM" completion zsh > "${TMPDIR:-/tmp}/gn_zsh.$$"
trap 'rm -f "${TMPDIR:-/tmp}/gn_zsh.$$"' EXIT
missing=$(for name in $("$PROGRAM" help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
    part=$(sed -n "/^    $name)/,/^        ;;/p" "${TMPDIR:-/tmp}/gn_zsh.$$")
    for option in $("$PROGRAM" "$name" --help | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p'); do
        grep -q -e "'\**$option[=[]" <<< "$part" || echo "$name $option"
    done
done)
[ -z "$missing" ] || { echo "zsh does not know: $missing"; exit 1; }
if command -v zsh > /dev/null; then
    zsh -n "${TMPDIR:-/tmp}/gn_zsh.$$"
else
    echo "no zsh here: its script is not parsed"
fi
