package verifier_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/verifier"
)

func TestLogAttributes(t *testing.T) {
	for _, c := range []struct {
		level, size uint32
		ok          bool
	}{
		{0, 0, true}, {1, 100, true}, {2, 0, true}, {4, 1, true}, {15, 1, true},
		{0, 100, false}, {16, 100, false}, {1, 1 << 30, false}, {1, 1<<30 - 1, true},
	} {
		_, err := verifier.NewLog(c.level, c.size)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, errno.EINVAL) {
			t.Errorf("NewLog(%d, %d): %v", c.level, c.size, err)
		}
	}
}

func TestLogKeepsTheEnd(t *testing.T) {
	for _, c := range []struct {
		level uint32
		size  uint32
		want  string
	}{
		{1, 7, "789abc"}, {1, 100, "0123456789abc"}, {1, 14, "0123456789abc"}, {1, 13, "123456789abc"},
		{1 | verifier.LogFixed, 7, "012345"}, {1, 1, ""}, {1, 0, ""},
	} {
		l, err := verifier.NewLog(c.level, c.size)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(l, "01234")
		fmt.Fprint(l, "56789abc")
		if l.String() != c.want || l.TrueSize() != 14 {
			t.Errorf("level %d size %d: %q, true size %d", c.level, c.size, l, l.TrueSize())
		}
		if short := c.size > 0 && c.size < 14; (l.Err() != nil) != short {
			t.Errorf("level %d size %d: %v", c.level, c.size, l.Err())
		}
	}
}

// TestOracleLogBuffers compares what fits in buffers of many sizes.
func TestOracleLogBuffers(t *testing.T) {
	oracle.Require(t)
	n := 0
	for _, c := range loadCorpus(t) {
		if len(c.maps) > 0 || c.unpriv {
			continue // addresses of maps have another length
		}
		if n++; n%19 != 0 {
			continue
		}
		for level := uint32(1); level < 16; level++ {
			for _, size := range []uint32{1, 2, 64, 200, 777, 4096, 1 << 20} {
				name := fmt.Sprintf("%s/%s level %d size %d", c.file, c.name, level, size)
				log, err := verifier.NewLog(level, size)
				if err != nil {
					t.Fatal(err)
				}
				_, verr := verifier.Verify(&prog.Raw{
					Info:  desc.ProgInfo{Type: c.typ, Flags: c.flags, GPL: true, Caps: allCaps},
					Insns: c.insns,
				}, &verifier.Env{Type: progtype.Lookup(c.typ), Log: log, CPUs: 2})
				code := errno.Errno(0)
				errors.As(errors.Join(verr), &code)
				if log.Err() != nil {
					code = errno.ENOSPC
				}
				p := oracle.LoadProg(oracle.Prog{Type: c.typ, Insns: c.insns, Flags: c.flags, LogLevel: level, LogSize: size})
				p.Close()
				if code != p.Errno {
					t.Errorf("%s: errno %s, Linux %s", name, code.Name(), p.Errno.Name())
				}
				if strings.Contains(p.Log, "verification time") || size < 100 && level&verifier.LogStats != 0 {
					continue // the time differs in length
				}
				if log.String() != p.Log {
					t.Errorf("%s: %s", name, firstDifference(log.String(), p.Log))
				}
				if level&verifier.LogStats == 0 && log.TrueSize() != p.LogTrueSize {
					t.Errorf("%s: true size %d, Linux %d", name, log.TrueSize(), p.LogTrueSize)
				}
			}
		}
	}
}
