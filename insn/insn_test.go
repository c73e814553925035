package insn_test

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
)

func TestFields(t *testing.T) {
	i := insn.Make(0xb7, 3, 12, -2, -5)
	if got, want := hex.EncodeToString(insn.Encode([]insn.Instruction{i})), "b7c3fefffbffffff"; got != want {
		t.Errorf("encoded %s, want %s", got, want)
	}
	if i.Op() != 0xb7 || i.Dst() != 3 || i.Src() != 12 || i.Off() != -2 || i.Imm() != -5 {
		t.Errorf("fields of %016x: %x %d %d %d %d", uint64(i), i.Op(), i.Dst(), i.Src(), i.Off(), i.Imm())
	}
	j := insn.Instruction(0).WithImm(-5).WithOff(-2).WithSrc(12).WithDst(3).WithOp(0xb7)
	if j != i {
		t.Errorf("With… made %016x, want %016x", uint64(j), uint64(i))
	}
	k := i.WithOp(0).WithDst(0).WithSrc(0).WithOff(0).WithImm(0)
	if k != 0 {
		t.Errorf("clearing all fields left %016x", uint64(k))
	}
}

func TestDecode(t *testing.T) {
	prog := []insn.Instruction{insn.Mov64Imm(0, 1), insn.Exit()}
	got, err := insn.Decode(insn.Encode(prog))
	if err != nil || len(got) != 2 || got[0] != prog[0] || got[1] != prog[1] {
		t.Errorf("decoded %v, %v", got, err)
	}
	if _, err := insn.Decode(make([]byte, 9)); err == nil {
		t.Error("nine bytes decoded without error")
	}
}

func TestSizeBytes(t *testing.T) {
	for size, want := range map[uint8]int{insn.SizeB: 1, insn.SizeH: 2, insn.SizeW: 4, insn.SizeDW: 8} {
		if got := insn.LoadMem(size, 0, 1, 0).SizeBytes(); got != want {
			t.Errorf("size %#x is %d bytes, want %d", size, got, want)
		}
	}
}

// TestKinds holds the predicates against the names of the forms.
func TestKinds(t *testing.T) {
	for _, f := range insn.Forms() {
		i, name := f.Template(), f.Name
		jump := strings.HasPrefix(name, "j") && name != "jax" || name == "may_goto"
		for what, is := range map[string][2]bool{
			"IsWide":         {i.IsWide(), strings.HasPrefix(name, "lddw")},
			"IsCall":         {i.IsCall(), strings.HasPrefix(name, "call")},
			"IsHelperCall":   {i.IsHelperCall(), name == "call"},
			"IsSubprogCall":  {i.IsSubprogCall(), name == "call_sub"},
			"IsKfuncCall":    {i.IsKfuncCall(), name == "call_kfunc"},
			"IsFuncRef":      {i.IsFuncRef(), name == "lddw_func"},
			"IsExit":         {i.IsExit(), name == "exit"},
			"IsGoto":         {i.IsGoto(), name == "ja" || name == "jal"},
			"IsGotox":        {i.IsGotox(), name == "jax"},
			"IsMayGoto":      {i.IsMayGoto(), name == "may_goto"},
			"IsJump":         {i.IsJump(), jump},
			"IsCondJump":     {i.IsCondJump(), jump && name != "ja" && name != "jal"},
			"IsLoadAcquire":  {i.IsLoadAcquire(), strings.HasPrefix(name, "load_acquire")},
			"IsStoreRelease": {i.IsStoreRelease(), strings.HasPrefix(name, "store_release")},
		} {
			if is[0] != is[1] {
				t.Errorf("%s: %s is %v", name, what, is[0])
			}
		}
	}
}

func TestJumpOffset(t *testing.T) {
	for _, i := range []insn.Instruction{
		insn.Goto(0), insn.Gotol(0), insn.MayGoto(0),
		insn.JumpImm(insn.JmpEQ, 1, 9, 0), insn.Jump32Reg(insn.JmpSLE, 1, 2, 0),
	} {
		j, ok := i.WithJumpOffset(-7)
		if !ok || j.JumpOffset() != -7 || i.JumpOffset() != 0 {
			t.Errorf("%s: set to -7: %s, %v", i, j, ok)
		}
		if _, ok := i.WithJumpOffset(40000); ok != (i.Class() == insn.ClassJMP32 && i.IsGoto()) {
			t.Errorf("%s: set to 40000: %v", i, ok)
		}
	}
}

