#!/usr/bin/env bash
# Size by folder: all lines, and lines of code (neither blank nor only comment).
# The numeric core (base to net, without the file formats of io) stays under LIMIT lines of code.
LIMIT=${LIMIT:-5000}
core=0 total=0
code() {
    awk '{
        left = $0
        kept = ""
        while (left != "") {
            at = index(left, comment ? "*/" : "/*")
            if (!comment) kept = kept (at ? substr(left, 1, at - 1) : left)
            left = at ? substr(left, at + 2) : ""
            if (at) comment = !comment
        }
        if (kept ~ /[^ \t]/) n++
    } END { print n + 0 }' "$@"
}
printf '%-12s %8s %8s\n' folder lines code
for folder in base tensor io ops kernels autograd checkpoint net check model data train golden cli; do
    files=$(find src/$folder -name '*.[ch]' 2>/dev/null)
    [ -n "$files" ] || continue
    n=$(code $files)
    printf '%-12s %8d %8d\n' $folder "$(cat $files | wc -l)" "$n"
    total=$((total + n))
    case $folder in
    base | tensor | ops | kernels | autograd | checkpoint | net) core=$((core + n)) ;;
    esac
done
echo "numeric core $core lines of code (limit $LIMIT), all $total"
[ $core -gt 0 ] && [ $core -le "$LIMIT" ]
