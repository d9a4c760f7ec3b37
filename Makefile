# GomokuNet.  `make help` lists what there is to do.
#
#   CC=clang        another compiler            OPENMP=0      one thread, the same bits
#   CFLAGS=         yours; the flags that       BUILD=dir     another build folder
#                   fix the bits come after     V=1           show every command
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
OPENMP  ?= 1
Q       := $(if $(V),,@)
# Parallel where nobody chose: `make -j8 test` keeps its 8.
JOBS     = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
ifeq ($(origin CC),default)
CC      := gcc
endif
ifeq ($(origin AR),default)
AR      := $(shell $(CC) -print-prog-name=ar)
endif

# --- Flags ---------------------------------------------------------------------------------------
# The numeric flags come after the user's CFLAGS, so that no CFLAGS can change a bit; what they
# cannot undo, src/base/guard.c refuses.
is_clang := $(shell $(CC) --version 2>/dev/null | grep -c clang)
NUMERIC  := -std=c11 -fno-fast-math -fno-finite-math-only
ifeq ($(is_clang),0)
NUMERIC  += -fexcess-precision=fast -fno-unsafe-math-optimizations -fno-single-precision-constant
endif
NUMERIC  += -fno-associative-math -fno-reciprocal-math -fsigned-zeros -ffp-contract=off \
            -fno-math-errno -fno-trapping-math
WARN     := -Wall -Wextra -Wconversion -Wshadow
ifneq ($(OPENMP),0)
OMP      := -fopenmp
else
WARN     += -Wno-unknown-pragmas -Wno-unused-variable  # some are for a pragma alone
endif
# Optional: found by pkg-config; `make EXPAT= LIBZIP=` builds without.
found     = $(shell pkg-config --exists $(1) 2>/dev/null && echo yes)
ifeq ($(origin EXPAT),undefined)
EXPAT    := $(call found,expat)
endif
ifeq ($(origin LIBZIP),undefined)
LIBZIP   := $(call found,libzip)
endif
OPTIONAL := $(if $(EXPAT),-DGN_HAVE_EXPAT) $(if $(LIBZIP),-DGN_HAVE_LIBZIP)
CPP_ALL  := -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -DGN_VERSION='"$(VERSION)"' $(OPTIONAL) \
            $(CPPFLAGS)
compile   = $(CC) $(CPP_ALL) $(1) -g $(CFLAGS) $(WARN) $(NUMERIC) $(OMP) -fPIC -MMD -MP
# Of CFLAGS the linker gets what it must know, and not -ffast-math, which would flush denormals.
LINK      = $(CC) $(filter -m% -fsanitize% --sysroot% -static,$(CFLAGS)) $(OMP) $(LDFLAGS)
LIBS     := -lz $(if $(EXPAT),-lexpat) $(if $(LIBZIP),-lzip)

