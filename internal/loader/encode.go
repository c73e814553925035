package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/skep-ebpf/skep/insn"
)

// linker makes one program's instructions final.
type linker struct {
	obj  *Object
	name string
	code asm.Instructions
	// mapFD gives the fd of a map by its name in the object.
	mapFD func(name string) (int, error)
}

// link resolves maps, data, externs and calls, and encodes the result.
func (l *linker) link() ([]byte, error) {
	starts := map[string]int{} // slot of each function
	slot := 0
	for i := range l.code {
		if s := l.code[i].Symbol(); s != "" {
			starts[s] = slot
		}
		slot += width(&l.code[i])
	}
	var out bytes.Buffer
	fn, fnStart := l.name, 0
	slot = 0
	for i := range l.code {
		ins := l.code[i]
		if s := ins.Symbol(); s != "" {
			fn, fnStart = s, slot
		}
		if err := l.resolve(&ins, fn, slot-fnStart, slot, starts); err != nil {
			return nil, fmt.Errorf("program %s, instruction %d of %s: %w", l.name, slot-fnStart, fn, err)
		}
		if err := encode(&out, ins); err != nil {
			return nil, fmt.Errorf("program %s, instruction %d of %s: %w", l.name, slot-fnStart, fn, err)
		}
		slot += width(&ins)
	}
	return out.Bytes(), nil
}

// inCallOrder returns a copy of a program in which each function stands behind
// the first one that names it, and ahead of what that names next: the order that
// libbpf appends them in (bpf_object__reloc_code), so that programs have the same
// tag.
func inCallOrder(code asm.Instructions) asm.Instructions {
	funcs := map[string]asm.Instructions{}
	from := 0
	for i := 1; i <= len(code); i++ {
		if i == len(code) || code[i].Symbol() != "" {
			funcs[code[from].Symbol()] = code[from:i]
			from = i
		}
	}
	out := make(asm.Instructions, 0, len(code))
	var appendFunc func(name string)
	appendFunc = func(name string) {
		body, ok := funcs[name]
		if !ok {
			return
		}
		delete(funcs, name)
		out = append(out, body...)
		for i := range body {
			if body[i].IsFunctionReference() {
				appendFunc(body[i].Reference())
			}
		}
	}
	appendFunc(code[0].Symbol())
	return out
}

func width(i *asm.Instruction) int {
	if i.OpCode.IsDWordLoad() {
		return 2
	}
	return 1
}

// resolve replaces what an instruction refers to by name. inFn is its slot from
// the start of the function that it stands in.
func (l *linker) resolve(ins *asm.Instruction, fn string, inFn, slot int, starts map[string]int) error {
	ref := ins.Reference()
	switch {
	case ins.IsFunctionReference():
		target, ok := starts[ref]
		if !ok {
			if ref == "" {
				return nil // already an offset
			}
			return fmt.Errorf("function %s is not in the object", ref)
		}
		ins.Constant = int64(target - slot - 1)
	case ins.IsLoadFromMap() && ref == "" && ins.Src == asm.PseudoMapValue:
		return l.kconfig(ins, fn, inFn)
	case ins.IsLoadFromMap():
		fd, err := l.mapFD(ref)
		if err != nil {
			return err
		}
		ins.Constant = ins.Constant&^0xffffffff | int64(uint32(fd))
	case ins.IsKfuncCall():
		return l.kfunc(ins, ref)
	case ins.OpCode.IsDWordLoad() && ref != "":
		// An address in the kernel: skep's has no variables that programs may
		// name, so only weak ones resolve, to 0.
		if !l.obj.externs.weak[ref] {
			return fmt.Errorf("the kernel has no symbol %s (declare it __weak to go on without)", ref)
		}
		ins.Constant, ins.Src = 0, 0
	case ref != "" && ins.OpCode.Class().IsJump():
		target, ok := starts[ref]
		if !ok {
			return fmt.Errorf("symbol %s is not in the object", ref)
		}
		ins.Offset = int16(target - slot - 1)
	}
	return nil
}

// poison is what libbpf calls in place of a kfunc that is not there
// (POISON_CALL_KFUNC_BASE): verification fails if the call can be reached.
const poison = 2002000000

func (l *linker) kfunc(ins *asm.Instruction, name string) error {
	if !l.obj.externs.weak[name] {
		return fmt.Errorf("the kernel has no kfunc %s (declare it __weak to go on without)", name)
	}
	ins.Src, ins.Constant = 0, poison
	return nil
}

// kconfig points an instruction at a variable of .kconfig, which only the
// relocation in the file names.
func (l *linker) kconfig(ins *asm.Instruction, fn string, inFn int) error {
	at := l.obj.externs.funcs[fn]
	name, ok := l.obj.externs.refs[place{at.section, at.offset + uint64(inFn)*insn.Size}]
	if !ok {
		return fmt.Errorf("a load from a map that is not named")
	}
	m := l.obj.Spec.Maps[kconfigSection]
	if m == nil {
		return fmt.Errorf("extern %s: the object has no %s", name, kconfigSection)
	}
	ds, _ := m.Value.(*btf.Datasec)
	if ds == nil {
		return fmt.Errorf("extern %s: %s has no BTF", name, kconfigSection)
	}
	for _, v := range ds.Vars {
		if v.Type.TypeName() != name {
			continue
		}
		fd, err := l.mapFD(kconfigSection)
		if err != nil {
			return err
		}
		ins.Constant = int64(v.Offset)<<32 | int64(uint32(fd))
		return nil
	}
	return fmt.Errorf("extern %s is not in %s", name, kconfigSection)
}

// encode writes an instruction. Helper calls are encoded here because the
// library's encoding of them depends on the host.
func encode(out *bytes.Buffer, ins asm.Instruction) error {
	if ins.IsBuiltinCall() {
		out.Write(insn.Encode([]insn.Instruction{insn.Call(int32(ins.Constant))}))
		return nil
	}
	_, err := ins.Marshal(out, binary.LittleEndian)
	return err
}