// TestValid checks that each form's instructions are valid, and that setting a
// field which the form does not use makes them something else or invalid.
func TestValid(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, f := range insn.Forms() {
		i, _ := valid(random, &f)
		if got := i.Form(); got == nil || got.Name != f.Name {
			t.Errorf("%s: %016x has form %v", f.Name, uint64(i), got)
			continue
		}
		internal := f.Group == insn.GroupInternal
		if i.Valid() == internal || (i.Check() == nil) == internal {
			t.Errorf("%s: valid %v, check %v", f.Name, i.Valid(), i.Check())
		}
		for field := insn.FieldDst; field <= insn.FieldImm && !internal; field++ {
			if f.Uses(field) {
				continue
			}
			if bad := spoil(i, field); bad.Valid() && bad.Form().Name == f.Name {
				t.Errorf("%s is valid with %s %016x", f.Name, field, uint64(bad))
			}
		}
	}
}

func TestCheckErrors(t *testing.T) {
	for _, c := range []struct {
		prog []insn.Instruction
		want string
	}{
		{[]insn.Instruction{insn.Exit(), insn.Make(0xff, 0, 0, 0, 0)}, "insn 1: unknown opcode ff"},
		{[]insn.Instruction{insn.Mov64Imm(1, 2).WithOff(3)}, "insn 0: mov64_imm uses the reserved offset: 0x3, must be 0x0"},
		{[]insn.Instruction{insn.Mov64Imm(12, 2)}, "insn 0: mov64_imm: no destination register r12, the last register is r10"},
		{[]insn.Instruction{insn.Atomic(insn.SizeW, 0x77, 1, 2, 0)}, "insn 0: opcode c3 has no operation for immediate 0x77"},
		{insn.LoadImm64(1, 2)[:1], "insn 0: lddw needs a second slot, but the program ends"},
		{[]insn.Instruction{insn.LoadImm64(1, 2)[0], insn.Exit()}, "insn 0: lddw does not allow the second slot 0x0000000000000095"},
		{[]insn.Instruction{insn.LoadMapFD(1, 2)[0], insn.Instruction(0).WithImm(1)}, "insn 0: lddw_map_fd does not allow the second slot 0x0000000100000000"},
		{append(insn.LoadImm64(1, 1<<40), insn.Exit().WithOff(1)), ""},
	} {
		got := ""
		if err := insn.Check(c.prog); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v:\n got %q\nwant %q", c.prog, got, c.want)
		}
	}
	var e *insn.EncodingError
	if err := insn.Check([]insn.Instruction{insn.Mov64Imm(1, 2).WithOff(3)}); !errors.As(err, &e) || e.KernelText() != "BPF_MOV uses reserved fields" {
		t.Errorf("%v is not the error that was expected", err)
	}
}

