package verifier

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/prog"
)

// verifier is one verification under way.
type verifier struct {
	raw *prog.Raw
	env *Env
	log *Log

	insnIdx int
	stats   prog.Stats
}

func newVerifier(raw *prog.Raw, env *Env) *verifier {
	return &verifier{raw: raw, env: env, log: env.Log, insnIdx: -1}
}

func (v *verifier) run() error {
	return v.reject(errno.ENOTSUPP, ReasonUnknown, "the walk over the program")
}

func (v *verifier) seal() *prog.Verified {
	return prog.Seal(v.raw, prog.VerifiedParts{Type: v.env.Type, Stats: v.stats})
}
