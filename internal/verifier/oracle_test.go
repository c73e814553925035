package verifier_test

import (
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// agreement counts how often skep and the live kernel say the same.
type agreement struct{ cases, verdict, errno, log, refused int }

func (a *agreement) report(t testing.TB) {
	t.Logf("agreement with the live kernel over %d programs: verdict %d, errno %d, whole log %d; %d refused as not understood",
		a.cases, a.verdict, a.errno, a.log, a.refused)
}

// ask loads the case in the live kernel.
func (c *testCase) ask(t testing.TB, level uint32) (errno.Errno, string) {
	return c.askWith(c.liveMaps(t), level)
}

func (c *testCase) liveMaps(t testing.TB) (maps []*oracle.Map) {
	for _, n := range c.maps {
		maps = append(maps, liveMap(t, n))
	}
	return maps
}

func (c *testCase) askWith(maps []*oracle.Map, level uint32) (errno.Errno, string) {
	p := oracle.LoadProg(oracle.Prog{
		Type: c.typ, Insns: c.insns, Maps: maps, License: c.license, Flags: c.flags,
		LogLevel: level, ExpectedAttachType: c.attach,
	})
	defer p.Close()
	return p.Errno, p.Log
}

// liveMap makes one of the test maps in the live kernel.
func liveMap(t testing.TB, name string) *oracle.Map {
	m := testMaps[name]
	spec := oracle.MapSpec{Type: m.typ, KeySize: m.key, ValueSize: m.value, MaxEntries: m.max, Flags: m.flags, Name: name}
	if m.inner != "" {
		spec.Inner = liveMap(t, m.inner)
	}
	lm := oracle.NewMap(t, spec)
	if m.data != nil {
		if e := lm.Update(make([]byte, 4), m.data, 0); e != 0 {
			t.Fatalf("filling %s: %v", name, e)
		}
	}
	if m.frozen {
		if e := lm.Freeze(); e != 0 {
			t.Fatalf("freezing %s: %v", name, e)
		}
	}
	return lm
}

// compare holds skep's answer against the live kernel's.
func (c *testCase) compare(t *testing.T, level uint32, a *agreement) {
	_, code, log, _ := c.verify(level)
	want, wantLog := c.ask(t, level)
	a.judge(t, c.name, code, want, log.String(), wantLog)
}

func TestOracleCorpus(t *testing.T) {
	oracle.Require(t)
	var a agreement
	for _, c := range loadCorpus(t) {
		if c.unpriv {
			continue
		}
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			if c.typ == uapi.BPF_PROG_TYPE_UNSPEC {
				t.Fatal("no program type")
			}
			c.compare(t, 2, &a)
		})
	}
	a.report(t)
}
