package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// kprobe is called where a probe was set, with the registers. Context access as
// in kprobe_prog_is_valid_access.
var kprobe = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_KPROBE,
	Name: "kprobe",
	Context: &desc.Context{Name: "pt_regs", Size: uapi.SizeofPtRegs, Fields: []desc.CtxField{
		anyWidth("regs", 0, uapi.SizeofPtRegs),
	}},
	Helper:       helpers.Lookup,
	Return:       sessionReturn,
	Sleep:        desc.SleepAllowed,
	Tracing:      true,
	NeedsPerfmon: true,
}

// sessionReturn: a session's entry says whether there is to be an exit.
func sessionReturn(p *desc.ProgInfo) *desc.Range {
	if p.ExpectedAttach == uapi.BPF_TRACE_KPROBE_SESSION || p.ExpectedAttach == uapi.BPF_TRACE_UPROBE_SESSION {
		return &desc.Range{Min: 0, Max: 1}
	}
	return nil
}

// maxTraceSize is PERF_MAX_TRACE_SIZE.
const maxTraceSize = 8192

// tracepoint is called with a tracepoint's record, of which the first eight
// bytes are the kernel's. Context access as in tp_prog_is_valid_access, which
// compares the offset as unsigned and so lets negative ones pass.
var tracepoint = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_TRACEPOINT,
	Name: "tracepoint",
	Context: &desc.Context{Name: "trace_entry", Size: maxTraceSize, NegativeOK: true, Fields: []desc.CtxField{
		anyWidth("record", 8, maxTraceSize-8),
	}},
	Helper:       helpers.Lookup,
	Tracing:      true,
	NeedsPerfmon: true,
}

// perfEvent is called at a performance event. Context access as in
// pe_prog_is_valid_access.
var perfEvent = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_PERF_EVENT,
	Name: "perf_event",
	Context: &desc.Context{Name: "bpf_perf_event_data", Size: uapi.SizeofPerfEventData, Fields: []desc.CtxField{
		{Name: "regs", Off: 0, Size: uapi.SizeofPtRegs, Elem: 8, Read: true},
		parts("sample_period", uapi.OffPerfEventDataSamplePeriod, 8),
		parts("addr", uapi.OffPerfEventDataAddr, 8),
	}},
	Helper:       helpers.Lookup,
	Tracing:      true,
	NeedsPerfmon: true,
}

// maxTraceArgs is MAX_BPF_FUNC_ARGS, each argument eight bytes.
const maxTraceArgs = 12

// rawTracepoint is called with a tracepoint's arguments. Context access as in
// raw_tp_prog_is_valid_access.
var rawTracepoint = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_RAW_TRACEPOINT,
	Name: "raw_tracepoint",
	Context: &desc.Context{Name: "bpf_raw_tracepoint_args", Size: 8 * maxTraceArgs, Fields: []desc.CtxField{
		anyWidth("args", 0, 8*maxTraceArgs),
	}},
	Helper:       helpers.Lookup,
	Tracing:      true,
	NeedsPerfmon: true,
}

// rawTracepointWritable may change what the first argument points to. Context
// access as in raw_tp_writable_prog_is_valid_access.
var rawTracepointWritable = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	Name: "raw_tracepoint_writable",
	Context: &desc.Context{Name: "bpf_raw_tracepoint_args", Size: 8 * maxTraceArgs, Fields: []desc.CtxField{
		{Name: "args[0]", Size: 8, Kind: desc.FieldTPBuffer, Read: true, AnyWidth: true, Allow: wholeAtStart},
		anyWidth("args", 8, 8*(maxTraceArgs-1)),
	}},
	Helper:       helpers.Lookup,
	Tracing:      true,
	NeedsPerfmon: true,
}

// wholeAtStart: Linux looks at the offset 0 alone, so that the rest of the first
// argument may be read in parts.
func wholeAtStart(a desc.CtxAccess, _ *desc.ProgInfo) bool { return a.Off != 0 || a.Size == 8 }

// maxSyscallCtx is the first offset that a system call program may not name.
const maxSyscallCtx = 1<<16 - 1

// syscall runs by BPF_PROG_TEST_RUN alone, on a context of the caller's making.
// Context access as in syscall_prog_is_valid_access.
var syscall = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SYSCALL,
	Name: "syscall",
	Context: &desc.Context{Name: "ctx", Size: maxSyscallCtx, Fields: []desc.CtxField{
		writable(anyWidth("ctx", 0, maxSyscallCtx+1)),
	}},
	Helper:         helpers.Lookup,
	ExpectedAttach: []uapi.AttachType{0},
	Sleep:          desc.SleepOnly,
}

// lircMode2 decodes what an infrared receiver sees. Context access as in
// lirc_mode2_is_valid_access.
var lircMode2 = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_LIRC_MODE2,
	Name: "lirc_mode2",
	Context: &desc.Context{Name: "sample", Size: 4, Fields: []desc.CtxField{
		reads("sample", 0, 4),
	}},
	Helper: helpers.Lookup,
}
