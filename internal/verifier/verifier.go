// Package verifier decides whether a program may run, as Linux 6.18's verifier
// (kernel/bpf/verifier.c) decides it: with the same verdict, the same errno and
// the same log.
//
// It follows every path through the program with an abstract machine state and
// checks each instruction against it. What it learns on the way, one
// [prog.Fact] an instruction, is what package rewrite works from.
package verifier

import (
	"context"
	"time"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/prog"
)

// Env is what surrounds one verification: the program's type, and the objects
// that the program may name.
type Env struct {
	// Type describes the program type: its context, helpers and return values.
	Type *desc.ProgType
	// ResolveMap gives the map behind a file descriptor. Its error wraps EBADF
	// for what is no open file and EINVAL for what is no map.
	ResolveMap func(fd int32) (*desc.Map, error)
	// FDArray reads the program's fd_array at an index; nil where the program
	// was given none. Its error wraps EFAULT.
	FDArray func(index int) (fd int32, err error)
	// FDArrayCount is the length of fd_array where it was given: then the program
	// holds everything in it.
	FDArrayCount uint32
	// ResolveBTF holds the BTF behind an element of such an array: its error wraps
	// EBADF, EINVAL, or E2BIG when there are too many.
	ResolveBTF func(fd int32) error
	// KernelBTF describes the kernel's own types; nil where there are none.
	KernelBTF *kbtf.BTF

	// Log receives the text; nil for none.
	Log *Log
	// Clock is CLOCK_MONOTONIC in nanoseconds, for the time that the statistics
	// show; nil takes the host's.
	Clock func() int64
	// Context ends the verification early when it is done (EINTR→EAGAIN as a
	// pending signal does); nil never does.
	Context context.Context
	// CPUs is the number of CPUs that programs may find themselves on; 0: not
	// known.
	CPUs int
	// Record keeps what was believed at each instruction (prog.Verified.States)
	// for the checking interpreter. All scalars then count as precise, so that
	// pruning never generalises: more states are walked than Linux would.
	Record bool
	// Tracer is told of every step; nil for none.
	Tracer Tracer
}

// Tracer watches a verification.
type Tracer interface {
	// Step is called before an instruction is checked, Prune where a path ends
	// because an equivalent state was seen before.
	Step(insn int)
	Prune(insn int)
}

// Verify checks the program and returns what it learned, ready for rewriting.
// The error is an *[Error].
func Verify(raw *prog.Raw, env *Env) (*prog.Verified, error) {
	v := newVerifier(raw, env)
	start := v.now()
	err := v.run()
	v.stats.VerificationNS = v.now() - start
	v.printStats()
	if err != nil {
		return nil, err
	}
	return v.seal(), nil
}

func (v *verifier) now() int64 {
	if v.env.Clock != nil {
		return v.env.Clock()
	}
	return time.Now().UnixNano()
}
