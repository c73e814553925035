package verifier

import (
	"github.com/skep-ebpf/skep/internal/errno"
)

// roundDepth is what a function's stack takes in a chain of calls
// (round_up_stack_depth with a JIT).
func roundDepth(n int) int { return (n + 15) &^ 15 }

// checkStackDepth bounds the stack of every chain of calls
// (check_max_stack_depth).
func (v *verifier) checkStackDepth() error {
	v.insnIdx = -1
	type call struct{ sub, at int }
	var chain []call
	// A function is looked at once for each depth that it is entered at: what
	// follows is the same.
	type entry struct {
		sub, depth, frames int
		callback           bool
	}
	seen := make(map[entry]bool)
	sub, at, depth, used := 0, 0, 0, 0
	reachesTailCall := false
	enter := func(n int) error {
		s := &v.subs[n]
		if n != 0 && s.hasTailCall && depth >= 256 {
			return v.fail(errno.EACCES, ReasonStack,
				"tail_calls are not allowed when call stack of previous frames is %d bytes. Too large\n", depth)
		}
		if n != 0 && s.hasLoadAbs {
			inCallback := s.isCallback
			for _, c := range chain {
				inCallback = inCallback || v.subs[c.sub].isCallback
			}
			if inCallback {
				return v.fail(errno.EINVAL, ReasonFlow, "cannot use BPF_LD_[ABS|IND] within callback\n")
			}
		}
		depth += roundDepth(s.shownDepth)
		used += roundDepth(s.stackDepth)
		v.maxDepth = max(v.maxDepth, used)
		if depth > maxStack {
			return v.fail(errno.EACCES, ReasonStack, "combined stack size of %d calls is %d. Too large\n", len(chain)+1, depth)
		}
		sub, at = n, s.start
		return nil
	}
	if err := enter(0); err != nil {
		return err
	}
	for {
		called := false
		for ; at < v.subs[sub+1].start; at++ {
			in := v.insns[at]
			if !isPseudoCall(in) && !isPseudoFunc(in) {
				continue
			}
			callee := v.subprogAt(at + int(in.Imm()) + 1)
			if callee < 0 {
				return v.internal("callee not found")
			}
			key := entry{callee, depth, len(chain), false}
			for _, c := range chain {
				key.callback = key.callback || v.subs[c.sub].isCallback
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			chain = append(chain, call{sub, at + 1})
			reachesTailCall = reachesTailCall || v.subs[callee].hasTailCall
			if len(chain) >= maxFrames {
				return v.fail(errno.E2BIG, ReasonStack, "the call stack of %d frames is too deep !\n", len(chain))
			}
			if err := enter(callee); err != nil {
				return err
			}
			called = true
			break
		}
		if called {
			continue
		}
		// The function is done: everything on the way here may be tail called from.
		if reachesTailCall {
			for _, c := range chain {
				v.subs[c.sub].tailCallReachable = true
			}
		}
		if len(chain) == 0 {
			return nil
		}
		depth -= roundDepth(v.subs[sub].shownDepth)
		used -= roundDepth(v.subs[sub].stackDepth)
		last := chain[len(chain)-1]
		chain = chain[:len(chain)-1]
		sub, at = last.sub, last.at
	}
}
