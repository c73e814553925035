package oracle

import (
	"slices"
	"testing"
	"time"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Prog says what program to load.
type Prog struct {
	Type  uapi.ProgType
	Insns []insn.Instruction

	// Maps are what the program refers to: the immediate of a 64-bit immediate
	// load of kind PseudoMapFD or PseudoMapValue is an index into Maps, and
	// becomes the map's descriptor. With no Maps, immediates stay as they are.
	Maps []*Map

	License            string // "GPL" if empty
	Name               string
	ExpectedAttachType uapi.AttachType
	Flags              uint32

	// LogLevel asks for the verifier's log. LogSize is the size of the buffer; 0
	// takes one that the log fits in.
	LogLevel uint32
	LogSize  uint32

	BTF         *BTF
	FuncInfo    []byte // records of struct bpf_func_info
	LineInfo    []byte // records of struct bpf_line_info
	AttachBTFID uint32
	FDArray     []int32

	// Tweak changes the attribute last, for what has no field here.
	Tweak func(*uapi.ProgLoadAttr)
}

// Program is the kernel's answer to a load.
type Program struct {
	FD          int // -1 if the program was refused
	Errno       errno.Errno
	Log         string
	LogTrueSize uint32

	k *Kernel
}

// Load loads a program and closes it when the test ends. A refusal is an answer,
// not a failure: see [Program].Errno.
func Load(t testing.TB, p Prog) *Program {
	t.Helper()
	pr := LoadProg(p)
	t.Cleanup(pr.Close)
	return pr
}

// firstLogSize is the buffer that is tried where the log's size is not known.
const firstLogSize = 64 << 10

// LoadProg loads a program into the live kernel; the caller closes it.
func LoadProg(p Prog) *Program { return Live().LoadProg(p) }

// LoadProg loads a program; the caller closes it.
func (k *Kernel) LoadProg(p Prog) *Program {
	size := p.LogSize
	if size == 0 && p.LogLevel != 0 {
		size = firstLogSize
	}
	pr := k.load(p, size)
	if pr.Errno == errno.ENOSPC && p.LogSize == 0 && pr.LogTrueSize > size {
		pr = k.load(p, pr.LogTrueSize)
	}
	return pr
}

func (k *Kernel) load(p Prog, logSize uint32) *Program {
	var pins Pins
	defer pins.Release()
	a := p.attr(&pins)
	var log []byte
	if p.LogLevel != 0 {
		log = make([]byte, logSize)
		a.LogSize = logSize
		a.LogBuf = pins.Addr(log)
	}
	if p.Tweak != nil {
		p.Tweak(&a)
	}
	fd, e := k.do(uapi.BPF_PROG_LOAD, &a)
	if e != 0 {
		fd = -1
	}
	return &Program{FD: fd, Errno: e, Log: uapi.CString(log), LogTrueSize: a.LogTrueSize, k: k}
}

func (p Prog) attr(pins *Pins) uapi.ProgLoadAttr {
	license := p.License
	if license == "" {
		license = "GPL"
	}
	a := uapi.ProgLoadAttr{
		ProgType:           p.Type,
		InsnCnt:            uint32(len(p.Insns)),
		Insns:              pins.Addr(insn.Encode(p.resolve())),
		License:            pins.Addr([]byte(license + "\x00")),
		LogLevel:           p.LogLevel,
		ProgFlags:          p.Flags,
		ExpectedAttachType: p.ExpectedAttachType,
		AttachBTFID:        p.AttachBTFID,
		FuncInfo:           pins.Addr(p.FuncInfo),
		LineInfo:           pins.Addr(p.LineInfo),
	}
	copy(a.ProgName[:uapi.BPF_OBJ_NAME_LEN-1], p.Name)
	if p.BTF != nil {
		a.ProgBTFFD = uint32(p.BTF.FD)
	}
	if len(p.FuncInfo) > 0 {
		a.FuncInfoRecSize = uapi.SizeofFuncInfo
		a.FuncInfoCnt = uint32(len(p.FuncInfo) / uapi.SizeofFuncInfo)
	}
	if len(p.LineInfo) > 0 {
		a.LineInfoRecSize = uapi.SizeofLineInfo
		a.LineInfoCnt = uint32(len(p.LineInfo) / uapi.SizeofLineInfo)
	}
	if len(p.FDArray) > 0 {
		b := make([]byte, 0, 4*len(p.FDArray))
		for _, fd := range p.FDArray {
			b = append(b, byte(fd), byte(fd>>8), byte(fd>>16), byte(fd>>24))
		}
		a.FDArray = pins.Addr(b)
	}
	return a
}

// resolve puts descriptors where the program has indices into p.Maps.
func (p Prog) resolve() []insn.Instruction {
	if len(p.Maps) == 0 {
		return p.Insns
	}
	out := slices.Clone(p.Insns)
	for i := 0; i < len(out); i++ {
		in := out[i]
		if !in.IsWide() {
			continue
		}
		isMap := in.Src() == insn.PseudoMapFD || in.Src() == insn.PseudoMapValue
		if at := in.Imm(); isMap && at >= 0 && int(at) < len(p.Maps) {
			out[i] = in.WithImm(int32(p.Maps[at].FD))
		}
		i++ // the second slot is no instruction
	}
	return out
}

// Close drops the descriptor, if there is one.
func (p *Program) Close() {
	if p.FD >= 0 {
		p.k.CloseFD(p.FD)
		p.FD = -1
	}
}

// Info returns what the kernel says of the program.
func (p *Program) Info() (uapi.ProgInfo, errno.Errno) {
	var i uapi.ProgInfo
	b, e := p.k.Info(p.FD, uapi.SizeofProgInfo)
	i.Decode(b)
	return i, e
}

// VerifiedInsns returns how many instructions the verifier walked, 0 if the
// program was refused.
func (p *Program) VerifiedInsns() uint32 {
	i, e := p.Info()
	if e != 0 {
		return 0
	}
	return i.VerifiedInsns
}

// Xlated returns the program as the kernel has rewritten it. Immediates that
// hold kernel addresses read as zero unless the host shows raw addresses.
func (p *Program) Xlated() ([]insn.Instruction, errno.Errno) {
	i, e := p.Info()
	if e != 0 {
		return nil, e
	}
	code := make([]byte, i.XlatedProgLen)
	var pins Pins
	defer pins.Release()
	buf := make([]byte, uapi.SizeofProgInfo)
	(&uapi.ProgInfo{XlatedProgLen: i.XlatedProgLen, XlatedProgInsns: pins.Addr(code)}).Encode(buf)
	if _, e := p.k.info(p.FD, buf); e != 0 {
		return nil, e
	}
	insns, err := insn.Decode(code)
	if err != nil {
		return nil, errno.EINVAL
	}
	return insns, 0
}

// Input is what BPF_PROG_TEST_RUN is given.
type Input struct {
	Data      []byte
	Ctx       []byte
	Repeat    uint32
	Flags     uint32
	CPU       uint32
	BatchSize uint32

	// DataOut and CtxOut are the sizes of the output buffers; 0 takes one that the
	// output fits in, a negative number none.
	DataOut int
	CtxOut  int
}

// Output is what BPF_PROG_TEST_RUN returns.
type Output struct {
	Errno    errno.Errno
	Retval   uint32
	Data     []byte
	Ctx      []byte
	Duration time.Duration // of one run, on average
}

// roomForGrowth is how much larger than the input the output may be: head and
// tail adjustments stay below a page.
const roomForGrowth = 4096

// maxContext is larger than any context structure.
const maxContext = 256

// Run runs the program on in.
func (p *Program) Run(in Input) Output {
	var pins Pins
	defer pins.Release()
	data := outBuffer(in.DataOut, len(in.Data), roomForGrowth)
	ctx := outBuffer(in.CtxOut, len(in.Ctx), maxContext)
	a := uapi.TestRunAttr{
		ProgFD:      uint32(p.FD),
		DataSizeIn:  uint32(len(in.Data)),
		DataIn:      pins.Addr(in.Data),
		DataSizeOut: uint32(len(data)),
		DataOut:     pins.Addr(data),
		CtxSizeIn:   uint32(len(in.Ctx)),
		CtxIn:       pins.Addr(in.Ctx),
		CtxSizeOut:  uint32(len(ctx)),
		CtxOut:      pins.Addr(ctx),
		Repeat:      in.Repeat,
		Flags:       in.Flags,
		CPU:         in.CPU,
		BatchSize:   in.BatchSize,
	}
	_, e := p.k.do(uapi.BPF_PROG_TEST_RUN, &a)
	return Output{
		Errno:    e,
		Retval:   a.Retval,
		Data:     data[:min(int(a.DataSizeOut), len(data))],
		Ctx:      ctx[:min(int(a.CtxSizeOut), len(ctx))],
		Duration: time.Duration(a.Duration),
	}
}

// outBuffer makes an output buffer. Nothing comes out where nothing went in.
func outBuffer(asked, in, extra int) []byte {
	switch {
	case asked > 0:
		return make([]byte, asked)
	case asked < 0 || in == 0:
		return nil
	}
	return make([]byte, in+extra)
}
