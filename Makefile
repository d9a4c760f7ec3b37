# GomokuNet.  `make help` lists what there is to do.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
OPENMP  ?= 1

# --- Flags ---------------------------------------------------------------------------------------
# The numeric flags come after the user's CFLAGS, so that no CFLAGS can change a bit.
is_clang := $(shell $(CC) --version 2>/dev/null | grep -c clang)
NUMERIC  := -std=c11 -fno-fast-math -ffp-contract=off -fno-math-errno -fno-trapping-math
ifeq ($(is_clang),0)
NUMERIC  += -fexcess-precision=fast
endif
WARN     := -Wall -Wextra -Wconversion -Wshadow
ifneq ($(OPENMP),0)
OMP      := -fopenmp
else
WARN     += -Wno-unknown-pragmas
endif
OPT      ?= -O2
CPP_ALL  := -Iinclude -Isrc -D_POSIX_C_SOURCE=200809L -DGN_VERSION='"$(VERSION)"' $(CPPFLAGS)
COMPILE   = $(CC) $(CPP_ALL) $(OPT) -g $(CFLAGS) $(WARN) $(NUMERIC) $(OMP) -fPIC -MMD -MP
LIBS     := -lz

# --- Sources -------------------------------------------------------------------------------------
CORE_DIRS := base tensor ops kernels autograd checkpoint net
# Compiled by inclusion: an op in plain.c, a fast twin in fast.c.
PLAIN_OPS := $(filter-out src/ops/plain.c src/ops/table.c,$(wildcard src/ops/*.c))
FAST_OPS  := $(filter-out src/kernels/fast.c src/kernels/select.c,$(wildcard src/kernels/*.c))
TABLES    := src/ops/plain.c src/kernels/fast.c
sources    = $(filter-out $(PLAIN_OPS) $(FAST_OPS) $(TABLES),$(wildcard src/$(1)/*.c))
object     = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

TABLE_OBJ := $(BUILD)/obj/ops/plain_float.o $(BUILD)/obj/ops/plain_double.o
machine   := $(shell $(CC) -dumpmachine)
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

# --- Library and program ---------------------------------------------------------------------------
.PHONY: all
all: $(BUILD)/gomokunet $(BUILD)/libgomokunet.so  ## build the program and both libraries

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

$(BUILD)/obj/ops/plain_float.o: src/ops/plain.c
	@mkdir -p $(@D)
	$(COMPILE) -O3 -c $< -o $@

$(BUILD)/obj/ops/plain_double.o: src/ops/plain.c
	@mkdir -p $(@D)
	$(COMPILE) -O3 -DGN_DOUBLE -c $< -o $@

$(BUILD)/obj/kernels/fast_%.o: src/kernels/fast.c
	@mkdir -p $(@D)
	$(COMPILE) -O3 $(FLAGS_$*) -DGN_FAST -DGN_TABLE=gn_table_$* -c $< -o $@

$(BUILD)/obj/kernels/select.o: CPP_ALL += $(SELECT)

$(BUILD)/libgomokunet.a: $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libgomokunet.so: $(LIB_OBJ)
	$(CC) -shared -Wl,-soname,libgomokunet.so.0 $(OMP) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/gomokunet: $(CLI_OBJ) $(BUILD)/libgomokunet.a
	$(CC) $(OMP) $(LDFLAGS) -o $@ $^ $(LIBS)

# The numeric core alone, linked with nothing but OpenMP.
$(BUILD)/digest: tests/digest.c $(CORE_OBJ) $(BUILD)/obj/io/sha256.o $(BUILD)/obj/train/optimiser.o
	$(COMPILE) $(LDFLAGS) -o $@ $^

# --- Tests -----------------------------------------------------------------------------------------
TEST_SRC := $(wildcard tests/test_*.c)
TEST_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
SUPPORT  := $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/support/*.c))
mpfr     := $(shell pkg-config --exists mpfr 2>/dev/null && echo -DHAVE_MPFR)
MPFR_LIB := $(if $(mpfr),-lmpfr -lgmp)

$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(COMPILE) -Itests $(mpfr) -c $< -o $@

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(SUPPORT) $(BUILD)/libgomokunet.a
	$(CC) $(OMP) $(LDFLAGS) -o $@ $^ $(LIBS) -lcriterion $(MPFR_LIB)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
