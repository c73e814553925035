package skep

import (
	"fmt"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/loader"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// ProgramSpec is a program without an object file around it.
type ProgramSpec struct {
	Name    string // at most 15 bytes of it are kept
	Type    string // "xdp", "socket_filter", …
	Insns   []insn.Instruction
	License string // "" is not compatible with the GPL
}

// LoadProgram loads a program from instructions (BPF_PROG_LOAD). A rejected
// program is a [*VerifierError]. The caller closes the program's fd.
func (t *Task) LoadProgram(s ProgramSpec) (*Program, error) {
	typ, ok := uapi.ParseProgType(s.Type)
	if !ok {
		return nil, fmt.Errorf("there is no program type %q: %w", s.Type, errno.EINVAL)
	}
	var mem usermem.Segments
	log := make([]byte, logRoom)
	a := uapi.ProgLoadAttr{
		ProgType: typ, InsnCnt: uint32(len(s.Insns)), Insns: mem.Add(insn.Encode(s.Insns)),
		License: mem.AddString(s.License), LogLevel: 1, LogSize: uint32(len(log)), LogBuf: mem.Add(log),
	}
	copy(a.ProgName[:len(a.ProgName)-1], s.Name)
	attr := make([]byte, uapi.ProgLoadAttrEnd)
	a.Encode(attr)
	fd, err := t.call(&mem, uapi.BPF_PROG_LOAD, attr)
	if err != nil {
		return nil, rejected(&loader.Rejected{Program: s.Name, Err: err, Log: uapi.CString(log)})
	}
	return &Program{Name: s.Name, Type: typ.LibName(), Log: uapi.CString(log), task: t, fd: fd}, nil
}

// logRoom is what the log of a program without an object file may have.
const logRoom = 1 << 20

// MapSpec is a map without an object file around it. Sizes are in bytes.
type MapSpec struct {
	Name       string // at most 15 bytes of it are kept
	Type       string // "hash", "array", …
	KeySize    int
	ValueSize  int
	MaxEntries int
	Flags      uint32
}

// CreateMap makes a map (BPF_MAP_CREATE). The caller closes the map's fd.
func (t *Task) CreateMap(s MapSpec) (*Map, error) {
	typ, ok := uapi.ParseMapType(s.Type)
	if !ok {
		return nil, fmt.Errorf("there is no map type %q: %w", s.Type, errno.EINVAL)
	}
	a := uapi.MapCreateAttr{
		MapType: typ, KeySize: uint32(s.KeySize), ValueSize: uint32(s.ValueSize),
		MaxEntries: uint32(s.MaxEntries), MapFlags: s.Flags,
	}
	copy(a.MapName[:len(a.MapName)-1], s.Name)
	attr := make([]byte, uapi.MapCreateAttrEnd)
	a.Encode(attr)
	fd, err := t.call(nil, uapi.BPF_MAP_CREATE, attr)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", s.Name, err)
	}
	return newMap(t, s.Name, fd, nil, nil)
}
