package skep

import (
	"encoding/binary"
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

// Close closes the program's fd. One that belongs to a [Collection] is closed with
// that, and not by itself.
func (p *Program) Close() error { return p.task.CloseFD(p.fd) }

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
	// Funcs and Lines say what Xlated was compiled from, in order; nil without
	// BTF.
	Funcs []FuncInfo
	Lines []LineInfo
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
	var mem usermem.Segments
	a := newInfoArrays(&first)
	i := uapi.ProgInfo{
		XlatedProgLen: first.XlatedProgLen, XlatedProgInsns: mem.Add(a.xlated),
		NrMapIDs: first.NrMapIDs, MapIDs: mem.Add(a.maps),
		NrFuncInfo: first.NrFuncInfo, FuncInfo: mem.Add(a.funcs), FuncInfoRecSize: uapi.SizeofFuncInfo,
		NrLineInfo: first.NrLineInfo, LineInfo: mem.Add(a.lines), LineInfoRecSize: uapi.SizeofLineInfo,
	}
	i.Encode(buf)
	if err := p.task.infoAt(&mem, p.fd, mem.Add(buf), len(buf)); err != nil {
		return nil, err
	}
	i.Decode(buf)
	return p.task.programInfo(&i, a)
}

// infoArrays are the arrays that struct bpf_prog_info points to.
type infoArrays struct{ xlated, maps, funcs, lines []byte }

func newInfoArrays(i *uapi.ProgInfo) infoArrays {
	return infoArrays{
		xlated: make([]byte, i.XlatedProgLen), maps: make([]byte, 4*i.NrMapIDs),
		funcs: make([]byte, i.NrFuncInfo*uapi.SizeofFuncInfo), lines: make([]byte, i.NrLineInfo*uapi.SizeofLineInfo),
	}
}

func (t *Task) programInfo(i *uapi.ProgInfo, a infoArrays) (*ProgramInfo, error) {
	out := &ProgramInfo{
		ID: i.ID, Type: i.Type.LibName(), Name: uapi.CString(i.Name[:]), Tag: hex.EncodeToString(i.Tag[:]),
		GPLCompatible: i.GPLCompatible != 0, LoadedAt: time.Duration(i.LoadTime), UID: i.CreatedByUID,
		BTFID: i.BTFID, VerifiedInsns: int(i.VerifiedInsns),
		RunTime: time.Duration(i.RunTimeNS), Runs: i.RunCnt,
	}
	for at := 0; at+4 <= len(a.maps); at += 4 {
		out.MapIDs = append(out.MapIDs, binary.LittleEndian.Uint32(a.maps[at:]))
	}
	var err error
	if out.Xlated, err = insn.Decode(a.xlated); err != nil || i.BTFID == 0 {
		return out, err
	}
	out.Funcs, out.Lines, err = t.source(i.BTFID, a.funcs, a.lines)
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
	// DataRoom and ContextRoom are how many bytes of the packet and the context
	// are handed back (data_size_out, ctx_size_out). 0: as many as there are. The
	// error when they are too few wraps ENOSPC.
	DataRoom, ContextRoom int
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

// Room for any packet that can be given to a test run, for what a program may
// add to it, and for any context.
const (
	maxData    = 1 << 20
	addedData  = 4096
	maxContext = 256
)

func roomFor(asked, needed int) []byte {
	if asked == 0 {
		asked = needed
	}
	return make([]byte, asked)
}

// Run runs the program on a packet (BPF_PROG_TEST_RUN). With
// [CheckingInterpreter] the error may be a [*Violation].
func (p *Program) Run(o RunOptions) (*Result, error) {
	var mem usermem.Segments
	data := roomFor(o.DataRoom, min(len(o.Data)+addedData, maxData))
	a := uapi.TestRunAttr{
		ProgFD: uint32(p.fd), Repeat: uint32(o.Repeat), Flags: o.Flags,
		DataIn: mem.Add(o.Data), DataSizeIn: uint32(len(o.Data)),
	}
	if len(o.Data) > 0 {
		a.DataOut, a.DataSizeOut = mem.Add(data), uint32(len(data))
	}
	ctx := roomFor(o.ContextRoom, max(len(o.Context), maxContext))
	if len(o.Context) > 0 {
		a.CtxIn, a.CtxSizeIn = mem.Add(o.Context), uint32(len(o.Context))
	}
	if len(o.Context) > 0 || o.ContextRoom > 0 {
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
