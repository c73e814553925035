package helpers

import (
	"testing"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
)

// Formatting neither panics nor accepts what checking refuses, and is bounded.
func FuzzFormat(f *testing.F) {
	region, err := mem.NewRegion(16 << 20)
	if err != nil {
		f.Fatal(err)
	}
	m, err := exec.NewMachine(region, 1)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"%d", "%-05lx|", "%pI4 %pi6", "%s%s", "%pks", "%8388608d", "%", "%%", "%p%", "\xff"} {
		f.Add([]byte(s), []byte("0123456789abcdef01234567"))
	}
	f.Fuzz(func(t *testing.T, text, args []byte) {
		args = args[:min(len(args), 8*maxPrintArgs)&^7]
		c := m.Acquire()
		defer m.Release(c)
		out, n, e := format(c, traceLine, text, args)
		if checked := checkFormat(text, len(args)/8); checked != 0 && e == 0 {
			t.Errorf("%q with %d arguments: formatted, but checking says %v", text, len(args)/8, checked)
		}
		if len(out) > outputLimit || len(out) > n {
			t.Errorf("%q: %d bytes of %d", text, len(out), n)
		}
	})
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"", " -0x1f", "18446744073709551616", "0x", "08"} {
		f.Add([]byte(s), uint64(0))
	}
	f.Fuzz(func(t *testing.T, text []byte, base uint64) {
		if _, _, n, e := parseNumber(text, base); e == 0 && (n <= 0 || n > len(text)) {
			t.Errorf("%q in base %d: took %d bytes", text, base, n)
		}
	})
}
