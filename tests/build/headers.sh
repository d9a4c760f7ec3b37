#!/usr/bin/env bash
# Every public header compiles alone, as C11 and as C++17, and declares C functions in both.
set -euo pipefail
CC=${CC:-gcc}
CXX=${CXX:-$(case $CC in *clang*) echo clang++ ;; *) echo g++ ;; esac)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v "$CXX" > /dev/null || { echo "$CXX is not there"; exit 77; }
for header in include/gomokunet/*.h; do
    name=gomokunet/$(basename "$header")
    echo "#include \"$name\"" > "$work/one.c"
    $CC -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only "$work/one.c"
    $CXX -x c++ -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only "$work/one.c"
    [ "$header" = include/gomokunet/gomokunet.h ] || grep -q 'extern "C"' "$header" ||
        { echo "$header has no extern \"C\""; exit 1; }
    grep -qF "\"$name\"" include/gomokunet/gomokunet.h || [ "$name" = gomokunet/gomokunet.h ] ||
        { echo "$name is not in the umbrella"; exit 1; }
done
# Linked from C++: names must not be mangled.
cat > "$work/link.cpp" <<'CODE'
#include <gomokunet/gomokunet.h>
int main()
{
    gn_net_config config = gn_net_default();
    gn_err err;
    gn_net net;
    if (gn_net_create(&net, &config, &err) != GN_OK) return 1;
    bool right = gn_tape_parameters(net.tape) == 22628514;
    gn_net_destroy(&net);
    return right ? 0 : 1;
}
CODE
openmp=$([ "${OPENMP:-1}" = 0 ] || echo -fopenmp)
$CXX -std=c++17 -Wall -Wextra -Iinclude "$work/link.cpp" "${BUILD:-build}/libgomokunet.a" $(cat "${BUILD:-build}/libs") \
    $openmp -o "$work/link"
"$work/link"
