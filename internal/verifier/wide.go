package verifier

import (
	"errors"
	"math"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/prog"
)

// resolveWide finds what the 64-bit immediate loads refer to, before anything is
// walked (resolve_pseudo_ldimm64), and refuses unknown opcodes.
func (v *verifier) resolveWide() error {
	// Not before: a map that is bound by fd_array is compared with no digest.
	v.digest = v.raw.Digest
	for i := 0; i < len(v.insns); i++ {
		in := v.insns[i]
		if in.Class() == insn.ClassLDX && (in.Mode() != insn.ModeMem && in.Mode() != insn.ModeMemSX || in.Imm() != 0) {
			return v.fail(errno.EINVAL, ReasonEncoding, "BPF_LDX uses reserved fields\n")
		}
		if !in.IsWide() {
			if !insn.KnownOpcode(in.Op()) {
				return v.fail(errno.EINVAL, ReasonEncoding, "unknown opcode %02x\n", in.Op())
			}
			continue
		}
		if i == len(v.insns)-1 || v.insns[i+1]&(1<<32-1) != 0 {
			return v.fail(errno.EINVAL, ReasonEncoding, "invalid bpf_ld_imm64 insn\n")
		}
		if err := v.resolveOne(i); err != nil {
			return err
		}
		i++
	}
	return nil
}

// resolveOne resolves the immediate load at i.
func (v *verifier) resolveOne(i int) error {
	in, high := v.insns[i], v.insns[i+1]
	f := &v.facts[i]
	switch in.Src() {
	case 0:
		f.Imm64 = insn.Imm64(in, high)
		return nil
	case insn.PseudoBTFID:
		return v.unsupported("the address of a kernel variable")
	case insn.PseudoFunc:
		f.Wide = prog.WideFunc
		f.Sub = int32(v.subprogAt(i + int(in.Imm()) + 1))
		return nil
	case insn.PseudoMapValue, insn.PseudoMapIdxValue:
	case insn.PseudoMapFD, insn.PseudoMapIdx:
		if high.Imm() == 0 {
			break
		}
		fallthrough
	default:
		return v.fail(errno.EINVAL, ReasonEncoding, "unrecognized bpf_ld_imm64 insn\n")
	}
	fd := in.Imm()
	if in.Src() == insn.PseudoMapIdx || in.Src() == insn.PseudoMapIdxValue {
		if v.env.FDArray == nil {
			return v.fail(errno.EPROTO, ReasonMap, "fd_idx without fd_array is invalid\n")
		}
		var err error
		if fd, err = v.env.FDArray(int(in.Imm())); err != nil {
			return v.reject(errnoOr(err, errno.EFAULT), ReasonMap, "fd_array cannot be read")
		}
	}
	idx, err := v.useMap(fd)
	if err != nil {
		return err
	}
	m := v.maps[idx-1]
	v.aux[i].mapIdx = idx
	f.Map = m
	if in.Src() == insn.PseudoMapFD || in.Src() == insn.PseudoMapIdx {
		f.Wide, f.Imm64 = prog.WideMap, m.Addr
	} else if err := v.directValue(i, m, uint32(high.Imm())); err != nil {
		return err
	}
	v.insns[i] = in.WithImm(int32(uint32(f.Imm64)))
	v.insns[i+1] = high.WithImm(int32(f.Imm64 >> 32))
	return nil
}

// directValue resolves an address inside a map's value.
func (v *verifier) directValue(i int, m *desc.Map, off uint32) error {
	if m.ValueAddr == nil {
		return v.fail(errno.EINVAL, ReasonMap, "no direct value access support for this map type\n")
	}
	if off >= maxVarOff {
		return v.fail(errno.EINVAL, ReasonMap, "direct value offset of %d is not allowed\n", off)
	}
	addr, ok := m.ValueAddr(off)
	if !ok {
		code := errno.EINVAL
		if m.MaxEntries != 1 {
			code = errno.ENOTSUPP
		}
		return v.fail(code, ReasonMap, "invalid access to map value pointer, value_size=%d off=%d\n", m.ValueSize, off)
	}
	f := &v.facts[i]
	f.Wide, f.Imm64 = prog.WideMapValue, addr
	v.aux[i].mapOff = off
	return nil
}

// errnoOr is the errno that err wraps, or another one.
func errnoOr(err error, or errno.Errno) errno.Errno {
	var e errno.Errno
	if errors.As(err, &e) {
		return e
	}
	return or
}

// bindFDArray takes up the objects of an array of fds whose length was given:
// they belong to the program whether it names them or not (process_fd_array).
func (v *verifier) bindFDArray() error {
	n := v.env.FDArrayCount
	if n == 0 {
		return nil
	}
	if n >= math.MaxUint32/4 {
		return v.fail(errno.EINVAL, ReasonMap, "fd_array_cnt is too big (%d)\n", n)
	}
	if v.env.FDArray == nil {
		return v.reject(errno.EFAULT, ReasonMap, "there is a fd_array_cnt, but no fd_array")
	}
	for i := range n {
		fd, err := v.env.FDArray(int(i))
		if err != nil {
			return v.reject(errnoOr(err, errno.EFAULT), ReasonMap, "fd_array cannot be read")
		}
		if err := v.bindFD(fd); err != nil {
			return err
		}
	}
	return nil
}

