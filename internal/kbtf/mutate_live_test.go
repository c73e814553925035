package kbtf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/skep-ebpf/skep/internal/oracle"
)

var mutations = flag.Int("mutations", 3000, "mutations of real BTF to compare with the live kernel")

// compiled is the BTF of the repository's objects.
func compiled(t testing.TB) (out []sample) {
	t.Helper()
	for _, pattern := range []string{"../../examples/*/*.o", "../../testdata/elf/*.o"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if b := section(t, path); b != nil {
				out = append(out, sample{filepath.Base(path), b})
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("there are no compiled objects to take BTF from")
	}
	return out
}

func section(t testing.TB, path string) []byte {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Section(".BTF")
	if s == nil {
		return nil
	}
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What compilers make is sound once the sections have their sizes.
func TestParseCompiled(t *testing.T) {
	for _, s := range compiled(t) {
		_, err := Parse(fillSections(s.data), nil)
		// Kernel variables are declared as void: loaders give them a type.
		if void := s.name == "ksyms.o"; (err != nil) != void {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// mutate changes a few words of BTF, mostly in ways that leave it readable.
func mutate(r *rand.Rand, data []byte) []byte {
	out := bytes.Clone(data)
	le := binary.LittleEndian
	h := decodeHeader(out)
	types := out[h.size+h.typeOff:][:h.typeLen]
	// Where types start.
	var starts []int
	for at := 0; at < len(types); {
		starts = append(starts, at)
		info := le.Uint32(types[at+4:])
		k := kinds[info>>24&31]
		at += 12 + k.fixed + k.entry*int(info&maxVlen)
	}
	for range 1 + r.IntN(2) {
		at := starts[r.IntN(len(starts))]
		n := len(types) - at
		word := at + 4*r.IntN(min(n/4, 8))
		switch r.IntN(9) {
		case 0: // a type refers elsewhere
			le.PutUint32(types[at+8:], uint32(r.IntN(len(starts)+2)))
		case 1: // another kind
			le.PutUint32(types[at+4:], le.Uint32(types[at+4:])&^(31<<24)|uint32(r.IntN(21))<<24)
		case 2: // the flag
			le.PutUint32(types[at+4:], le.Uint32(types[at+4:])^flagged)
		case 3: // the number of entries
			le.PutUint32(types[at+4:], le.Uint32(types[at+4:])^uint32(1+r.IntN(3)))
		case 4: // a name, or whatever is there
			le.PutUint32(types[at:], uint32(r.IntN(int(h.strLen)+2)))
		case 5: // a small number somewhere
			le.PutUint32(types[word:], uint32(r.IntN(130)))
		case 6: // one bit
			types[r.IntN(len(types))] ^= 1 << r.IntN(8)
		case 7: // two words change places
			o := at + 4*r.IntN(min(n/4, 8))
			a, b := le.Uint32(types[word:]), le.Uint32(types[o:])
			le.PutUint32(types[word:], b)
			le.PutUint32(types[o:], a)
		case 8: // a byte anywhere
			out[r.IntN(len(out))] = byte(r.IntN(256))
		}
	}
	return out
}

func TestMutationsLive(t *testing.T) {
	oracle.Require(t)
	k, err := vmlinux()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var c tally
	var seeds []sample
	for _, s := range compiled(t) {
		seeds = append(seeds, sample{s.name, fillSections(s.data)})
	}
	for _, s := range samples() {
		if len(s.data) > 300 && len(seeds) < 4000 {
			seeds = append(seeds, s)
		}
	}
	accepted := 0
	for i := range *mutations {
		s := seeds[r.IntN(min(len(seeds), 1+i))]
		if i%2 == 0 {
			s = seeds[r.IntN(min(len(seeds), 24))]
		}
		data := s.data
		if readable(data) {
			data = mutate(r, data)
		}
		verdict, log := compare(k, data, []uint32{1, 2, 4, 7}[i%4])
		if _, err := k.Parse(data, nil); err == nil {
			accepted++
		}
		c.add(t, s.name, verdict, log)
	}
	c.report(t)
	t.Logf("%d of them were accepted", accepted)
}

func readable(data []byte) bool {
	if len(data) < headerSize {
		return false
	}
	b := &parser{btf: &BTF{data: data, byName: map[string][]ID{}}}
	return b.header() == nil && b.stringSection() == nil && b.typeSection() == nil
}

// fillSections gives the sections of data the sizes that loaders find in the
// object's symbols, so that compiled BTF can be loaded.
func fillSections(data []byte) []byte {
	out := bytes.Clone(data)
	le := binary.LittleEndian
	h := decodeHeader(out)
	types := out[h.size+h.typeOff:][:h.typeLen]
	for at := 0; at < len(types); {
		info := le.Uint32(types[at+4:])
		kind, vlen := Kind(info>>24&31), int(info&maxVlen)
		if kind == KindDatasec {
			off := uint32(0)
			for i := range vlen {
				v := types[at+12+12*i:]
				le.PutUint32(v[4:], off)
				off += le.Uint32(v[8:])
			}
			le.PutUint32(types[at+8:], max(off, 1))
		}
		if kind == KindVar && le.Uint32(types[at+12:]) == uint32(Extern) {
			le.PutUint32(types[at+12:], uint32(Global))
		}
		if kind == KindFunc && vlen == int(Extern) {
			le.PutUint32(types[at+4:], info&^maxVlen|uint32(Global))
		}
		at += 12 + kinds[kind].fixed + kinds[kind].entry*vlen
	}
	return out
}
