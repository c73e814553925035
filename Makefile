# The compiled eBPF objects are committed, so that Go is all that skep needs.
# `make bpf` rebuilds them: see examples/README.md for the packages it takes.

CLANG ?= clang-19
LLVM_STRIP ?= llvm-strip-19

BPF_ARCH := $(shell uname -m)
# The prefix map keeps the path of this checkout out of BTF; -g is what makes
# BTF, and the strip takes DWARF away again.
BPF_CFLAGS := -O2 -g -target bpf -Wall -Wextra -Wno-unused-parameter -Werror \
	-ffile-prefix-map=$(CURDIR)=. -Iexamples/include \
	-idirafter /usr/include/$(BPF_ARCH)-linux-gnu

BPF_SOURCES := $(wildcard examples/*/*.c testdata/elf/*.c internal/loader/testdata/*.c)
BPF_OBJECTS := $(BPF_SOURCES:.c=.o)

# The instruction set: v3, unless a line below says otherwise.
BPF_CPU = v3
examples/loadbalancer/loadbalancer.o testdata/elf/isa_v4.o: BPF_CPU = v4

.PHONY: bpf
bpf: $(BPF_OBJECTS)

# Always rebuilt: time stamps say nothing in a fresh clone.
.PHONY: FORCE
%.o: %.c FORCE
	$(CLANG) $(BPF_CFLAGS) -mcpu=$(BPF_CPU) -c $< -o $@
	$(LLVM_STRIP) -g $@
