package skep

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// VerifierError says why a program was rejected.
type VerifierError struct {
	Program string
	// Insn is the instruction that was being checked, -1 where the fault is not
	// at one.
	Insn int
	// Reason is the class of rule that was broken ("bounds", "type", …).
	Reason string
	// Message is the verifier's last word.
	Message string
	// Log is the whole log at the level that was asked for, level 1 by default.
	Log string

	cause error
}

// Error summarises the rejection in one line.
func (e *VerifierError) Error() string {
	name, _ := errno.Of(e.cause)
	where := ""
	if e.Insn >= 0 {
		where = fmt.Sprintf(" at instruction %d", e.Insn)
	}
	what := e.Message
	if what == "" {
		what = e.cause.Error()
	}
	first, _, _ := strings.Cut(what, "\n")
	return fmt.Sprintf("program %s rejected%s: %s (%s)", e.Program, where, first, name.Name())
}

// Format prints the summary, with %+v the whole log too.
func (e *VerifierError) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, e.Error())
	if verb == 'v' && f.Flag('+') {
		fmt.Fprintf(f, "\n%s", e.Log)
	}
}

// Unwrap gives the system call's error, which wraps the errno.
func (e *VerifierError) Unwrap() error { return e.cause }

// rejected turns the loader's error into a VerifierError where the verifier had
// the last word.
func rejected(err error) error {
	var r *loader.Rejected
	if !errors.As(err, &r) {
		return err
	}
	out := &VerifierError{Program: r.Program, Insn: -1, Log: r.Log, cause: r.Err}
	var v *verifier.Error
	if errors.As(r.Err, &v) {
		out.Insn, out.Reason, out.Message = v.Insn, v.Reason.String(), v.Message
		return out
	}
	return fmt.Errorf("program %s: %w", r.Program, r.Err)
}

// Violation is what the checking interpreter found: a program that was verified
// did what the verifier had excluded. It is a bug in skep.
type Violation = exec.Violation
