package interp

import (
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
)

// probe performs a load through a pointer that may be bad: outside of the
// kernel's region it gives zero, as an exception table entry does in Linux
// (BPF_PROBE_MEM).
func probe(c *exec.CPU, o code, addr uint64) uint64 {
	sizes := [...]uint64{4, 2, 1, 8}
	extend := o >= opProbeSXW
	family := o - opProbeW
	if extend {
		family = o - opProbeSXW
	}
	if !c.Machine.Region.Contains(addr, sizes[family]) {
		return 0
	}
	value := loadSize(addr, int(sizes[family]))
	if extend {
		return signExtend(value, int(sizes[family]))
	}
	return value
}

// loadSize loads n bytes, zero-extended.
func loadSize(addr uint64, n int) uint64 {
	switch n {
	case 1:
		return mem.Load8(addr)
	case 2:
		return mem.Load16(addr)
	case 4:
		return mem.Load32(addr)
	}
	return mem.Load64(addr)
}

// storeSize stores the low n bytes of value.
func storeSize(addr, value uint64, n int) {
	switch n {
	case 1:
		mem.Store8(addr, value)
	case 2:
		mem.Store16(addr, value)
	case 4:
		mem.Store32(addr, value)
	default:
		mem.Store64(addr, value)
	}
}

// signExtend extends a value of n bytes.
func signExtend(value uint64, n int) uint64 {
	shift := 64 - 8*n
	return uint64(int64(value<<shift) >> shift)
}
