package interp

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/prog"
)

// access stops the run unless the n bytes at addr may be touched.
func (w *walk) access(addr uint64, n int, fact *prog.Fact) {
	size := uint64(n)
	if stack, ok := w.cpu.Machine.Region.Find(w.cpu.StackBase); ok && addr-stack.Addr < stack.Size {
		if !w.inFrames(addr, size) {
			w.violation("%d bytes at %s are in no live frame", n, w.place(addr))
		}
		return
	}
	block, ok := w.cpu.Machine.Region.Find(addr)
	if !ok || size > block.Addr+block.Size-addr {
		w.violation("%d bytes at %#x are in no live allocation", n, addr)
	}
	if fact.Mem != prog.MemPlain {
		return // code of a patch: the context, a map's header
	}
	if meta, _, end := w.Packet(); meta-block.Addr < block.Size && (addr < meta || addr+size > end) {
		w.violation("%d bytes at packet offset %d of %d", n, int64(addr-meta), end-meta)
	}
}

// inFrames says whether bytes lie in one live frame: of this run, or of those
// whose helpers started it.
func (w *walk) inFrames(addr, size uint64) bool {
	for ; w != nil; w = w.outer {
		for _, f := range w.frames {
			if addr >= f.fp-f.size && addr+size <= f.fp {
				return true
			}
		}
	}
	return false
}

// place says where on the stack an address is.
func (w *walk) place(addr uint64) string {
	return "fp" + signedText(int64(addr-w.reg[10]))
}

func (w *walk) stepLoad(i insn.Instruction, fact *prog.Fact) {
	n := i.SizeBytes()
	addr := w.reg[i.Src()] + uint64(int64(i.Off()))
	probed := i.Mode() == insn.ModeProbeMem || i.Mode() == insn.ModeProbeMemSX
	var value uint64
	if !probed || w.cpu.Machine.Region.Contains(addr, uint64(n)) {
		if !probed {
			w.access(addr, n, fact)
		}
		value = loadSize(addr, n)
	}
	if i.Mode() == insn.ModeMemSX || i.Mode() == insn.ModeProbeMemSX {
		value = signExtend(value, n)
	}
	w.set(i.Dst(), value)
	w.at++
}

func (w *walk) stepStore(i insn.Instruction, fact *prog.Fact) {
	if i.Op() == insn.OpcodeNospec {
		w.at++
		return
	}
	n := i.SizeBytes()
	base := i.Dst()
	if i.IsLoadAcquire() {
		base = i.Src()
	}
	addr := w.reg[base] + uint64(int64(i.Off()))
	w.access(addr, n, fact)
	switch {
	case i.IsAtomic():
		if addr%uint64(n) != 0 {
			w.violation("an atomic access to %d bytes at %#x is not aligned", n, addr)
		}
		w.atomic(i, addr, n)
	case i.Class() == insn.ClassST:
		storeSize(addr, uint64(int64(i.Imm())), n)
	default:
		storeSize(addr, w.reg[i.Src()], n)
	}
	w.at++
}

// atomic performs an atomic operation as a compare and exchange of what its
// definition computes. Ordered loads and stores are shared with the fast form:
// Go has one way to do them.
func (w *walk) atomic(i insn.Instruction, addr uint64, n int) {
	switch i.Imm() {
	case insn.AtomicLoadAcq:
		w.set(i.Dst(), loadAcquire(addr, n))
		return
	case insn.AtomicStoreRel:
		storeRelease(addr, w.reg[i.Src()], n)
		return
	}
	var old uint64
	for {
		old = loadSize(addr, n)
		if compareAndSwap(addr, old, w.atomicResult(i, old, n), n) {
			break
		}
	}
	switch {
	case i.Imm() == insn.AtomicCmpxchg:
		w.set(insn.R0, old)
	case i.Imm()&insn.AtomicFetch != 0:
		w.set(i.Src(), old)
	}
}

// atomicResult is what an atomic operation leaves in memory.
func (w *walk) atomicResult(i insn.Instruction, old uint64, n int) uint64 {
	operand := w.reg[i.Src()]
	switch i.Imm() &^ insn.AtomicFetch {
	case rmwAdd:
		return old + operand
	case rmwOr:
		return old | operand
	case rmwAnd:
		return old & operand
	case rmwXor:
		return old ^ operand
	case rmwCmpxchg:
		if old != w.reg[0]&(1<<(8*n)-1) {
			return old
		}
	}
	return operand
}

func compareAndSwap(addr, old, value uint64, n int) bool {
	if n == 8 {
		return mem.Atomic64(addr).CompareAndSwap(old, value)
	}
	return mem.Atomic32(addr).CompareAndSwap(uint32(old), uint32(value))
}

var _ prog.Machine = (*walk)(nil)

var _ exec.Image = (*checkImage)(nil)
