// Package exec is what engines and the rest of skep agree on: how a verified
// program becomes an image, on what it runs, and how it calls out.
package exec

import (
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// HelperFunc is the Go body of a helper. Arguments and result are registers
// R1–R5 and R0. It must not keep c after it returns.
type HelperFunc func(c *CPU, r1, r2, r3, r4, r5 uint64) uint64

// Env is what an engine links an image against.
type Env struct {
	// Helper is the body of a helper, nil when there is none: the program then
	// does not compile. Where the map argument is known (fact.Map), the
	// implementation may bind to the map.
	Helper func(id uapi.FuncID, fact *prog.Fact) HelperFunc
}

// Engine turns verified programs into images.
type Engine interface {
	Name() string // "interp", "check", "jit"
	Compile(v *prog.Verified, env *Env) (Image, error)
}

// Image is a program ready to run.
type Image interface {
	// Run executes the program with R1 = ctx on c, which the caller holds, and
	// returns R0.
	Run(c *CPU, ctx uint64) uint64
	// Code is the machine code, nil for an interpreter.
	Code() []byte
	// Close frees the image after the last run has ended.
	Close()
}

// Verdict stands where the image would be of a program that was verified only.
// There is nothing to run: who runs programs looks for it first.
type Verdict struct{}

// Run does nothing.
func (Verdict) Run(*CPU, uint64) uint64 { return 0 }

// Code is nil.
func (Verdict) Code() []byte { return nil }

// Close does nothing.
func (Verdict) Close() {}

// ProgArray is a map of programs as tail calls see it: the Go side of the
// object whose address a program has in R2 ([Machine.ObjectAt]).
type ProgArray interface {
	// Image is the program at an index, nil where there is none or the index is
	// out of range. It is called by concurrent runs.
	Image(index uint32) Image
}

// PacketRange is implemented by the run state ([CPU.Run]) of program types that
// work on a packet. The checking interpreter holds packet accesses against it.
type PacketRange interface {
	// Packet is where the packet's metadata and data start and where the data
	// end.
	Packet() (meta, data, end uint64)
}

// Violation is the panic value with which the checking interpreter stops: the
// program did what the verifier had excluded.
type Violation struct {
	Insn   int // index in the program as given
	Reason string
}

// Error says what happened where.
func (v *Violation) Error() string { return v.Reason }
