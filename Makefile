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

# --- Flags ---------------------------------------------------------------------------------------
# The numeric flags come after the user's CFLAGS, so that no CFLAGS can change a bit; what they
# cannot undo, src/base/guard.c refuses.
is_clang := $(shell $(CC) --version 2>/dev/null | grep -c clang)
NUMERIC  := -std=c11 -fno-fast-math -ffp-contract=off -fno-math-errno -fno-trapping-math
ifeq ($(is_clang),0)
NUMERIC  += -fexcess-precision=fast
endif
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
ISA       := avx2 avx512
TABLE_OBJ += $(patsubst %,$(BUILD)/obj/kernels/fast_%.o,$(ISA))
SELECT    := -DGN_HAVE_X86_TABLES
endif
FLAGS_avx2   := -mavx2 -mfma
FLAGS_avx512 := -mavx512f -mavx512dq -mavx512vl -mavx512bw -mavx2 -mfma

CORE_OBJ := $(call object,$(foreach d,$(CORE_DIRS),$(call sources,$(d)))) $(TABLE_OBJ)
LIB_OBJ  := $(CORE_OBJ) $(call object,$(foreach d,io data train golden,$(call sources,$(d))))
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
DIGEST_OBJ := $(filter-out %/net/model.o,$(CORE_OBJ)) \
              $(call object,src/io/sha256.c src/train/optimiser.c src/train/running.c)

$(BUILD)/digest: $(BUILD)/tests/digest.o $(DIGEST_OBJ)
	@echo "  LD    $@"
	$(Q)$(LINK) -o $@ $^

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
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcriterion $(MPFR_LIB)

.PHONY: test test-programs digest
test: deps  ## build and run all tests
	@$(MAKE) $(JOBS) --no-print-directory all test-programs $(BUILD)/digest
	@CC="$(CC)" OPENMP="$(OPENMP)" BUILD="$(BUILD)" tests/build/run_tests.sh $(TEST_BIN)

test-programs: $(TEST_BIN)

digest: $(BUILD)/digest  ## SHA-256 of a short training run: the same wherever it runs
	@OMP_WAIT_POLICY=passive $(BUILD)/digest

# --- Checks --------------------------------------------------------------------------------------
.PHONY: deps deps-check check layers lines bench format
deps:  ## check compiler, zlib and Criterion; install what is missing (NO_INSTALL=1: only check)
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh build

deps-check: deps  ## the same for what `make check` needs: PyTorch, MPFR, valgrind, clang
	@CC="$(CC)" OPENMP="$(OPENMP)" NO_INSTALL="$(NO_INSTALL)" tests/build/deps.sh check

check: deps-check  ## everything that needs more: sanitizers, valgrind, clang, PyTorch's oracle
	@BUILD="$(BUILD)" tests/build/check.sh

layers:  ## a folder includes only folders above it
	@tests/build/layers.sh

lines:  ## size by folder; the numeric core stays under 5,000 lines of code
	@tests/build/lines.sh

bench: $(BUILD)/gomokunet $(BUILD)/libgomokunet.a  ## speed of a training step, beside PyTorch's
	@if [ -x bench/run ]; then BUILD="$(BUILD)" CC="$(CC)" bench/run; \
	 else echo "bench/run is not there"; exit 1; fi

format:  ## clang-format all C files
	clang-format -i include/gomokunet/*.h src/*/*.[ch] tests/*.c tests/support/*.[ch]

# --- Installing ----------------------------------------------------------------------------------
.PHONY: install uninstall clean help
BINDIR := $(DESTDIR)$(PREFIX)/bin
LIBDIR := $(DESTDIR)$(PREFIX)/lib
INCDIR := $(DESTDIR)$(PREFIX)/include/gomokunet

install: all  ## install into PREFIX=/usr/local, below DESTDIR=
	install -d $(BINDIR) $(LIBDIR)/pkgconfig $(INCDIR)
	install -m 755 $(BUILD)/gomokunet $(BINDIR)
	install -m 644 include/gomokunet/*.h $(INCDIR)
	install -m 644 $(BUILD)/libgomokunet.a $(LIBDIR)
	install -m 755 $(BUILD)/libgomokunet.so $(LIBDIR)/libgomokunet.so.$(VERSION)
	ln -sf libgomokunet.so.$(VERSION) $(LIBDIR)/libgomokunet.so.0
	ln -sf libgomokunet.so.0 $(LIBDIR)/libgomokunet.so
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	    'Name: gomokunet' 'Description: GomokuNet, the bit-exact CPU reference' \
	    'Version: $(VERSION)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lgomokunet' \
	    'Libs.private: $(LIBS) $(OMP)' > $(LIBDIR)/pkgconfig/gomokunet.pc

uninstall:  ## remove what install put there
	rm -f $(BINDIR)/gomokunet $(LIBDIR)/libgomokunet.a $(LIBDIR)/libgomokunet.so* \
	    $(LIBDIR)/pkgconfig/gomokunet.pc
	rm -rf $(INCDIR)

clean:  ## remove the build folder
	rm -rf $(BUILD)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(BUILD)/obj $(BUILD)/tests -name '*.d' 2>/dev/null)
