package skep_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
)

const elfDir = "testdata/elf/"

// elfObject is an entry of testdata/elf/index.json, which the README beside it
// explains: an object, and what comes of its programs.
type elfObject struct {
	Object string
	Cases  []elfCase
}

type elfCase struct {
	Program string
	Data    string // hex
	Return  int32
	Out     string // hex; "" where it does not matter
	Errno   string // "" where the program is accepted
	Log     string // a part of the log
}

// otherwise are refusals for another reason than the live kernel's: programs
// cannot look into struct bpf_map here.
var otherwise = map[string]elfCase{
	"map_arithmetic": {Program: "map_arithmetic", Errno: "ENOTSUPP", Log: "access to struct bpf_map is not supported"},
}

func elfObjects(t *testing.T) []elfObject {
	t.Helper()
	text, err := os.ReadFile(elfDir + "index.json")
	if err != nil {
		t.Fatal(err)
	}
	var objects []elfObject
	if err := json.Unmarshal(text, &objects); err != nil {
		t.Fatal(err)
	}
	return objects
}

// accepted are the programs that have no "reject:" line, each once.
func (o *elfObject) accepted() []string {
	names := []string{} // not nil, which would be all
	for _, c := range o.Cases {
		if c.Errno == "" && !slices.Contains(names, c.Program) {
			names = append(names, c.Program)
		}
	}
	return names
}

// newKernel makes a kernel that must be empty when the test ends.
func newKernel(t testing.TB, c skep.Config) *skep.Kernel {
	t.Helper()
	c.TrackOrigins = true
	k, err := skep.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// Every expectation of testdata/elf holds in every engine. The same lines are
// held against the live kernel by the tests of examples/.
func TestObjects(t *testing.T) {
	objects := elfObjects(t)
	cases := 0
	for name, engine := range skep.Engines() {
		for _, o := range objects {
			cases += len(o.Cases)
			t.Run(name+"/"+o.Object, func(t *testing.T) {
				k := newKernel(t, skep.Config{CPUs: 2, Engine: engine})
				o.run(t, k)
			})
		}
	}
	if cases < 100*len(skep.Engines()) {
		t.Errorf("only %d cases in %sindex.json", cases, elfDir)
	}
}

func (o *elfObject) run(t *testing.T, k *skep.Kernel) *skep.Collection {
	for _, c := range o.Cases {
		if c.Errno != "" {
			if other, ok := otherwise[c.Program]; ok {
				c = other
			}
			t.Run(c.Program, func(t *testing.T) { c.reject(t, k, elfDir+o.Object) })
		}
	}
	coll, err := k.LoadFile(elfDir+o.Object, &skep.LoadOptions{Programs: o.accepted()})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { coll.Close() })
	for i, c := range o.Cases {
		if c.Errno == "" {
			t.Run(fmt.Sprintf("%d_%s", i, c.Program), func(t *testing.T) { c.run(t, coll.Programs[c.Program]) })
		}
	}
	return coll
}

func (c *elfCase) reject(t *testing.T, k *skep.Kernel, file string) {
	coll, err := k.LoadFile(file, &skep.LoadOptions{Programs: []string{c.Program}})
	if err == nil {
		coll.Close()
		t.Fatal("it is accepted")
	}
	if e, _ := errno.Of(err); e.Name() != c.Errno {
		t.Errorf("%v; want %s", err, c.Errno)
	}
	var refusal *skep.VerifierError
	if !errors.As(err, &refusal) {
		t.Fatalf("not from the verifier: %v", err)
	}
	if !strings.Contains(refusal.Log, c.Log) {
		t.Errorf("no %q in the log:\n%s", c.Log, refusal.Log)
	}
}

func (c *elfCase) run(t *testing.T, p *skep.Program) {
	data, err := hex.DecodeString(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Run(skep.RunOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if int32(res.Return) != c.Return {
		t.Errorf("returned %d, want %d", int32(res.Return), c.Return)
	}
	if out := hex.EncodeToString(res.Data); c.Out != "" && out != c.Out {
		t.Errorf("packet afterwards\n got %s\nwant %s", out, c.Out)
	}
}
