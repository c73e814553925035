package verifier

import (
	"errors"
	"strings"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
)

// Arguments of subprograms, as their BTF declares them: what a global function
// is verified with, and what its callers must pass (btf_prepare_func_args).

// argKind is what a function expects in an argument.
type argKind uint8

const (
	argScalar argKind = iota
	argCtx
	argMem
)

// subArg is one declared argument.
type subArg struct {
	kind     argKind
	nullable bool
	size     uint32 // of argMem
}

// errnoOf is the errno of an error of this package.
func errnoOf(err error) errno.Errno {
	var e *Error
	if errors.As(err, &e) {
		return e.Errno
	}
	return errno.EFAULT
}

// silent is an error that the log says nothing of.
func (v *verifier) silent(code errno.Errno, text string) error {
	return v.reject(code, ReasonBTF, text)
}

// declaredArgs works out the arguments of a subprogram from its BTF. For static
// functions the types may be anything: then there is an error, which is no
// fault.
func (v *verifier) declaredArgs(n int) error {
	sub := &v.subs[n]
	if sub.argsKnown {
		return nil
	}
	if n >= len(v.funcs) {
		return v.internal("func_info undefined")
	}
	fn := v.raw.BTF.Type(kbtf.ID(v.funcs[n].TypeID))
	if fn == nil || fn.Kind != kbtf.KindFunc {
		return v.fail(errno.EFAULT, ReasonBTF, "BTF of func#%d doesn't point to KIND_FUNC\n", n)
	}
	if sub.unreliable {
		return v.internal("unreliable BTF for function " + fn.Name + "()")
	}
	proto := v.raw.BTF.Type(fn.Ref)
	if proto == nil || proto.Kind != kbtf.KindFuncProto {
		return v.fail(errno.EFAULT, ReasonBTF, "Invalid type of function %s()\n", fn.Name)
	}
	global := v.isGlobal(n)
	if len(proto.Members) > 5 {
		if !global {
			return v.silent(errno.EINVAL, "too many arguments")
		}
		return v.fail(errno.EINVAL, ReasonBTF, "Global function %s() with %d > %d args. Buggy compiler.\n",
			fn.Name, len(proto.Members), 5)
	}
	if _, ret := v.raw.BTF.Skip(proto.Ref); !isNumber(ret) {
		if !global {
			return v.silent(errno.EINVAL, "the result is no scalar")
		}
		return v.fail(errno.EINVAL, ReasonBTF,
			"Global function %s() doesn't return scalar. Only those are supported.\n", fn.Name)
	}
	var args []subArg
	for i := range proto.Members {
		a, err := v.declaredArg(n, i, fn, proto)
		if err != nil {
			return err
		}
		args = append(args, a)
	}
	sub.args, sub.argsKnown = args, true
	return nil
}

func isNumber(t *kbtf.Type) bool {
	return t != nil && (t.Kind == kbtf.KindInt || t.Kind == kbtf.KindEnum || t.Kind == kbtf.KindEnum64)
}

// argTags are the "arg:" declaration tags on a parameter.
type argTags struct{ ctx, nonnull, other bool }

func (v *verifier) argTags(fn kbtf.ID, arg int) (tags argTags, any bool) {
	for id := kbtf.ID(1); int(id) < v.raw.BTF.Len(); id++ {
		t := v.raw.BTF.Type(id)
		if t.Kind != kbtf.KindDeclTag || t.Ref != fn || int(t.Component) != arg {
			continue
		}
		name, ok := strings.CutPrefix(t.Name, "arg:")
		if !ok {
			continue
		}
		any = true
		switch name {
		case "ctx":
			tags.ctx = true
		case "nonnull":
			tags.nonnull = true
		default:
			tags.other = true
		}
	}
	return tags, any
}

// declaredArg works out one argument.
func (v *verifier) declaredArg(n, i int, fn, proto *kbtf.Type) (subArg, error) {
	global := v.isGlobal(n)
	tags, tagged := v.argTags(kbtf.ID(v.funcs[n].TypeID), i)
	if tagged && !global {
		return subArg{}, v.fail(errno.EOPNOTSUPP, ReasonBTF, "arg#%d type tag is not supported in static functions\n", i)
	}
	if tags.other {
		return subArg{}, v.fail(errno.EOPNOTSUPP, ReasonBTF, "arg#%d has unsupported set of tags\n", i)
	}
	b := v.raw.BTF
	_, t := b.Skip(proto.Members[i].Type)
	if t == nil || t.Kind != kbtf.KindPtr {
		switch {
		case tagged:
			return subArg{}, v.fail(errno.EINVAL, ReasonBTF, "arg#%d has pointer tag, but is not a pointer type\n", i)
		case isNumber(t):
			return subArg{kind: argScalar}, nil
		case !global:
			return subArg{}, v.silent(errno.EINVAL, "an argument is neither scalar nor pointer")
		}
		kind := kbtf.KindVoid
		if t != nil {
			kind = t.Kind
		}
		return subArg{}, v.fail(errno.EINVAL, ReasonBTF, "Arg#%d type %s in %s() is not supported yet.\n", i, kind, fn.Name)
	}
	_, to := b.Skip(t.Ref)
	if tags.ctx || v.isContext(to) {
		if tags.nonnull {
			return subArg{}, v.fail(errno.EINVAL, ReasonBTF, "arg#%d has invalid combination of tags\n", i)
		}
		if !v.isContext(to) && !(to != nil && to.Kind == kbtf.KindVoid) {
			return subArg{}, v.fail(errno.EINVAL, ReasonBTF, "arg#%d type isn't a pointer to the context\n", i)
		}
		return subArg{kind: argCtx}, nil
	}
	if to != nil && to.Kind == kbtf.KindStruct && to.Name == "bpf_dynptr" {
		return subArg{}, v.unsupported("a dynptr argument")
	}
	if !global {
		return subArg{}, v.silent(errno.EINVAL, "a pointer argument of a static function")
	}
	size, ok := b.SizeOf(t.Ref)
	if !ok {
		name, kind := "", kbtf.KindVoid
		if to != nil {
			name, kind = to.Name, to.Kind
		}
		return subArg{}, v.fail(errno.EINVAL, ReasonBTF,
			"arg#%d reference type('%s %s') size cannot be determined: %d\n", i, kind, name, -int(errno.EINVAL))
	}
	return subArg{kind: argMem, nullable: !tags.nonnull, size: size}, nil
}

