package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Record sizes of function and line information.
const (
	funcInfoSize = 8
	lineInfoSize = 16
)

// Rejected is the error for a program that the verifier refused.
type Rejected struct {
	Program string
	Err     error  // what bpf(2) returned
	Log     string // the verifier's log
}

// Error gives the reason in a line; the log has the rest.
func (r *Rejected) Error() string { return fmt.Sprintf("program %s: %v", r.Program, r.Err) }

// Unwrap gives the error of the system call.
func (r *Rejected) Unwrap() error { return r.Err }

// Program loads a program by name, once: a second call gives the same one.
func (i *Instance) Program(name string) (*Program, error) {
	if p := i.loaded[name]; p != nil {
		return p, nil
	}
	spec := i.Object.Spec.Programs[name]
	if spec == nil {
		return nil, fmt.Errorf("the object has no program %q; it has %s", name, strings.Join(i.Object.Programs, ", "))
	}
	p, err := i.load(name, spec)
	if err != nil {
		return nil, err
	}
	i.loaded[name] = p
	return p, nil
}

// LoadSlots loads the programs that prog arrays name and puts them in
// (libbpf's static initialisation of prog arrays).
func (i *Instance) LoadSlots() error {
	for _, s := range i.pending {
		p, err := i.Program(s.ref)
		if err != nil {
			return fmt.Errorf("map %s: %w", s.m.Name, err)
		}
		if err := i.update(s.m.FD, s.key, binary.LittleEndian.AppendUint32(nil, uint32(p.FD))); err != nil {
			return fmt.Errorf("map %s: putting %s in: %w", s.m.Name, s.ref, err)
		}
	}
	i.pending = nil
	return nil
}

func (i *Instance) load(name string, spec *ebpf.ProgramSpec) (*Program, error) {
	if spec.Type == ebpf.UnspecifiedProgram {
		return nil, fmt.Errorf("program %s: section %q does not say what type it is (SEC(\"xdp\"), SEC(\"tc\"), …)", name, spec.SectionName)
	}
	r := i.code[name]
	if r == nil {
		var err error
		if r, err = i.relocate(spec); err != nil {
			return nil, err
		}
	}
	code, err := (&linker{obj: i.Object, name: name, code: r.code, mapFD: i.mapFD}).link()
	if err != nil {
		return nil, err
	}
	p := &Program{Name: name, Spec: spec}
	fd, log, err := i.progLoad(spec, r, code, i.opt.LogLevel, i.opt.LogSize)
	if err != nil && log == "" && i.opt.LogLevel == 0 && !errors.Is(err, errno.EPERM) {
		// Again, to be able to say why.
		fd, log, err = i.progLoad(spec, r, code, 1, defaultLog)
	}
	if err != nil {
		return nil, &Rejected{name, err, log}
	}
	p.FD, p.Log = fd, log
	i.bindData(fd)
	return p, nil
}

// bindData makes a program hold the object's read-only data, used or not, so
// that tools find what its metadata says. As with libbpf a failure is none.
func (i *Instance) bindData(prog int) {
	for name, m := range i.Maps {
		if strings.HasPrefix(name, ".rodata") {
			a := uapi.ProgBindMapAttr{ProgFD: uint32(prog), MapFD: uint32(m.FD)}
			attr := make([]byte, uapi.ProgBindMapAttrEnd)
			a.Encode(attr)
			_, _ = i.caller.BPF(nil, uapi.BPF_PROG_BIND_MAP, attr)
		}
	}
}

const defaultLog = 1 << 20

func (i *Instance) mapFD(name string) (int, error) {
	m := i.Maps[name]
	if m == nil {
		return 0, fmt.Errorf("map %s is not in the object", name)
	}
	return m.FD, nil
}

func (i *Instance) progLoad(spec *ebpf.ProgramSpec, r *relocated, code []byte, level uint32, logSize int) (int, string, error) {
	var mem usermem.Segments
	a := uapi.ProgLoadAttr{
		ProgType: uapi.ProgType(spec.Type), InsnCnt: uint32(len(code) / 8), Insns: mem.Add(code),
		License: mem.AddString(spec.License), ProgFlags: spec.Flags, ProgName: i.Object.kernelName(spec.Name),
		ExpectedAttachType: uapi.AttachType(spec.AttachType), KernVersion: spec.KernelVersion,
	}
	if len(r.funcs) > 0 || len(r.lines) > 0 {
		a.ProgBTFFD = uint32(i.btfFD)
		a.FuncInfo, a.FuncInfoRecSize, a.FuncInfoCnt = mem.Add(r.funcs), funcInfoSize, uint32(len(r.funcs)/funcInfoSize)
		a.LineInfo, a.LineInfoRecSize, a.LineInfoCnt = mem.Add(r.lines), lineInfoSize, uint32(len(r.lines)/lineInfoSize)
	}
	var log []byte
	if level != 0 {
		if logSize == 0 {
			logSize = defaultLog
		}
		log = make([]byte, logSize)
		a.LogLevel, a.LogSize, a.LogBuf = level, uint32(len(log)), mem.Add(log)
	}
	attr := make([]byte, uapi.ProgLoadAttrEnd)
	a.Encode(attr)
	fd, err := i.caller.BPF(&mem, uapi.BPF_PROG_LOAD, attr)
	return fd, uapi.CString(log), err
}
