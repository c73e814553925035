package loader_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/loader"
)

// No file makes the reader panic, or take memory or time that the file does not
// account for.
func FuzzRead(f *testing.F) {
	for _, file := range objects(f) {
		f.Add(read(f, file))
	}
	f.Add(bomb(3, 4))
	f.Fuzz(func(t *testing.T, file []byte) {
		o, err := loader.Read("fuzz", file)
		if err != nil {
			return
		}
		for _, name := range o.Programs {
			if o.Spec.Programs[name] == nil {
				t.Errorf("program %s is in the order of the file and not in it", name)
			}
		}
	})
}

// An object whose code and types are changed at random is loaded or refused; what
// is accepted keeps to what the verifier believed; and nothing is left behind.
// mutations are groups of five bytes: section, offset, what to write, and how
// much.
func FuzzLoad(f *testing.F) {
	files := objects(f)
	for i := range files {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{1, 8, 0, 0xff, 1, 2, 40, 0, 3, 4})
	}
	f.Fuzz(func(t *testing.T, object uint8, mutations []byte) {
		file := mutate(read(t, files[int(object)%len(files)]), mutations)
		k, err := skep.New(skep.Config{CPUs: 1, Memory: 256 << 20, TrackOrigins: true, Engine: skep.CheckingInterpreter})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}()
		coll, err := k.Load("fuzz", file, &skep.LoadOptions{KeepGoing: true})
		if err != nil {
			return
		}
		defer coll.Close()
		for name, p := range coll.Programs {
			runFor(t, name, p, 100*time.Millisecond)
		}
	})
}

// mutate changes bytes of the sections that are loaded.
func mutate(file, mutations []byte) []byte {
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		return file
	}
	var loaded []*elf.Section
	for _, s := range f.Sections {
		if s.Size > 0 && (s.Flags&elf.SHF_EXECINSTR != 0 || s.Name == ".BTF" || s.Name == ".BTF.ext" || s.Type == elf.SHT_REL) {
			loaded = append(loaded, s)
		}
	}
	for ; len(mutations) >= 5 && len(loaded) > 0; mutations = mutations[5:] {
		s := loaded[int(mutations[0])%len(loaded)]
		at := s.Offset + uint64(binary.LittleEndian.Uint16(mutations[1:]))%s.Size
		for n := range uint64(mutations[4]%8 + 1) {
			if at+n < s.Offset+s.Size {
				file[at+n] = mutations[3]
			}
		}
	}
	return file
}

// runFor runs a program on an empty packet, which its loops may not make long.
func runFor(t *testing.T, name string, p *skep.Program, limit time.Duration) {
	r, err := p.NewRunner()
	if err != nil {
		return
	}
	defer r.Close()
	defer time.AfterFunc(limit, r.Stop).Stop()
	_, err = r.Run(make([]byte, 64), 0)
	var v *skep.Violation
	if errors.As(err, &v) {
		t.Errorf("program %s: %v", name, v)
	}
}
