// Package interp runs programs without machine code, in two forms.
//
// The fast form ([New]) decodes a program once into dense operations with
// resolved jump targets and bound helpers, and runs them in one loop. It trusts
// the verifier: a program that was not verified can crash the process.
//
// The checking form ([NewChecking]) walks the instructions as they are and
// trusts nothing: each access is held against the live allocations, the stack
// and the packet, and each instruction's registers and stack against what the
// verifier believed of them. It shares no code with the fast form, so that the
// two check each other.
//
// Lock order: none; an image is immutable, and what a run changes belongs to
// the CPU that its caller holds.
package interp

import (
	"fmt"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
)

// New returns the fast interpreter.
func New() exec.Engine { return fastEngine{} }

// NewChecking returns the checking interpreter. Its images' Run panics with an
// [*exec.Violation] when the program does what the verifier should have
// excluded; the caller of Run recovers it. The CPU can be released and used
// again afterwards.
func NewChecking() exec.Engine { return checkEngine{} }

// refuse is the error for an instruction that an engine has no operation for.
func refuse(v *prog.Verified, at int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return errno.Errorf(errno.ENOTSUPP, "interpreter: insn %d (%s): %s", at, v.Insns[at], text)
}
