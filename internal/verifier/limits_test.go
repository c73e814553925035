package verifier_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// limitCases are programs at Linux's limits, and one beyond.
func limitCases() map[string]string {
	jumps := func(n int) string {
		var b strings.Builder
		b.WriteString("r0 = 0\nr2 = *(u32 *)(r1 +0)\n")
		for i := range n {
			fmt.Fprintf(&b, "if r2 == %d goto +%d\n", i, n-i-1)
		}
		b.WriteString("exit\n")
		return b.String()
	}
	calls := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "call pc+%d\n", n-i+2*i)
		}
		b.WriteString("exit\n")
		for range n {
			b.WriteString("r0 = 0\nexit\n")
		}
		return b.String()
	}
	return map[string]string{
		"8192 jumps":               jumps(8192),
		"8193 jumps":               jumps(8193),
		"9000 jumps":               jumps(9000),
		"8193 may_gotos":           "r0 = 0\n" + strings.Repeat("may_goto +0\n", 8193) + "exit\n",
		"255 functions":            calls(254),
		"256 functions":            calls(255),
		"257 functions":            calls(256),
		"a loop of a million":      "r2 = *(u32 *)(r1 +0)\nr0 = 0\nr0 += 1\nr2 -= 1\nif r2 != 0 goto -3\nexit\n",
		"a loop below the million": "r0 = 0\nr0 += 1\nif r0 < 499900 goto -2\nexit\n",
		"a loop above the million": "r0 = 0\nr0 += 1\nif r0 < 500100 goto -2\nexit\n",
	}
}

func TestOracleLimits(t *testing.T) {
	oracle.Require(t)
	var a agreement
	for name, text := range limitCases() {
		t.Run(name, func(t *testing.T) {
			c := parseCase(t, "limits", name+"\n--\n"+text)
			c.compare(t, verifier.LogStats, &a)
		})
	}
	a.report(t)
}