// bindFD takes up a map or BTF (add_fd_from_fd_array).
func (v *verifier) bindFD(fd int32) error {
	m, err := v.env.ResolveMap(fd)
	if err == nil {
		_, err = v.addMap(m)
		return err
	}
	if v.env.ResolveBTF != nil {
		switch berr := v.env.ResolveBTF(fd); {
		case berr == nil:
			return nil
		case errors.Is(berr, errno.E2BIG):
			return v.fail(errno.E2BIG, ReasonMap, "The total number of btfs per program has reached the limit of %d\n", maxUsedMaps)
		}
	}
	return v.fail(errnoOr(err, errno.EBADF), ReasonMap, "fd %d is not pointing to valid bpf_map or btf\n", fd)
}

// useMap adds the map behind a descriptor to those that the program uses, and
// gives its index.
func (v *verifier) useMap(fd int32) (int32, error) {
	if v.env.ResolveMap == nil {
		return 0, v.fail(errno.EBADF, ReasonMap, "fd %d is not pointing to valid bpf_map\n", fd)
	}
	m, err := v.env.ResolveMap(fd)
	if err != nil {
		return 0, v.fail(errnoOr(err, errno.EBADF), ReasonMap, "fd %d is not pointing to valid bpf_map\n", fd)
	}
	return v.addMap(m)
}

// addMap adds a map to those that the program uses, and gives its index.
func (v *verifier) addMap(m *desc.Map) (int32, error) {
	for i := range v.used {
		if v.maps[i] == m {
			return int32(i) + 1, nil
		}
	}
	if v.used >= maxUsedMaps {
		return 0, v.fail(errno.E2BIG, ReasonMap,
			"The total number of maps per program has reached the limit of %d\n", maxUsedMaps)
	}
	if err := v.compatible(m); err != nil {
		return 0, err
	}
	v.maps = append(v.maps, m)
	v.used++
	return int32(v.used), nil
}

// mapOf is the map that a register's type refers to.
func (v *verifier) mapOf(r *reg) *desc.Map { return v.maps[r.to.mapIdx-1] }

// mapIndex is the index of a map that is not used directly: the template of
// inner maps.
func (v *verifier) mapIndex(m *desc.Map) int32 {
	for i := v.used; i < len(v.maps); i++ {
		if v.maps[i] == m {
			return int32(i) + 1
		}
	}
	v.maps = append(v.maps, m)
	return int32(len(v.maps))
}

// isInner says whether the index stands for the template of inner maps.
func (v *verifier) isInner(idx int32) bool { return int(idx) > v.used }

// checkWide checks a 64-bit immediate load (check_ld_imm).
func (v *verifier) checkWide() error {
	in := v.insn
	if in.Size() != insn.SizeDW {
		return v.fail(errno.EINVAL, ReasonEncoding, "invalid BPF_LD_IMM insn\n")
	}
	if in.Off() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_LD_IMM64 uses reserved fields\n")
	}
	if err := v.clobber(in.Dst()); err != nil {
		return err
	}
	r := v.reg(in.Dst())
	f, aux := &v.facts[v.insnIdx], &v.aux[v.insnIdx]
	switch f.Wide {
	case prog.WideConst:
		r.typ = scalar
		r.setKnown(f.Imm64)
	case prog.WideFunc:
		if !v.hasFuncInfo() {
			return v.fail(errno.EINVAL, ReasonBTF, "missing btf func_info\n")
		}
		if !v.isStatic(int(f.Sub)) {
			return v.fail(errno.EINVAL, ReasonBTF, "callback function not static\n")
		}
		r.setPointer(ptrFunc)
		r.to.num = f.Sub
	case prog.WideMapValue:
		r.setPointer(ptrMapValue)
		r.off = int32(aux.mapOff)
		r.to.mapIdx = aux.mapIdx
	case prog.WideMap:
		r.setPointer(constMapPtr)
		r.to.mapIdx = aux.mapIdx
	}
	return nil
}

// checkLoadAbs checks the loads from the packet of classic BPF (check_ld_abs). A
// load beyond the packet's end ends the function with the result 0.
func (v *verifier) checkLoadAbs() error {
	in := v.insn
	if !v.typ.LoadAbs {
		return v.fail(errno.EINVAL, ReasonContext, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n")
	}
	if in.Dst() != 0 || in.Off() != 0 || in.Size() == insn.SizeDW || in.Mode() == insn.ModeAbs && in.Src() != 0 {
		return v.fail(errno.EINVAL, ReasonEncoding, "BPF_LD_[ABS|IND] uses reserved fields\n")
	}
	if err := v.readReg(insn.R6); err != nil {
		return err
	}
	if err := v.noLeaks(true, "BPF_LD_[ABS|IND]"); err != nil {
		return err
	}
	ctx := v.reg(insn.R6)
	if ctx.typ != ptrCtx {
		return v.fail(errno.EINVAL, ReasonType, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n")
	}
	if in.Mode() == insn.ModeInd {
		if err := v.readReg(in.Src()); err != nil {
			return err
		}
	}
	if err := v.unmodified(ctx, insn.R6, false); err != nil {
		return err
	}
	v.clobberArgs(v.regs())
	r0 := v.reg(insn.R0)
	v.setUnknown(r0)
	r0.zextAt = int32(v.insnIdx) + 1
	if v.cur.depth > 0 {
		v.loadsLeave = true
		return v.endEarly(v.setZero)
	}
	return nil
}
