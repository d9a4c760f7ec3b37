#!/usr/bin/env bash
# `make install` into an empty place: program, manual page, completions, headers, both libraries,
# and a pkg-config file with which a program is compiled and run; `make uninstall` leaves nothing.
set -euo pipefail
BUILD=${BUILD:-build}
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS
options=(CC="$CC" BUILD="$BUILD" OPENMP="${OPENMP:-1}" DESTDIR="$work" PREFIX=/opt/gn)
make -s "${options[@]}" install
lib=$work/opt/gn/lib
"$work/opt/gn/bin/gomokunet" info > /dev/null
share=$work/opt/gn/share
if command -v man > /dev/null; then # as a person would ask for it
    MANPATH=$share/man man -w gomokunet | grep -q 'man1/gomokunet\.1'
else
    [ -s "$share/man/man1/gomokunet.1" ]
fi
cmp "$share/bash-completion/completions/gomokunet" \
    <("$work/opt/gn/bin/gomokunet" completion bash)
cmp "$share/zsh/site-functions/_gomokunet" <("$work/opt/gn/bin/gomokunet" completion zsh)
[ "$(readlink "$lib/libgomokunet.so")" = libgomokunet.so.0 ]
[ "$(readlink "$lib/libgomokunet.so.0")" = libgomokunet.so.0.1.0 ]
cat > "$work/program.c" <<'CODE'
#include <gomokunet/gomokunet.h>
#include <stdio.h>
int main(void) { gn_err err; puts(gn_selftest(&err) == GN_OK ? "ok" : err.text); return 0; }
CODE
if command -v pkg-config > /dev/null; then
    export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work
    flags=$(pkg-config --cflags --libs gomokunet)
    static=$(pkg-config --static --libs gomokunet)
else
    flags="-I$work/opt/gn/include -L$lib -lgomokunet" static="-lz"
fi
$CC -std=c11 "$work/program.c" $flags -o "$work/shared"
[ "$(LD_LIBRARY_PATH=$lib "$work/shared")" = ok ]
[[ "$(LD_LIBRARY_PATH=$lib ldd "$work/shared")" == *"libgomokunet.so.0 => $lib"* ]]
rm "$lib"/libgomokunet.so*
$CC -std=c11 "$work/program.c" $flags $static $([ "${OPENMP:-1}" = 0 ] || echo -fopenmp) \
    -o "$work/static"
[ "$("$work/static")" = ok ]
make -s "${options[@]}" uninstall
left=$(find "$work/opt" -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
