package desc

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// ProgType describes one program type: what its context looks like, what it
// may call and what it may return. Each type is defined in one file of package
// progtype.
type ProgType struct {
	Type    uapi.ProgType
	Name    string   // libbpf's and bpftool's name, "xdp"
	Context *Context // layout of what R1 points to

	// Helper is the prototype of helper id for this program, nil when programs
	// of this type may not call it (get_func_proto).
	Helper func(id uapi.FuncID, p *ProgInfo) *Helper
	// Return is the range that R0 must be in at exit; nil: anything.
	Return func(p *ProgInfo) *Range
	// DirectPacketWrite allows stores through packet pointers, LoadAbs the
	// LD_ABS and LD_IND instructions.
	DirectPacketWrite, LoadAbs bool
	// LoadAbsHelper are the functions (sk_buff, offset) that LD_ABS and LD_IND of
	// 1, 2 and 4 bytes call. They return the value in host order, or a negative
	// number: the program then ends with R0 = 0 (gen_ld_abs).
	LoadAbsHelper [3]*Helper
	// PacketAccess lets helpers with PktAccess take packet pointers
	// (may_access_direct_pkt_data), PacketToAll every helper.
	PacketAccess, PacketToAll bool
	// ExpectedAttach are the values that expected_attach_type may have at load;
	// nil: any, it is not looked at (bpf_prog_load_check_attach). DefaultAttach is
	// what 0 stands for (bpf_prog_load_fixup_attach_type).
	ExpectedAttach []uapi.AttachType
	DefaultAttach  uapi.AttachType
	// Sleep says whether programs may sleep.
	Sleep SleepRule
	// Tracing programs run anywhere, so that they may take no locks
	// (is_tracing_prog_type).
	Tracing bool
	// NeedsNetAdmin and NeedsPerfmon are the capabilities wanted besides CAP_BPF.
	NeedsNetAdmin, NeedsPerfmon bool
	// Unprivileged types may be loaded without CAP_BPF where the system allows.
	Unprivileged bool
	// Sockets are the layouts of what pointers to sockets point to; nil: programs
	// of this type have none.
	Sockets *Sockets
	// Prologue code, put before the first instruction (gen_prologue).
	Prologue func(p *patch.Patch, info *ProgInfo)
}

// Sockets are layouts of sockets as programs see them, by the type of pointer:
// PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK.
type Sockets struct{ Common, Full, TCP, XDP *Context }

// SleepRule says whether programs of a type may or must have
// BPF_F_SLEEPABLE.
type SleepRule uint8

// Rules on sleeping.
const (
	SleepNever SleepRule = iota
	SleepAllowed
	SleepOnly
)

// Range is an inclusive range of return values.
type Range struct{ Min, Max int32 }

// ProgInfo is what program-type callbacks may ask of the program at hand.
type ProgInfo struct {
	Type           uapi.ProgType
	ExpectedAttach uapi.AttachType
	Flags          uint32
	GPL            bool
	Caps           Caps
	// AttachName is the kernel function that the program attaches to, for types
	// that name one at load.
	AttachName string
	// VerifyOnly asks for a verdict alone: the program need not be able to run, so
	// that helpers without a body are there too.
	VerifyOnly bool
	// Facts that the verifier learns while walking, for Prologue.
	WritesPacket bool
	// TstampTypeAccess: the program reads __sk_buff.tstamp_type, so that tstamp
	// is not translated for it (tstamp_type_access). The field's Allow sets it.
	TstampTypeAccess bool
}

// Caps are the privileges that the verifier asks for.
type Caps struct {
	BPF, Perfmon, NetAdmin, SysAdmin bool
	// What the kernel derives from CAP_PERFMON: bpf_allow_ptr_leaks,
	// bpf_allow_uninit_stack, bpf_bypass_spec_v1, bpf_bypass_spec_v4.
}

// Context is the layout of a program type's context structure as programs see
// it: a table of fields, and what lies between them cannot be accessed.
type Context struct {
	Name string // "xdp_md"
	Size uint32
	// NegativeOK lets programs read below the start too.
	NegativeOK bool
	// Fields in order of Off. Fields may be arrays (cb[5]).
	Fields []CtxField
}