// contextNames are the kernel's own structures behind contexts, which functions
// may declare as well.
var contextNames = map[string]string{"__sk_buff": "sk_buff", "xdp_md": "xdp_buff"}

// isContext says whether a type is the program type's context
// (btf_is_prog_ctx_type).
func (v *verifier) isContext(t *kbtf.Type) bool {
	if t == nil || t.Kind != kbtf.KindStruct || t.Name == "" || v.typ.Context == nil {
		return false
	}
	name := v.typ.Context.Name
	return t.Name == name || t.Name == contextNames[name]
}

// matchArgs checks what is passed to a subprogram against its declaration
// (btf_check_subprog_call). For static functions the result only says whether
// the declaration can be relied on.
func (v *verifier) matchArgs(n int, regs *[insn.NumRegs]reg) error {
	if !v.hasFuncInfo() || v.subs[n].unreliable {
		return v.silent(errno.EINVAL, "the function's arguments are not known")
	}
	err := v.matchDeclared(n, regs)
	if err != nil {
		v.subs[n].unreliable = true
	}
	return err
}

func (v *verifier) matchDeclared(n int, regs *[insn.NumRegs]reg) error {
	if err := v.declaredArgs(n); err != nil {
		return err
	}
	for i, a := range v.subs[n].args {
		no := insn.Reg(i + 1)
		r := &regs[no]
		switch a.kind {
		case argScalar:
			if r.typ != scalar {
				return v.fail(errno.EINVAL, ReasonType, "R%d is not a scalar\n", no)
			}
		case argCtx:
			if err := v.checkArgOffset(r, no, 0); err != nil {
				return err
			}
			if r.typ != ptrCtx {
				return v.fail(errno.EINVAL, ReasonType, "arg#%d expects pointer to ctx\n", i)
			}
		case argMem:
			if err := v.checkArgOffset(r, no, 0); err != nil {
				return err
			}
			if err := v.passMem(no, int(a.size)); err != nil {
				return v.recode(err, errno.EINVAL)
			}
			if !a.nullable && r.typ&orNull != 0 {
				return v.fail(errno.EINVAL, ReasonType, "arg#%d is expected to be non-NULL\n", i)
			}
		}
	}
	return nil
}

// recode gives an error another errno.
func (v *verifier) recode(err error, code errno.Errno) error {
	if e, ok := err.(*Error); ok {
		e.Errno = code
	}
	return err
}

// passMem checks memory that is passed to a global function, which may read and
// write it (check_mem_reg).
func (v *verifier) passMem(n insn.Reg, size int) error {
	r := v.reg(n)
	if r.isZero() {
		return nil
	}
	saved := *r
	if r.typ&orNull != 0 {
		v.markNotNull(r)
	}
	err := v.helperMem(nil, n, size, false, true, nil)
	if err == nil {
		err = v.helperMem(nil, n, size, true, true, nil)
	}
	if saved.typ&orNull != 0 {
		*v.reg(n) = saved
	}
	return err
}

// setDeclared gives the registers of a function that is verified on its own what
// its declaration says.
func (v *verifier) setDeclared(n int, f *frame) error {
	if err := v.declaredArgs(n); err != nil {
		return err
	}
	for i, a := range v.subs[n].args {
		r := &f.regs[i+1]
		switch a.kind {
		case argScalar:
			v.setUnknown(r)
		case argCtx:
			r.setPointer(ptrCtx)
		case argMem:
			r.setPointer(ptrMem)
			r.to.num = int32(a.size)
			if a.nullable {
				r.typ |= orNull
				r.id = v.newID()
			}
		}
	}
	return nil
}

// mainReliable says whether the main function's declaration can be relied on: one
// argument, the context.
func (v *verifier) mainReliable() bool {
	if v.declaredArgs(0) != nil {
		return false
	}
	args := v.subs[0].args
	return len(args) == 1 && args[0].kind == argCtx
}
