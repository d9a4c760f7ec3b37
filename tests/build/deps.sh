#!/usr/bin/env bash
# Checks that what a build (or a check) needs is there: `deps.sh build|check|matrix|exhaustive`
#
# Runs the package manager only if something is missing: as root or through sudo; otherwise prints
# the line to type and fails.  NO_INSTALL=1: checks nothing and installs nothing.
set -uo pipefail
[ "${NO_INSTALL:-}" = 1 ] && exit 0
CC=${CC:-gcc}
missing=() packages=()

need() { # need "what it is" "Debian package" command...
    local what=$1 package=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    missing+=("$what")
    packages+=("$package")
}

compiles() { # compiles HEADER FLAGS...
    local header=$1 compiler=$CC
    shift
    echo "#include <$header>
int main(void) { return 0; }" | "$compiler" -x c - -o /dev/null "$@"
}

for_build() {
    need "a C compiler ($CC)" "$CC libc6-dev" compiles stdio.h
    local openmp=gcc
    case $CC in *clang*) openmp=libomp-dev ;; esac
    [ "${OPENMP:-1}" = 0 ] || need "OpenMP for $CC" $openmp compiles omp.h -fopenmp
    need "zlib (game records in gz)" zlib1g-dev compiles zlib.h -lz
    need "Criterion (tests)" libcriterion-dev compiles criterion/criterion.h -lcriterion
}

for_exhaustive() {
    need "MPFR (the truth for exp, log, tanh)" libmpfr-dev compiles mpfr.h -lmpfr -lgmp
}

# Debian's cross compilers, each with its libc, and qemu to run what they build.
for_matrix() {
    need "clang" clang command -v clang
    need "OpenMP for clang" libomp-dev env CC=clang bash -c \
        'echo "int main(void){return 0;}" | clang -x c - -o /dev/null -fopenmp'
    need "musl" musl-tools env CC=musl-gcc bash -c \
        'echo "int main(void){return 0;}" | musl-gcc -x c - -o /dev/null -static'
    local machine libc
    for machine in aarch64:arm64 riscv64:riscv64 s390x:s390x i686:i386; do
        libc=${machine#*:} machine=${machine%:*}
        need "gcc for $machine" "gcc-$machine-linux-gnu libc6-dev-$libc-cross" \
            env CC=$machine-linux-gnu-gcc bash -c \
            'echo "int main(void){return 0;}" | $CC -x c - -o /dev/null -static -fopenmp'
    done
    need "qemu-user" qemu-user command -v qemu-s390x
}

for_check() {
    need "pkg-config" pkg-config command -v pkg-config
    need "man and groff (the manual page)" man-db command -v man
    need "zsh (its completion)" zsh command -v zsh
    need "g++ (headers as C++17)" g++ command -v g++
    for_exhaustive
    for_matrix
    need "valgrind" valgrind command -v valgrind
    need "qemu (other processors)" qemu-user command -v qemu-x86_64
    need "PyTorch (the oracle)" python3-torch /usr/bin/python3 -c 'import torch'
    need "numpy" python3-numpy /usr/bin/python3 -c 'import numpy'
    need "OpenCL's headers and loader" "opencl-c-headers ocl-icd-opencl-dev" \
        compiles CL/cl.h -DCL_TARGET_OPENCL_VERSION=120 -lOpenCL
    need "an OpenCL device (PoCL: the CPU)" pocl-opencl-icd \
        bash -c 'compgen -G "/etc/OpenCL/vendors/*.icd"'
}

"for_$1"
[ ${#missing[@]} -eq 0 ] && exit 0

printf 'missing: %s\n' "${missing[@]}"
line="apt-get install -y --no-install-recommends ${packages[*]}"
if ! command -v apt-get >/dev/null; then
    echo "install them with your package manager (Debian's names: ${packages[*]}), then try again"
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        as_root=sudo
    else
        echo "run this as root, then try again:"
        echo "    apt-get update && $line"
        exit 1
    fi
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq && $as_root $line && missing=() packages=() && "for_$1"
[ ${#missing[@]} -eq 0 ] && exit 0
printf 'still missing: %s\n' "${missing[@]}"
exit 1