// FieldKind is what the verifier learns by loading a field.
type FieldKind uint8

// Kinds of context fields.
const (
	FieldScalar           FieldKind = iota
	FieldPacket                     // PTR_TO_PACKET
	FieldPacketMeta                 // PTR_TO_PACKET_META
	FieldPacketEnd                  // PTR_TO_PACKET_END
	FieldFlowKeys                   // PTR_TO_FLOW_KEYS
	FieldSocket                     // PTR_TO_SOCKET
	FieldSocketOrNull               // PTR_TO_SOCKET_OR_NULL
	FieldSockCommonOrNull           // PTR_TO_SOCK_COMMON_OR_NULL
	FieldTPBuffer                   // PTR_TO_TP_BUFFER
	FieldTrusted                    // PTR_TO_BTF_ID | PTR_TRUSTED, to CtxField.BTF
)

// CtxField is one field of a context structure.
type CtxField struct {
	Name string
	Off  uint32
	Size uint32 // of the whole field; for pointer-like fields the width of a load
	Kind FieldKind
	// Elem is the element size of an array field; 0: not an array.
	Elem uint32
	// BTF is the kernel structure that a FieldTrusted points to.
	BTF string
	// Read and Write allow access. Narrow allows loads of 1, 2 or 4 bytes inside
	// the field (bpf_ctx_narrow_access_ok); otherwise the full width only.
	Read, Write, Narrow bool
	// WideOK allows 8-byte accesses that start here (bpf_ctx_wide_access_ok).
	WideOK bool
	// AnyWidth allows aligned accesses of every width that stay inside the field,
	// loads and stores alike; Lower then gets the access as it is.
	AnyWidth bool
	// Allow refines access by program (nil: as the flags above say).
	Allow func(a CtxAccess, p *ProgInfo) bool
	// Lower emits the code that performs the access on the kernel-side structure
	// (convert_ctx_access). For a narrow load it is called with the full width;
	// rewrite adds shift and mask.
	Lower func(p *patch.Patch, a CtxAccess)
}

// CtxAccess is one access to a context field.
type CtxAccess struct {
	Insn  insn.Instruction // the original load or store
	Off   uint32           // byte offset in the context
	Size  uint32           // bytes
	Write bool
	// Dst is the register loaded, or the context pointer of a store; Src the
	// context pointer of a load, or the register stored.
	Dst, Src insn.Reg
	// Imm is the value of a store of an immediate (BPF_ST).
	Imm int32
	// Info is the program that is being lowered.
	Info *ProgInfo
}

// Access returns the field that an access of size bytes at off concerns, nil
// where the program may not make it (is_valid_access). It looks at Off, Size
// and Write of the access only. Loads narrower than the field's width are
// those for which size < field.Width().
func (c *Context) Access(a CtxAccess, p *ProgInfo) *CtxField {
	if a.Size == 0 || a.Size&(a.Size-1) != 0 || a.Off >= c.Size || a.Off%a.Size != 0 {
		return nil
	}
	f := c.Field(a.Off)
	if f == nil || a.Write && !f.Write || !a.Write && !f.Read || !f.fits(a) {
		return nil
	}
	if f.Allow != nil && !f.Allow(a, p) {
		return nil
	}
	return f
}

// Width is how many bytes a full load of the field, or of one element of it,
// takes.
func (f *CtxField) Width() uint32 {
	if f.Elem != 0 {
		return f.Elem
	}
	return f.Size
}

func (f *CtxField) fits(a CtxAccess) bool {
	inside := a.Off+a.Size <= f.Off+f.Size
	switch w := f.Width(); {
	case f.AnyWidth:
		return inside
	case a.Size == w:
		return inside && (a.Off-f.Off)%w == 0
	case a.Size < w:
		return f.Narrow && !a.Write
	default:
		return f.WideOK && a.Size == 8
	}
}

// Field finds the field that covers the byte at off, nil if none does.
func (c *Context) Field(off uint32) *CtxField {
	lo, hi := 0, len(c.Fields)
	for lo < hi {
		mid := (lo + hi) / 2
		if c.Fields[mid].Off+c.Fields[mid].Size <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.Fields) && c.Fields[lo].Off <= off {
		return &c.Fields[lo]
	}
	return nil
}
