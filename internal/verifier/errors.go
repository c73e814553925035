package verifier

import (
	"fmt"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Reason is the class of rule that a rejected program broke.
type Reason uint8

// Classes of rejection.
const (
	ReasonOther      Reason = iota
	ReasonEncoding          // an instruction is not valid
	ReasonFlow              // jumps, unreachable code, loops, falling off the end
	ReasonUninit            // a register or stack slot is read before it is written
	ReasonType              // a register holds the wrong type
	ReasonBounds            // a memory access is outside of its object
	ReasonAlign             // a memory access is misaligned
	ReasonContext           // an access to the context that the program type forbids
	ReasonArithmetic        // arithmetic that is not allowed on a pointer
	ReasonHelper            // a helper that may not be called, or wrong arguments
	ReasonReference         // a reference is leaked or released twice
	ReasonLock              // rules of spin locks
	ReasonReturn            // the return value is out of the type's range
	ReasonStack             // the stack is too deep
	ReasonComplexity        // limits of the walk
	ReasonPrivilege         // the loader lacks a capability
	ReasonMap               // a map that cannot be used so
	ReasonBTF               // the program's type information
	ReasonUnknown           // not understood, and therefore refused
)

var reasonNames = [...]string{
	"other", "encoding", "control flow", "uninitialised", "type", "bounds", "alignment",
	"context", "pointer arithmetic", "helper", "reference", "lock", "return value", "stack",
	"complexity", "privilege", "map", "btf", "unsupported",
}

// String names the class.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Error is why a program was rejected.
type Error struct {
	// Insn is the instruction that was being checked, -1 where the fault is not
	// at one.
	Insn   int
	Reason Reason
	Errno  errno.Errno
	// Message is what the log says of it, without a newline at the end. It may
	// have several lines, and be empty where Linux says nothing.
	Message string
	// Log is the log as far as it was kept.
	Log *Log
}

// Error summarises the rejection in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("program rejected")
	if e.Insn >= 0 {
		fmt.Fprintf(&b, " at instruction %d", e.Insn)
	}
	if e.Message != "" {
		first, _, _ := strings.Cut(e.Message, "\n")
		b.WriteString(": " + first)
	}
	fmt.Fprintf(&b, ": %s", e.Errno.Error())
	return b.String()
}

// Unwrap gives the errno, for errors.Is.
func (e *Error) Unwrap() error { return e.Errno }

// fail makes the error that ends the verification, and writes its text to the
// log.
func (v *verifier) fail(code errno.Errno, reason Reason, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	v.log.text(text)
	return v.reject(code, reason, text)
}

// reject makes the error without writing to the log.
func (v *verifier) reject(code errno.Errno, reason Reason, text string) error {
	return &Error{Insn: v.insnIdx, Reason: reason, Errno: code, Message: strings.TrimSuffix(text, "\n"), Log: v.log}
}

// unsupported refuses what this verifier does not understand: nothing that is
// not understood may be accepted.
func (v *verifier) unsupported(what string) error {
	return v.fail(errno.ENOTSUPP, ReasonUnknown, "%s is not supported\n", what)
}

// also adds a line to an error.
func (v *verifier) also(err error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	v.log.text(text)
	if e, ok := err.(*Error); ok {
		e.Message = strings.TrimPrefix(e.Message+"\n"+strings.TrimSuffix(text, "\n"), "\n")
	}
	return err
}

// printf writes a message to the log.
func (v *verifier) printf(format string, args ...any) {
	if v.log != nil && v.log.level != 0 {
		v.log.text(fmt.Sprintf(format, args...))
	}
}
