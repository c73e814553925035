package verifier_test

import (
	"os"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
)

// TestAsk prints both logs of the cases in the file named by SKEP_ASK: a tool
// for whoever wants to know what Linux says.
func TestAsk(t *testing.T) {
	file := os.Getenv("SKEP_ASK")
	if file == "" {
		t.Skip("SKEP_ASK names no file")
	}
	oracle.Require(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range splitCases(t, file, string(b)) {
		_, code, log, err := c.verify(2)
		e, live := c.ask(t, 2)
		t.Logf("%s\n--- skep: %s %v\n%s\n--- linux: %s\n%s\n--- %s", c.name, code.Name(), err, log, e.Name(), live,
			firstDifference(normal(log.String()), normal(live)))
	}
}