// TestConstructors holds each constructor against the assembler.
func TestConstructors(t *testing.T) {
	one := func(i insn.Instruction) []insn.Instruction { return []insn.Instruction{i} }
	for _, c := range []struct {
		got  []insn.Instruction
		text string
	}{
		{one(insn.Mov64Imm(1, -2)), "r1 = -2"},
		{one(insn.Mov64Reg(1, 2)), "r1 = r2"},
		{one(insn.Mov32Imm(1, -2)), "w1 = -2"},
		{one(insn.Mov32Reg(1, 2)), "w1 = w2"},
		{one(insn.ALU64Imm(insn.OpAdd, 1, 2)), "r1 += 2"},
		{one(insn.ALU64Reg(insn.OpDiv, 1, 2).Signed()), "r1 s/= r2"},
		{one(insn.ALU32Imm(insn.OpMod, 1, 2)), "w1 %= 2"},
		{one(insn.ALU32Reg(insn.OpArsh, 1, 2)), "w1 s>>= w2"},
		{one(insn.Neg64(1)), "r1 = -r1"},
		{one(insn.Neg32(1)), "w1 = -w1"},
		{one(insn.MovSX64(1, 2, 32)), "r1 = (s32)r2"},
		{one(insn.MovSX32(1, 2, 8)), "w1 = (s8)w2"},
		{one(insn.Bswap(1, 64)), "r1 = bswap64 r1"},
		{one(insn.EndianTo(insn.EndToBE, 1, 16)), "r1 = be16 r1"},
		{one(insn.EndianTo(insn.EndToLE, 1, 32)), "r1 = le32 r1"},
		{one(insn.AddrSpaceCast(1, 2, 0, 1)), "r1 = addr_space_cast(r2, 0, 1)"},
		{one(insn.LoadMem(insn.SizeH, 1, 2, 4)), "r1 = *(u16 *)(r2 +4)"},
		{one(insn.LoadMemSX(insn.SizeW, 1, 2, 4)), "r1 = *(s32 *)(r2 +4)"},
		{one(insn.StoreMem(insn.SizeDW, 10, -8, 2)), "*(u64 *)(r10 -8) = r2"},
		{one(insn.StoreImm(insn.SizeB, 10, -8, 2)), "*(u8 *)(r10 -8) = 2"},
		{one(insn.Atomic(insn.SizeDW, insn.AtomicXor|insn.AtomicFetch, 1, 2, 8)), "r2 = atomic64_fetch_xor((u64 *)(r1 +8), r2)"},
		{one(insn.Atomic(insn.SizeW, insn.AtomicCmpxchg, 1, 2, 8)), "r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)"},
		{one(insn.LoadAcquire(insn.SizeB, 1, 2, 8)), "r1 = load_acquire((u8 *)(r2 +8))"},
		{one(insn.StoreRelease(insn.SizeDW, 1, 8, 2)), "store_release((u64 *)(r1 +8), r2)"},
		{one(insn.LoadAbs(insn.SizeH, 12)), "r0 = *(u16 *)skb[12]"},
		{one(insn.LoadInd(insn.SizeH, 3, -12)), "r0 = *(u16 *)skb[r3 + -12]"},
		{insn.LoadImm64(1, 0x1122334455667788), "r1 = 0x1122334455667788 ll"},
		{insn.LoadMapFD(1, 7), "r1 = map[fd:7] ll"},
		{insn.LoadMapValue(1, 7, 8), "r1 = map[fd:7][0]+8 ll"},
		{insn.LoadMapIdx(1, 7), "r1 = map[idx:7] ll"},
		{insn.LoadMapIdxValue(1, 7, 8), "r1 = map[idx:7][0]+8 ll"},
		{insn.LoadBTFID(1, 7, 3), "r1 = btf[fd:3][id:7] ll"},
		{insn.LoadFunc(1, 7), "r1 = subprog[+7] ll"},
		{one(insn.Call(1)), "call unknown#1"},
		{one(insn.CallSub(-3)), "call pc-3"},
		{one(insn.CallKfunc(77, 2)), "call kfunc unknown#77@2"},
		{one(insn.Exit()), "exit"},
		{one(insn.JumpImm(insn.JmpSET, 1, -1, 4)), "if r1 & 0xffffffff goto pc+4"},
		{one(insn.JumpReg(insn.JmpSLT, 1, 2, 4)), "if r1 s< r2 goto pc+4"},
		{one(insn.Jump32Imm(insn.JmpEQ, 1, 5, 4)), "if w1 == 0x5 goto pc+4"},
		{one(insn.Jump32Reg(insn.JmpNE, 1, 2, 4)), "if w1 != w2 goto pc+4"},
		{one(insn.Goto(-4)), "goto pc-4"},
		{one(insn.Gotol(-40000)), "gotol pc-40000"},
		{one(insn.Gotox(3)), "gotox r3"},
		{one(insn.MayGoto(3)), "may_goto pc+3"},
	} {
		if got := insn.Disassemble(c.got); got != c.text+"\n" {
			t.Errorf("disassembled %q, want %q", got, c.text)
		}
		prog, err := insn.Assemble(c.text)
		if err != nil || string(insn.Encode(prog)) != string(insn.Encode(c.got)) {
			t.Errorf("%q: assembled %x, %v, want %x", c.text, insn.Encode(prog), err, insn.Encode(c.got))
		}
		if err := insn.Check(c.got); err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}
