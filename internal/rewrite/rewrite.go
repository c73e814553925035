// Package rewrite turns what the verifier accepted into what an engine runs:
// an ordered table of passes, each of which replaces instructions by patches.
//
// The passes and their order are those of Linux's bpf_check after the walk, so
// that a dump of the translated program reads as in Linux. A pass only says
// which instruction becomes which patch (or nothing); one mechanism, the
// splice, then moves the code once and repairs jumps, calls, function pointers,
// line info, function info, subprogram bounds and the verifier's facts.
package rewrite

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/prog"
)

// Options say what the engine wants and who watches.
type Options struct {
	// ZeroExtend makes the zero extension of 32-bit results explicit where they
	// are read as 64 bits, for engines that do not do it themselves
	// (bpf_jit_needs_zext).
	ZeroExtend bool
	// Dump is called with the program after each pass, if not nil. It must not
	// keep the slice.
	Dump func(pass string, insns []insn.Instruction)
}

// pass is one step. A pass that ran after may see what the earlier one left;
// the table's order is checked against it by a test.
type pass struct {
	name  string
	after []string
	run   func(*program) error
}

// passes in the order in which they run: bpf_check of Linux 6.18, from
// opt_hard_wire_dead_code_branches to opt_subreg_zext_lo32_rnd_hi32.
var passes = []pass{
	{"sanitize-dead-code", nil, sanitizeDeadCode},
	{"hard-wire-branches", nil, hardWireBranches},
	{"remove-dead-code", []string{"hard-wire-branches"}, removeDeadCode},
	{"remove-nops", []string{"hard-wire-branches", "remove-dead-code"}, removeNops},
	{"prologue", []string{"remove-nops"}, prologue},
	{"context-access", []string{"prologue"}, contextAccess},
	{"packet-load", []string{"remove-dead-code"}, packetLoad},
	{"division", []string{"context-access"}, division},
	{"tail-call", []string{"context-access"}, tailCall},
	{"inline-helpers", []string{"context-access"}, inlineHelpers},
	{"map-lookup", []string{"context-access"}, mapLookup},
	{"may-goto", []string{"remove-nops"}, mayGoto},
	{"zero-extend", []string{"context-access", "division", "map-lookup"}, zeroExtend},
	{"resolve-addresses", []string{"map-lookup", "zero-extend"}, resolveAddresses},
}

// Run applies all passes and returns the program that an engine can compile.
// v is not changed. An error wraps the errno with which Linux refuses the
// program at this stage.
func Run(v *prog.Verified, opt Options) (*prog.Verified, error) {
	p := newProgram(v, opt)
	for n := range passes {
		if err := passes[n].run(p); err != nil {
			return nil, fmt.Errorf("rewriting (%s): %w", passes[n].name, err)
		}
		if err := p.splice(); err != nil {
			return nil, fmt.Errorf("rewriting (%s): %w", passes[n].name, err)
		}
		if opt.Dump != nil {
			opt.Dump(passes[n].name, p.Insns)
		}
	}
	return v.Rewritten(p.VerifiedParts), nil
}

// Passes are the names of the passes in their order.
func Passes() []string {
	var names []string
	for _, p := range passes {
		names = append(names, p.name)
	}
	return names
}
