package progtype_test

import (
	"fmt"
	"testing"

	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Every helper for every program type and attach type, under both kinds of
// license: skep has it and gates it exactly where the live kernel does.
func TestHelpersLikeKernel(t *testing.T) {
	eachType(t, func(t *testing.T, q question) {
		var s score
		for _, q.license = range []string{"GPL", "Proprietary"} {
			s.askHelpers(t, q)
		}
		s.report(t)
	})
}

func (s *score) askHelpers(t *testing.T, q question) {
	for id := -1; id <= proto.Max+1; id++ {
		text := fmt.Sprintf("r1 = 0\ncall %d\nr0 = 1\nexit", id)
		q.code = program(text)
		s.ask(t, q, uapi.FuncID(id).String()+" "+q.license)
	}
}
