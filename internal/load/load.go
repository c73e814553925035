// Package load is PROG_LOAD: it takes a program from bytes to a running image.
// Read this first to see the way of a program:
//
//	Check     may this caller load such a program at all?
//	Program   raw → verified (verifier) → rewritten (rewrite) → image (engine)
//	          → registered (object)
//
// It is the one package that sees the verifier, the rewriter and the engines
// together.
package load

import (
	"context"
	"errors"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/rewrite"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// Loader makes programs for one kernel.
type Loader struct {
	Machine  *exec.Machine
	Registry *object.Registry
	Stats    *object.Stats
	Engine   exec.Engine
	// Link is what images are linked against: the bodies of helpers.
	Link *exec.Env
	// Types finds a program type, nil for one that skep does not have.
	Types func(uapi.ProgType) *desc.ProgType
	// UnprivilegedDisabled is kernel.unprivileged_bpf_disabled != 0.
	UnprivilegedDisabled bool
	// VerifyOnly stops after the verdict: programs of every type that can be
	// verified, with every helper, have an id and an fd, but do not run.
	VerifyOnly bool
	// Record keeps the verifier's states for the checking interpreter.
	Record bool
	// Dump receives the program after each rewriting pass; nil for none.
	Dump func(pass string, code []insn.Instruction)
}

// Request is a program to load, copied in.
type Request struct {
	Task    *object.Task
	Attr    *uapi.ProgLoadAttr
	Name    string
	License string
	Insns   []insn.Instruction
	// BTF of the program, nil without; the program takes a reference of its own.
	BTF                          *object.BTF
	FuncInfo, LineInfo, CoreRelo prog.InfoRecords
	// FDArray reads an element of the array of fds; nil without.
	FDArray func(index int) (int32, error)
	Log     *verifier.Log
	// Context ends a long verification; nil: never.
	Context context.Context
}

// Program verifies, translates and registers a program. The caller holds the
// first reference to the result.
func (l *Loader) Program(r *Request) (*object.Prog, error) {
	typ := l.Types(r.Attr.ProgType)
	if typ == nil {
		return nil, errno.Errorf(errno.EINVAL, "programs of type %v are not supported", r.Attr.ProgType)
	}
	raw := l.raw(r)
	held := newHeld(r.Task)
	verified, err := l.verify(r, typ, raw, held)
	if err != nil {
		held.putAll()
		return nil, err
	}
	p, err := l.finish(r, raw, verified)
	if err != nil {
		held.putAll()
		return nil, err
	}
	used, btfs := held.take(verified.Maps)
	if err := tailCalls(p, used); err != nil {
		p.Image.Close()
		for _, m := range used {
			m.Head().Put()
		}
		for _, b := range btfs {
			b.Put()
		}
		return nil, err
	}
	p.Bound = btfs
	if r.BTF != nil {
		r.BTF.Get()
		p.BTF = r.BTF
	}
	return p, p.Register(l.Registry, l.Machine, used)
}

// tailCalls holds that the program may run programs of the prog arrays that it
// uses (bpf_check_tail_call).
func tailCalls(p *object.Prog, used []*object.Map) error {
	for _, m := range used {
		if a, ok := m.Map.(*maps.ProgArray); ok && !a.Compatible(p.Owner) {
			return errno.Errorf(errno.EINVAL, "prog array %s has programs of another kind", m.Name)
		}
	}
	return nil
}

func (l *Loader) raw(r *Request) *prog.Raw {
	raw := &prog.Raw{
		Info: desc.ProgInfo{
			Type: r.Attr.ProgType, ExpectedAttach: r.Attr.ExpectedAttachType, Flags: r.Attr.ProgFlags,
			GPL: GPLCompatible(r.License), Caps: caps(r.Task.Creds.Caps), VerifyOnly: l.VerifyOnly,
		},
		Name: r.Name, Insns: r.Insns, Digest: Digest(r.Insns),
		FuncInfo: r.FuncInfo, LineInfo: r.LineInfo, CoreRelo: r.CoreRelo,
		AttachBTFID: r.Attr.AttachBTFID,
	}
	if r.BTF != nil {
		raw.BTF = r.BTF.BTF
	}
	return raw
}

func caps(s object.CapSet) desc.Caps {
	return desc.Caps{
		BPF: s.Has(object.CapBPF), Perfmon: s.Has(object.CapPerfmon),
		NetAdmin: s.Has(object.CapNetAdmin), SysAdmin: s.Has(object.CapSysAdmin),
	}
}

func (l *Loader) verify(r *Request, typ *desc.ProgType, raw *prog.Raw, held *held) (*prog.Verified, error) {
	env := verifier.Env{
		Type: typ, ResolveMap: held.mapOf, Log: r.Log, Context: r.Context,
		FDArray: r.FDArray, FDArrayCount: r.Attr.FDArrayCnt, ResolveBTF: held.btf,
		Clock: func() int64 { return int64(l.Machine.Clock()) },
		CPUs:  len(l.Machine.CPUs),
	}
	v, err := verifier.Verify(raw, &env)
	if err != nil || !l.Record || l.VerifyOnly {
		return v, err
	}
	// Once more, for the states: walking without generalising may take more
	// instructions than there are, and is then done without.
	env.Log, env.Record = nil, true
	if recorded, err := verifier.Verify(raw, &env); err == nil {
		return recorded, nil
	} else if !errors.Is(err, errno.E2BIG) {
		return nil, err
	}
	return v, nil
}

// finish makes the program runnable.
func (l *Loader) finish(r *Request, raw *prog.Raw, v *prog.Verified) (*object.Prog, error) {
	code, image, err := l.translate(v)
	if err != nil {
		return nil, err
	}
	return &object.Prog{
		Name: r.Name, Tag: [8]byte(raw.Digest[:8]), LoadTime: l.Machine.BootClock(), UID: r.Task.Creds.UID,
		GPL: raw.Info.GPL, Code: code, Image: image, Owner: owner(raw, image), Stats: l.Stats,
	}, nil
}

// translate rewrites and compiles, unless the verdict is all that was wanted.
func (l *Loader) translate(v *prog.Verified) (*prog.Verified, exec.Image, error) {
	if l.VerifyOnly {
		return v, exec.Verdict{}, nil
	}
	code, err := rewrite.Run(v, rewrite.Options{Dump: l.Dump})
	if err != nil {
		return nil, nil, err
	}
	image, err := l.Engine.Compile(code, l.Link)
	return code, image, err
}
