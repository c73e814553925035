package skep

import (
	"encoding/hex"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// Program is a loaded program by its fd.
type Program struct {
	Name    string
	Section string // of the object
	Type    string // "xdp", "sched_cls", …
	// Log is the verifier's, where one was asked for.
	Log string

	task *Task
	fd   int
}

// FD is the program's file descriptor in the kernel's task, for [Task.BPF].
func (p *Program) FD() int { return p.fd }

// ProgramInfo is what the kernel knows of a program.
type ProgramInfo struct {
	ID            uint32
	Type          string
	Name          string
	Tag           string // 16 hex digits
	GPLCompatible bool
	LoadedAt      time.Duration // since boot
	UID           uint32
	MapIDs        []uint32
	BTFID         uint32
	VerifiedInsns int
	// RunTime and Runs are counted while statistics are enabled.
	RunTime time.Duration
	Runs    uint64
	// Xlated is the program after rewriting, as user space may see it.
	Xlated []insn.Instruction
}

// Info asks the kernel about the program (BPF_OBJ_GET_INFO_BY_FD).
func (p *Program) Info() (*ProgramInfo, error) {
	buf := make([]byte, uapi.SizeofProgInfo)
	if err := p.task.info(p.fd, buf); err != nil {
		return nil, err
	}
	var first uapi.ProgInfo
	first.Decode(buf)
	// Again, with room for what the first call counted.
	xlated, ids := make([]byte, first.XlatedProgLen), make([]byte, 4*first.NrMapIDs)
	var mem usermem.Segments
	ask := uapi.ProgInfo{
		XlatedProgLen: first.XlatedProgLen, XlatedProgInsns: mem.Add(xlated),
		NrMapIDs: first.NrMapIDs, MapIDs: mem.Add(ids),
	}
	buf = make([]byte, uapi.SizeofProgInfo)
	ask.Encode(buf)
	a := uapi.InfoAttr{BpfFD: uint32(p.fd), InfoLen: uint32(len(buf)), Info: mem.Add(buf)}
	attr := make([]byte, uapi.InfoAttrEnd)
	a.Encode(attr)
	if _, err := p.task.call(&mem, uapi.BPF_OBJ_GET_INFO_BY_FD, attr); err != nil {
		return nil, err
	}
	var i uapi.ProgInfo
	i.Decode(buf)
	return i2info(&i, xlated, ids)
}

func i2info(i *uapi.ProgInfo, xlated, ids []byte) (*ProgramInfo, error) {
	out := &ProgramInfo{
		ID: i.ID, Type: i.Type.LibName(), Name: uapi.CString(i.Name[:]), Tag: hex.EncodeToString(i.Tag[:]),
		GPLCompatible: i.GPLCompatible != 0, LoadedAt: time.Duration(i.LoadTime), UID: i.CreatedByUID,
		BTFID: i.BTFID, VerifiedInsns: int(i.VerifiedInsns),
		RunTime: time.Duration(i.RunTimeNS), Runs: i.RunCnt,
	}
	for at := 0; at+4 <= len(ids); at += 4 {
		out.MapIDs = append(out.MapIDs, uint32(ids[at])|uint32(ids[at+1])<<8|uint32(ids[at+2])<<16|uint32(ids[at+3])<<24)
	}
	var err error
	out.Xlated, err = insn.Decode(xlated)
	return out, err
}

// RunOptions are what a program is run on (BPF_PROG_TEST_RUN).
type RunOptions struct {
	// Data is the packet.
	Data []byte
	// Context is the context structure (struct xdp_md, struct __sk_buff) in
	// binary; nil leaves it to the kernel.
	Context []byte
	// Repeat runs the program several times on the same packet; 0 is once.
	Repeat int
	// Flags are BPF_F_TEST_*.
	Flags uint32
}

// Result is what a run gave.
type Result struct {
	// Return is the program's return value: a verdict.
	Return uint32
	// Data is the packet afterwards, Context the context if one was given.
	Data, Context []byte
	// Duration is the time of one run, averaged over the repetitions.
	Duration time.Duration
}

// maxData is room for any packet that can be given to a test run, and what a
// program may add to it.
const maxData = 1 << 20

// Run runs the program on a packet.
func (p *Program) Run(o RunOptions) (*Result, error) {
	var mem usermem.Segments
	data := make([]byte, min(len(o.Data)+4096, maxData))
	a := uapi.TestRunAttr{
		ProgFD: uint32(p.fd), Repeat: uint32(o.Repeat), Flags: o.Flags,
		DataIn: mem.Add(o.Data), DataSizeIn: uint32(len(o.Data)),
	}
	if len(o.Data) > 0 {
		a.DataOut, a.DataSizeOut = mem.Add(data), uint32(len(data))
	}
	ctx := make([]byte, max(len(o.Context), 256))
	if len(o.Context) > 0 {
		a.CtxIn, a.CtxSizeIn = mem.Add(o.Context), uint32(len(o.Context))
		a.CtxOut, a.CtxSizeOut = mem.Add(ctx), uint32(len(ctx))
	}
	attr := make([]byte, uapi.TestRunAttrEnd)
	a.Encode(attr)
	if _, err := p.task.call(&mem, uapi.BPF_PROG_TEST_RUN, attr); err != nil {
		return nil, err
	}
	a.Decode(attr)
	return &Result{
		Return: a.Retval, Data: data[:min(int(a.DataSizeOut), len(data))],
		Context: ctx[:min(int(a.CtxSizeOut), len(ctx))], Duration: time.Duration(a.Duration),
	}, nil
}
