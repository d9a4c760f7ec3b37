#!/usr/bin/env bash
# A folder may include only itself and the folders above it; a public header belongs to a folder.
# `layers.sh [ROOT]`: the checkout, or (for the test of this script) another tree.
cd "${1:-.}" || exit 2
awk '
BEGIN {
    folders = "base tensor io ops kernels autograd checkpoint net check model data train golden cli"
    headers = "status=base numeric=base tensor=tensor io=io op=ops tape=autograd " \
              "program=autograd checkpoint=checkpoint net=net check=check model=model data=data train=train " \
              "golden=golden diagnose=golden gomokunet=cli"
    n = split(folders, order, " ")
    for (i = 1; i <= n; i++) rank[order[i]] = i
    split(headers, map, " ")
    for (i in map) { split(map[i], pair, "="); owner[pair[1]] = pair[2] }
}
function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; wrong++ }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    target = quoted[2]
    if (split(FILENAME, path, "/") >= 3 && path[1] == "src") from = path[2]
    else { name = path[3]; sub(/\.h$/, "", name); from = owner[name] }
    if (target ~ /^gomokunet\//) {
        name = target
        gsub(/^gomokunet\/|\.h$/, "", name)
        to = owner[name]
    } else if (target ~ /\//) { to = target; sub(/\/.*/, "", to) }
    else to = from
    checked++
    if (!(from in rank)) complain("this file belongs to no folder of the list")
    else if (!(to in rank)) complain("\"" target "\" belongs to no folder of the list")
    else if (rank[to] > rank[from]) complain(from " may not include " to " (\"" target "\")")
}
END {
    if (checked == 0) { print "no include found"; exit 1 }
    if (wrong) { print wrong " includes break the layers"; exit 1 }
    print checked " includes, every one of its own folder or one above it"
}' $(find src include/gomokunet -name '*.[ch]' | sort)
