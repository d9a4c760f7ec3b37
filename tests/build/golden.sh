#!/usr/bin/env bash
# Makes golden/ anew, by golden/RECIPES: `golden.sh [--only test|check] [FOLDER]`.
#
# Each file first as digests, which go into MANIFEST as "HASH  FILE:TENSOR", then as itself; with
# --only the rest of MANIFEST stays.  The same bytes on every machine: `git diff` says so.
set -euo pipefail
set -f # options hold * and ?
export OMP_WAIT_POLICY=passive
program=${GN_PROGRAM:-build/gomokunet}
kind=all
if [ "${1:-}" = --only ]; then kind=$2; shift 2; fi
folder=${1:-golden}
recipes=$(dirname "$0")/../../golden/RECIPES
digests=$(mktemp -d)
trap 'rm -rf "$digests"' EXIT
: > "$digests/manifest"

while read -r when file options; do
    case $when in '#'* | '') continue ;; esac
    [ "$kind" = all ] || [ "$kind" = "$when" ] || continue
    "$program" golden $options --out "$folder/$file" 2> /dev/null
    case $file in
        *.safetensors)
            "$program" golden $options --out "$digests/tensors.sha256" > /dev/null 2>&1
            sed -n "s/^\([0-9a-f]\{64\}\)  /\1  $file:/p" "$digests/tensors.sha256" \
                >> "$digests/manifest" ;;
    esac
done < "$recipes"
[ "$kind" = check ] || cp "$digests/manifest" "$folder/MANIFEST"