# --- Sources -------------------------------------------------------------------------------------
CORE_DIRS := base tensor ops kernels autograd checkpoint net
# Compiled by inclusion: an op in plain.c, a fast twin in fast.c.
PLAIN_OPS := $(filter-out src/ops/plain.c src/ops/table.c,$(wildcard src/ops/*.c))
FAST_OPS  := $(filter-out src/kernels/fast.c src/kernels/select.c,$(wildcard src/kernels/*.c))
TABLES    := src/ops/plain.c src/kernels/fast.c
sources    = $(filter-out $(PLAIN_OPS) $(FAST_OPS) $(TABLES),$(wildcard src/$(1)/*.c))
object     = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

# The tables of rows: two plain ones, and a fast one for each instruction set.
TABLE_OBJ := $(BUILD)/obj/ops/plain_float.o $(BUILD)/obj/ops/plain_double.o
machine   := $(shell $(CC) -dumpmachine 2>/dev/null)
ifneq (,$(filter x86_64%,$(machine)))
ISA       := sse2 avx2 avx512
SELECT    := -DGN_HAVE_X86_TABLES
else ifneq (,$(filter aarch64-% arm64-%,$(machine)))
ISA       := neon
SELECT    := -DGN_HAVE_NEON_TABLE
endif
TABLE_OBJ += $(patsubst %,$(BUILD)/obj/kernels/fast_%.o,$(ISA))
# An instruction set and no more: the compiler may know of a better one from CFLAGS.
FLAGS_sse2   := -mno-avx -mno-fma
FLAGS_avx2   := -mavx2 -mfma -mno-avx512f
FLAGS_avx512 := -mavx512f -mavx512dq -mavx512vl -mavx512bw -mavx2 -mfma

CORE_OBJ := $(call object,$(foreach d,$(CORE_DIRS),$(call sources,$(d)))) $(TABLE_OBJ)
LIB_OBJ  := $(CORE_OBJ) $(call object,$(foreach d,io check model data train golden golden/mistakes,$(call sources,$(d))))
CLI_OBJ  := $(call object,$(wildcard src/cli/*.c))

# --- Library and program -------------------------------------------------------------------------
.PHONY: all
all: $(BUILD)/gomokunet $(BUILD)/libgomokunet.so  ## build the program and both libraries

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(call compile,-O2) -c $< -o $@

$(BUILD)/obj/ops/plain_float.o: src/ops/plain.c
	@mkdir -p $(@D); echo "  CC    $< (float)"
	$(Q)$(call compile,-O3) -c $< -o $@

$(BUILD)/obj/ops/plain_double.o: src/ops/plain.c
	@mkdir -p $(@D); echo "  CC    $< (double)"
	$(Q)$(call compile,-O3) -DGN_DOUBLE -c $< -o $@

$(BUILD)/obj/kernels/fast_%.o: src/kernels/fast.c
	@mkdir -p $(@D); echo "  CC    $< ($*)"
	$(Q)$(call compile,-O3) $(FLAGS_$*) -DGN_FAST -DGN_TABLE=gn_table_$* -c $< -o $@

$(BUILD)/obj/kernels/select.o: CPP_ALL += $(SELECT)

$(BUILD)/libgomokunet.a: $(LIB_OBJ)
	@echo "  AR    $@"; rm -f $@
	$(Q)$(AR) rcs $@ $^
	@echo "$(LIBS)" > $(BUILD)/libs  # what a program needs beside it: the tests' scripts read this

$(BUILD)/libgomokunet.so: $(LIB_OBJ)
	@echo "  LD    $@"
	$(Q)$(LINK) -shared -Wl,-soname,libgomokunet.so.0 -o $@ $^ $(LIBS)

$(BUILD)/gomokunet: $(CLI_OBJ) $(BUILD)/libgomokunet.a
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# The numeric core alone, and what an optimiser step needs; linked with nothing but OpenMP.
DIGEST_OBJ := $(CORE_OBJ) \
              $(call object,src/check/selftest.c src/io/sha256.c src/train/optimiser.c src/train/running.c)

$(BUILD)/digest: $(BUILD)/tests/digest.o $(DIGEST_OBJ)
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

# The kernels once more with other sizes of blocks, for the fuzz test: one of each, sizes that
# divide nothing, and AVX-512's tile.
BLOCKS_small := ROWS=1,VECS=1,TERMS=1,ROW_TILES=1,SQUARE_TILES=1,HOT_LEVELS=1,UNITS=9
BLOCKS_odd   := ROWS=5,VECS=3,TERMS=7,ROW_TILES=3,SQUARE_TILES=3,HOT_LEVELS=2,UNITS=10
BLOCKS_large := ROWS=8,VECS=8,TERMS=64,ROW_TILES=7,SQUARE_TILES=2,HOT_LEVELS=4,UNITS=18
BLOCKS_OBJ   := $(if $(ISA),$(patsubst %,$(BUILD)/tests/blocks_%.o,small odd large))

$(BUILD)/tests/blocks_%.o: src/kernels/fast.c
	@mkdir -p $(@D); echo "  CC    $< (blocks $*)"
	$(Q)$(call compile,-O2) $(FLAGS_$(firstword $(ISA))) -DGN_FAST -DGN_TABLE=gn_table_$* \
	    -DGN_BLOCKS=$(BLOCKS_$*) -c $< -o $@

$(BUILD)/tests/fuzz_exact.o: CPP_ALL += $(if $(ISA),-DGN_HAVE_BLOCKS)

$(BUILD)/fuzz_exact: $(BUILD)/tests/fuzz_exact.o $(BLOCKS_OBJ) $(DIGEST_OBJ)
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^

# What the fresh implementation in tests/ports/exact is held against.
$(BUILD)/exact/dump: tests/ports/exact/dump.c $(BUILD)/libgomokunet.a
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(call compile,-O2) -c $< -o $@.o
	$(Q)$(LINK) -o $@ $@.o $(BUILD)/libgomokunet.a $(LIBS)

# The page's section 21 as code.
$(BUILD)/exact/recipes.h: docs/numerics.md
	@mkdir -p $(@D)
	$(Q)awk '/^## / { code = /^## 21 / } code && /^(    |$$)/ { print substr($$0, 5) }' $< > $@

$(BUILD)/exact/recipes: tests/ports/exact/recipes.c $(BUILD)/exact/recipes.h \
                        $(BUILD)/libgomokunet.a
	@echo "  CC    $<"
	$(Q)$(call compile,-O2) -I$(@D) -Itests -c $< -o $@.o
	$(Q)$(LINK) -o $@ $@.o $(BUILD)/libgomokunet.a $(LIBS)

# --- The two commands ----------------------------------------------------------------------------
.PHONY: train train-checkpoint
train: deps  ## train a small network on built-in games, checkpointing on: two minutes or so
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/gomokunet
	$(BUILD)/gomokunet train --num-blocks 6 --channels 48 --use-checkpoint --compare \
	    --batch-size 64 --seed 2 --steps 600 --eval-every 150 --out $(BUILD)/run

BATCH    ?= 1024
BLOCKS   ?= 30
CHANNELS ?= 192
STEPS    ?= 1
train-checkpoint: deps  ## the full network: BATCH=1024 BLOCKS=30 CHANNELS=192 STEPS=1
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/gomokunet
	$(BUILD)/gomokunet train --num-blocks $(BLOCKS) --channels $(CHANNELS) --use-checkpoint \
	    --batch-size $(BATCH) --steps $(STEPS) --eval-fraction 0 --out $(BUILD)/run-checkpoint

# --- Tests ---------------------------------------------------------------------------------------
TEST_SRC := $(wildcard tests/test_*.c)
TEST_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
SUPPORT  := $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/support/*.c))
mpfr     := $(shell pkg-config --exists mpfr 2>/dev/null && echo -DHAVE_MPFR)
MPFR_LIB := $(if $(mpfr),-lmpfr -lgmp)
.SECONDARY: $(TEST_BIN:=.o) $(SUPPORT)

$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(call compile,-O2) -Itests $(mpfr) -c $< -o $@

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(SUPPORT) $(BUILD)/libgomokunet.a
	$(Q)$(LINK) -o $@ $^ $(WRAP) $(LIBS) -lcriterion -lm $(MPFR_LIB)

$(BUILD)/tests/test_fuse: WRAP := -Wl,--wrap=malloc,--wrap=calloc  # to refuse memory
$(BUILD)/tests/test_keep: WRAP := -Wl,--wrap=aligned_alloc
$(BUILD)/tests/test_memory_limits: $(BUILD)/obj/cli/memory.o  # the program's own, not the library's

# The rates of the judge, outside of the test runner.
$(BUILD)/rates: $(BUILD)/tests/rates.o $(SUPPORT) $(BUILD)/libgomokunet.a
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcriterion -lm $(MPFR_LIB)

# MPFR's word on every value of exp, log and tanh.
$(BUILD)/exhaustive: $(BUILD)/tests/exhaustive.o $(call object,src/base/exact.c src/base/real_math.c)
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^ -lmpfr -lgmp -lm


# The fault injector: a driver, and a shim that the program is run with.  No sanitizer in either,
# since the shim stands before one's memory.
FAULTS   := $(BUILD)/tests/faults/faults $(BUILD)/tests/faults/shim.so
PLAIN_C   = $(CC) -std=c11 -O1 -g $(WARN) $(LDFLAGS)

$(BUILD)/tests/faults/faults: $(wildcard tests/faults/[frt]*.[ch])
	@mkdir -p $(@D); echo "  CC    $@"
	$(Q)$(PLAIN_C) -o $@ $(filter %.c,$^)

$(BUILD)/tests/faults/shim.so: tests/faults/shim.c tests/faults/shim_files.c tests/faults/shim.h
	@mkdir -p $(@D); echo "  CC    $@"
	$(Q)$(PLAIN_C) -fPIC -shared -o $@ $(filter %.c,$^) -ldl

$(BUILD)/tests/test_faults: | $(FAULTS)

# What is fuzzed is linked twice: with libFuzzer, and with the test that replays the corpus.
FUZZ_OBJ := $(patsubst tests/%.c,$(BUILD)/tests/%.o,\
              $(filter-out %/libfuzzer.c,$(wildcard tests/fuzz/*.c)))
$(BUILD)/tests/test_fuzz: $(BUILD)/tests/test_fuzz.o $(FUZZ_OBJ) $(BUILD)/libgomokunet.a
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcriterion -lm

.SECONDARY: $(FUZZ_OBJ)

$(BUILD)/fuzz-%: tests/fuzz/libfuzzer.c $(FUZZ_OBJ) $(BUILD)/libgomokunet.a
	@echo "  LD    $@"
	$(Q)$(call compile,-O2) -DHARNESS=fuzz_$* -c $< -o $@.o
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $@.o $(FUZZ_OBJ) $(BUILD)/libgomokunet.a $(LIBS)

.PHONY: test test-programs digest fuzz fuzz-exact exhaustive faults rates
test: deps  ## build and run all tests
	@$(MAKE) $(JOBS) --no-print-directory all test-programs $(BUILD)/digest $(BUILD)/fuzz_exact
	@CC="$(CC)" OPENMP="$(OPENMP)" BUILD="$(BUILD)" tests/build/run_tests.sh $(TEST_BIN)

test-programs: $(TEST_BIN)

digest: $(BUILD)/digest  ## SHA-256 of a short training run: the same wherever it runs
	@OMP_WAIT_POLICY=passive $(BUILD)/digest

SECONDS  ?= 600
SEED     ?= $(shell date +%s)
HARNESS  ?= safetensors
fuzz:  ## libFuzzer: HARNESS=safetensors|npz|npy|verify|psq|gomoku|json|rif SECONDS=600
	@BUILD="$(BUILD)" tests/build/libfuzzer.sh $(HARNESS) $(SECONDS)

fuzz-exact: $(BUILD)/fuzz_exact  ## every table against plain on random cases: SECONDS=600 SEED=
	OMP_WAIT_POLICY=passive $(BUILD)/fuzz_exact --triples 100000000
	OMP_WAIT_POLICY=passive $(BUILD)/fuzz_exact --seed $(SEED) --seconds $(SECONDS)
exhaustive:  ## exp, log, tanh: all 2^32 inputs of each against MPFR: minutes
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh exhaustive
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/exhaustive
	$(BUILD)/exhaustive

TRIALS   ?= 10000
rates: deps  ## how often a verdict is wrong about what only rounds otherwise: TRIALS=10000
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/rates
	@OMP_WAIT_POLICY=passive $(BUILD)/rates $(TRIALS)

faults: deps  ## every call of a short run fails once: a table of what became of it
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/gomokunet $(FAULTS)
	@OMP_WAIT_POLICY=passive $(firstword $(FAULTS)) $(BUILD)/gomokunet $(lastword $(FAULTS))

# --- Checks --------------------------------------------------------------------------------------
.PHONY: deps deps-check deps-matrix check matrix golden layers lines bench bench-scale bench-exactness bench-roofline format
deps:  ## check compiler, zlib and Criterion; install what is missing (NO_INSTALL=1: only check)
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh build

deps-check: deps  ## the same for what `make check` needs: PyTorch, MPFR, valgrind, clang
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh check

deps-matrix:  ## the same for `make matrix`: clang, musl, cross compilers, qemu
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh matrix

matrix: deps-matrix  ## one digest: compilers, flags, instruction sets, machines, threads, policies
	@BUILD="$(abspath $(BUILD))" tests/build/matrix.sh

check: deps-check  ## everything that needs more: sanitizers, valgrind, clang, PyTorch's oracle
	@BUILD="$(BUILD)" tests/build/check.sh

golden: deps  ## make golden/ anew: the same bytes as before, or a bit has changed
	@$(MAKE) $(JOBS) --no-print-directory $(BUILD)/gomokunet
	GN_PROGRAM=$(BUILD)/gomokunet tests/build/golden.sh

layers:  ## a folder includes only folders above it
	@tests/build/layers.sh

lines:  ## size by folder; the numeric core stays under 5,000 lines of code
	@tests/build/lines.sh

# bench_exactness alone has parts that are compiled with nothing of the contract in mind.
BENCH_BIN := $(BUILD)/gomokunet $(BUILD)/bench_step $(BUILD)/bench_kernels
BENCH_OBJ  = $(patsubst %,$(BUILD)/obj/bench/%.o,$(1))
OPENBLAS  ?= $(call found,openblas)
FREE       = $(CC) $(CPP_ALL) -std=c11 -Ofast -march=native $(WARN) $(OMP) -MMD -MP
.SECONDARY: $(call BENCH_OBJ,bench_step bench_kernels bench_exactness machine)

$(BUILD)/obj/bench/%.o: bench/%.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(call compile,-O2) -c $< -o $@

$(call BENCH_OBJ,free_table free_conv): $(BUILD)/obj/bench/%.o: bench/%.c
	@mkdir -p $(@D); echo "  CC    $< (free)"
	$(Q)$(FREE) -DGN_FAST -DGN_TABLE=gn_table_free -c $< -o $@

$(call BENCH_OBJ,blas_conv): CPP_ALL += \
    $(if $(OPENBLAS),-DBENCH_HAVE_OPENBLAS $(shell pkg-config --cflags openblas))

$(BUILD)/bench_%: $(BUILD)/obj/bench/bench_%.o $(BUILD)/obj/bench/machine.o \
                  $(BUILD)/libgomokunet.a
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(BENCH_LIBS) -lm

$(BUILD)/bench_exactness: $(call BENCH_OBJ,free_table free_conv blas_conv)
$(BUILD)/bench_exactness: BENCH_LIBS := $(if $(OPENBLAS),$(shell pkg-config --libs openblas))

bench: $(BENCH_BIN)  ## speed beside PyTorch's: BENCH='--rows "6x64*" --pairs 1'
	@PYTHONDONTWRITEBYTECODE=1 BUILD="$(BUILD)" bench/run.py $(BENCH)

bench-scale: $(BENCH_BIN)  ## speed, memory, time by op against sizes and threads: SCALE=--quick
	@PYTHONDONTWRITEBYTECODE=1 BUILD="$(BUILD)" bench/scale.py $(SCALE)

bench-roofline: $(BENCH_BIN)  ## where a training step's time and bytes go, below the machine's roof
	@PYTHONDONTWRITEBYTECODE=1 BUILD="$(BUILD)" bench/roofline.py $(ROOFLINE)

ROUNDS ?= 7
bench-exactness: $(BUILD)/bench_exactness  ## convolutions beside free ones and OpenBLAS: ROUNDS=7
	@OMP_WAIT_POLICY=passive $< $(BUILD)/exactness.jsonl $(ROUNDS)

format:  ## clang-format all C files
	clang-format -i include/gomokunet/*.h src/*/*.[ch] src/*/*/*.[ch] tests/*.c tests/support/*.[ch]

# --- Installing ----------------------------------------------------------------------------------
.PHONY: install uninstall clean help
BINDIR := $(DESTDIR)$(PREFIX)/bin
LIBDIR := $(DESTDIR)$(PREFIX)/lib
INCDIR := $(DESTDIR)$(PREFIX)/include/gomokunet
SHARE  := $(DESTDIR)$(PREFIX)/share
BASHDIR := $(SHARE)/bash-completion/completions
ZSHDIR  := $(SHARE)/zsh/site-functions

# The manual page and the completions, which the program writes from its tables of options.
PAGES := $(addprefix $(BUILD)/share/,gomokunet.1 gomokunet.bash gomokunet.zsh)
.DELETE_ON_ERROR:

$(BUILD)/share/gomokunet.1: $(BUILD)/gomokunet
	@mkdir -p $(@D); echo "  MAN   $@"
	$(Q)$(BUILD)/gomokunet help --man > $@

$(BUILD)/share/gomokunet.%: $(BUILD)/gomokunet
	@mkdir -p $(@D); echo "  SHELL $@"
	$(Q)$(BUILD)/gomokunet completion $* > $@

install: all $(PAGES)  ## install into PREFIX=/usr/local, below DESTDIR=
	install -d $(BINDIR) $(LIBDIR)/pkgconfig $(INCDIR) $(SHARE)/man/man1 $(BASHDIR) $(ZSHDIR)
	install -m 755 $(BUILD)/gomokunet $(BINDIR)
	install -m 644 include/gomokunet/*.h $(INCDIR)
	install -m 644 $(BUILD)/libgomokunet.a $(LIBDIR)
	install -m 755 $(BUILD)/libgomokunet.so $(LIBDIR)/libgomokunet.so.$(VERSION)
	ln -sf libgomokunet.so.$(VERSION) $(LIBDIR)/libgomokunet.so.0
	ln -sf libgomokunet.so.0 $(LIBDIR)/libgomokunet.so
	install -m 644 $(BUILD)/share/gomokunet.1 $(SHARE)/man/man1
	install -m 644 $(BUILD)/share/gomokunet.bash $(BASHDIR)/gomokunet
	install -m 644 $(BUILD)/share/gomokunet.zsh $(ZSHDIR)/_gomokunet
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	    'Name: gomokunet' 'Description: GomokuNet, the bit-exact CPU reference' \
	    'Version: $(VERSION)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lgomokunet' \
	    'Libs.private: $(LIBS) $(OMP)' > $(LIBDIR)/pkgconfig/gomokunet.pc

uninstall:  ## remove what install put there
	rm -f $(BINDIR)/gomokunet $(LIBDIR)/libgomokunet.a $(LIBDIR)/libgomokunet.so* \
	    $(LIBDIR)/pkgconfig/gomokunet.pc
	rm -f $(SHARE)/man/man1/gomokunet.1 $(BASHDIR)/gomokunet $(ZSHDIR)/_gomokunet
	rm -rf $(INCDIR)

clean:  ## remove the build folder
	rm -rf $(BUILD)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(BUILD)/obj $(BUILD)/tests -name '*.d' 2>/dev/null)
