#!/usr/bin/env bash
# The one-file reader of golden files reads what the program writes, every byte of it, and refuses
# what is malformed: with a message, never by a crash.
set -euo pipefail
BUILD=${BUILD:-$PWD/build}
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=tests/ports/reader/read_golden.c read=$work/read
strict="-std=c11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror"
export ASAN_OPTIONS=detect_leaks=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1:exitcode=99
$CC $strict -fsanitize=address,undefined -fno-sanitize-recover=undefined $source -o "$read" \
    2> "$work/log" || $CC $strict $source -o "$read" # where there are no sanitizers
sha() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi; }

golden=$work/golden.safetensors
for out in "$golden" "$work/golden.sha256"; do
    "$BUILD/gomokunet" golden --board-size 5 --num-blocks 1 --channels 4 --batch-size 2 \
        --threads 1 --out "$out" 2> "$work/log" || { cat "$work/log"; exit 1; }
done
"$read" "$golden" > "$work/list"
grep -q '^param/input_conv.0.weight F32 \[4,5,3,3\] -\?0\.' "$work/list"
grep -q '^after/input_conv.1.num_batches_tracked I64 \[\] 1$' "$work/list"
grep -v '^#' "$work/golden.sha256" | while read -r hash name; do
    [ "$("$read" "$golden" "$name" | sha)" = "$hash  -" ] || { echo "$name: other bytes"; exit 1; }
done
[ "$(wc -l < "$work/list")" -eq "$(grep -vc '^#' "$work/golden.sha256")" ]

# What must be refused: a header of one's own, the bytes behind it, and what is said.
bad=$work/bad refused=0
refuse() { # refuse WHAT-IS-SAID HEADER [BYTES-BEHIND]
    local n=${#2}
    printf "\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))\0\0\0\0\0\0" > "$bad"
    printf %s "$2" >> "$bad"
    head -c "${3:-4}" /dev/zero >> "$bad"
    must_refuse "$1" "$2"
}
must_refuse() {
    local status=0
    "$read" "$bad" > /dev/null 2> "$work/log" || status=$?
    grep -q "^read_golden: .*bad: .*$1" "$work/log" && [ $status -eq 2 ] ||
        { echo "$2: exit $status, expected 2 and \"$1\""; cat "$work/log"; exit 1; }
    refused=$((refused + 1))
}
a='"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
refuse 'expected .{.' ''  0
refuse 'expected .,.' "{$a"
refuse 'expected .,.' "{$a \"b\""
refuse 'expected .:.' '{"a"}'
refuse 'a string in the header does not end' '{"a'
refuse 'a string in the header does not end' '{"a\'
refuse 'expected .".' "{$a,}"
refuse 'more behind the header' "{$a}}"
refuse 'a: this name comes twice' "{$a,${a/0,4/4,8}}" 8
refuse 'a: expected F32 or I64' "{${a/F32/F16}}"
refuse 'a name is too long' "{${a/F32/F32F32F32}}"
refuse 'a: expected dtype' "{${a/shape/sharp}}"
refuse 'a: expected dtype' '{"a":{"dtype":"F32","shape":[1]}}'
refuse 'a: expected dtype' '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
refuse 'a: its bytes' "{${a/\[1\]/[2]}}"
refuse 'a: its bytes' "{${a/0,4/4,8}}" 8
refuse 'a: its bytes' "{${a/0,4/4,0}}"
refuse 'expected a number' "{${a/\[1\]/[-1]}}"
refuse 'expected a number' "{${a/0,4/0,1000000000000000000004}}"
refuse 'a: the shape is too large' "{${a/\[1\]/[99999999999,99999999999]}}"
refuse 'a: too many dimensions' "{${a/\[1\]/[1,1,1,1,1,1,1,1,1]}}"
refuse 'a: the file ends inside' "{$a}" 3
refuse 'more bytes behind' "{$a}" 5
head -c 7 "$golden" > "$bad" && must_refuse '8 bytes' 'seven bytes'
head -c 99 "$golden" > "$bad" && must_refuse 'ends inside the header' 'a cut header'
printf '\xff\xff\xff\xff\xff\xff\xff\xff{}' > "$bad" && must_refuse 'ends inside the header' 'length'

# Every fifth byte of a small file changed, in four ways, and the file cut there.
"$BUILD/gomokunet" golden --board-size 5 --num-blocks 1 --channels 4 --batch-size 2 --threads 1 \
    --only 'loss/v*' --out "$golden" 2> /dev/null
size=$(wc -c < "$golden") tried=0
for ((i = 0; i < size; i += 5)); do
    for byte in '\0' '"' '}' '\xff'; do
        { head -c $i "$golden"; printf "$byte"; tail -c +$((i + 2)) "$golden"; } > "$bad"
        status=0
        "$read" "$bad" > /dev/null 2>&1 || status=$?
        [ $status -eq 0 ] || [ $status -eq 2 ] || { echo "byte $i as $byte: exit $status"; exit 1; }
        tried=$((tried + 1))
    done
    head -c $i "$golden" > "$bad"
    must_refuse '' "the first $i bytes"
done
echo "every tensor read; $refused files refused, $tried changed ones read or refused"
