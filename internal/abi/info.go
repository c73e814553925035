package abi

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// infoLen is where OBJ_GET_INFO_BY_FD leaves how much it wrote.
const infoLen = 4

// infoByFD mirrors bpf_obj_get_info_by_fd.
func infoByFD(c *call) (int, error) {
	var a uapi.InfoAttr
	a.Decode(c.attr[:])
	f, err := c.task.File(int(int32(a.BpfFD)))
	if err != nil {
		return -1, errno.Errorf(errno.EBADFD, "%v", err)
	}
	defer f.Close()
	switch o := f.Object.(type) {
	case *object.Prog:
		return 0, c.infoOf(&a, uapi.ProgInfoEnd, uapi.SizeofProgInfo, func(b []byte) error { return c.progInfo(o, b) })
	case *object.Map:
		return 0, c.infoOf(&a, uapi.MapInfoEnd, uapi.SizeofMapInfo, func(b []byte) error { return c.mapInfo(o, b) })
	case *object.BTF:
		return 0, c.infoOf(&a, uapi.BTFInfoEnd, uapi.SizeofBTFInfo, func(b []byte) error { return c.btfInfo(o, b) })
	}
	return -1, errno.Errorf(errno.EINVAL, "there is no information about fd %d", a.BpfFD)
}

// infoOf copies the caller's structure in, lets fill work on it and copies it
// out, cut to the caller's size. What follows our last field, at end, must be
// zero.
func (c *call) infoOf(a *uapi.InfoAttr, end, size int, fill func(b []byte) error) error {
	if a.InfoLen > maxAttr {
		return errno.Errorf(errno.E2BIG, "a structure of %d bytes is more than a page", a.InfoLen)
	}
	user := make([]byte, a.InfoLen)
	if err := c.mem.Read(a.Info, user); err != nil {
		return err
	}
	b := make([]byte, size)
	if n := copy(b[:end], user); nonZero(user[n:]) {
		return errno.Errorf(errno.E2BIG, "there is something behind the %d bytes of the structure", end)
	}
	if err := fill(b); err != nil {
		return err
	}
	n := min(size, len(user))
	if err := c.mem.Write(a.Info, b[:n]); err != nil {
		return err
	}
	return c.put(infoLen, uint32(n))
}

// mapInfo mirrors bpf_map_get_info_by_fd.
func (c *call) mapInfo(m *object.Map, b []byte) error {
	s := m.Spec()
	var in uapi.MapInfo
	in.Decode(b)
	i := uapi.MapInfo{
		Type: s.Type, ID: m.ID, KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries,
		MapFlags: s.Flags, MapExtra: s.MapExtra, Hash: in.Hash, HashSize: in.HashSize,
	}
	copy(i.Name[:], m.Name)
	if m.BTF != nil {
		i.BTFID, i.BTFKeyTypeID, i.BTFValueTypeID = m.BTF.ID, s.BTFKeyTypeID, s.BTFValueTypeID
	}
	if err := c.mapHash(m, &in); err != nil {
		return err
	}
	clear(b)
	i.Encode(b)
	return nil
}

// mapHash gives the SHA-256 over the elements of a frozen array, where it is
// asked for (array_map_get_hash).
func (c *call) mapHash(m *object.Map, in *uapi.MapInfo) error {
	switch array := m.Desc().Array; {
	case in.Hash == 0 && in.HashSize == 0:
		return nil
	case in.Hash == 0 || in.HashSize != sha256.Size:
		return errno.Errorf(errno.EINVAL, "hash_size is %d; the hash of a map has %d bytes", in.HashSize, sha256.Size)
	case m.Spec().Type != uapi.BPF_MAP_TYPE_ARRAY || array == nil:
		return errno.Errorf(errno.EINVAL, "a %s map has no hash", m.Spec().Type.LibName())
	case !m.Frozen():
		return errno.Errorf(errno.EPERM, "map %d (%s) is not frozen: its hash would not last", m.ID, m.Name)
	default:
		sum, err := c.sum(array.Base, uint64(array.ElemSize)*uint64(m.Spec().MaxEntries))
		if err != nil {
			return err
		}
		return c.mem.Write(in.Hash, sum)
	}
}

// sum is the SHA-256 over memory of the kernel, which may be much.
func (c *call) sum(addr, n uint64) ([]byte, error) {
	const step = 1 << 20
	h := sha256.New()
	for ; n > 0; addr, n = addr+min(n, step), n-min(n, step) {
		if c.ctx.Err() != nil {
			return nil, errno.Errorf(errno.EINTR, "the hash was interrupted")
		}
		h.Write(mem.Bytes(addr, min(n, step)))
	}
	return h.Sum(nil), nil
}

// btfInfo mirrors btf_get_info_by_fd: as much of the data as fits, and the
// name, ENOSPC when that is cut.
func (c *call) btfInfo(o *object.BTF, b []byte) error {
	var in uapi.BTFInfo
	in.Decode(b)
	data := o.Raw()
	out := uapi.BTFInfo{BTF: in.BTF, ID: o.ID, BTFSize: uint32(len(data)), Name: in.Name, NameLen: uint32(len(o.Name))}
	if o.Kernel {
		out.KernelBTF = 1
	}
	if (in.Name == 0) != (in.NameLen == 0) {
		return errno.Errorf(errno.EINVAL, "name and name_len do not go together")
	}
	if n := min(in.BTFSize, out.BTFSize); n > 0 {
		if err := c.mem.Write(in.BTF, data[:n]); err != nil {
			return err
		}
	}
	out.Encode(b)
	if in.NameLen == 0 {
		return nil
	}
	name := append([]byte(o.Name), 0)
	if len(name) <= int(in.NameLen) {
		return c.mem.Write(in.Name, name)
	}
	cut := append(name[:in.NameLen-1:in.NameLen-1], 0)
	if err := c.mem.Write(in.Name, cut); err != nil {
		return err
	}
	return errno.Errorf(errno.ENOSPC, "the name of BTF %d has %d bytes", o.ID, len(name))
}

// progInfo mirrors bpf_prog_get_info_by_fd.
func (c *call) progInfo(p *object.Prog, b []byte) error {
	var i uapi.ProgInfo
	i.Decode(b)
	c.progFixed(p, &i)
	ids := p.Maps()
	idBytes := make([]byte, 0, 4*len(ids))
	for _, m := range ids {
		idBytes = binary.LittleEndian.AppendUint32(idBytes, m.ID)
	}
	if err := c.array(i.MapIDs, &i.NrMapIDs, idBytes, 4); err != nil {
		return err
	}
	if err := recordSizes(&i); err != nil {
		return err
	}
	if !c.capable(object.CapBPF) {
		i.JitedProgLen, i.XlatedProgLen, i.NrJitedKsyms, i.NrJitedFuncLens = 0, 0, 0, 0
		i.NrFuncInfo, i.NrLineInfo, i.NrJitedLineInfo = 0, 0, 0
		i.Encode(b)
		return nil
	}
	if err := c.progCode(p, &i); err != nil {
		return err
	}
	i.Encode(b)
	return nil
}

// progFixed fills in what needs no memory of the caller.
func (c *call) progFixed(p *object.Prog, i *uapi.ProgInfo) {
	raw := p.Code.Raw()
	i.Type, i.ID, i.Tag = raw.Type(), p.ID, p.Tag
	i.LoadTime, i.CreatedByUID = p.LoadTime, p.UID
	i.Name = [16]byte{}
	copy(i.Name[:], p.Name)
	i.Ifindex, i.NetnsDev, i.NetnsIno = 0, 0, 0
	i.GPLCompatible = 0
	if p.GPL {
		i.GPLCompatible = 1
	}
	i.BTFID, i.AttachBTFObjID, i.AttachBTFID = 0, 0, 0
	if p.BTF != nil {
		i.BTFID = p.BTF.ID
	}
	i.RunCnt, i.RunTimeNS = p.RunStats()
	i.RecursionMisses = 0
	i.VerifiedInsns = uint32(p.Code.Stats.Insns)
}

// recordSizes holds that the caller knows the records by our sizes, where it
// asks for records or names a size (set_info_rec_size).
func recordSizes(i *uapi.ProgInfo) error {
	const ksym = 8
	for _, r := range [...]struct{ count, size, known uint32 }{
		{i.NrFuncInfo, i.FuncInfoRecSize, uapi.SizeofFuncInfo},
		{i.NrLineInfo, i.LineInfoRecSize, uapi.SizeofLineInfo},
		{i.NrJitedLineInfo, i.JitedLineInfoRecSize, ksym},
	} {
		if (r.count != 0 || r.size != 0) && r.size != r.known {
			return errno.Errorf(errno.EINVAL, "records of %d bytes; the kernel's have %d", r.size, r.known)
		}
	}
	i.FuncInfoRecSize, i.LineInfoRecSize, i.JitedLineInfoRecSize = uapi.SizeofFuncInfo, uapi.SizeofLineInfo, ksym
	return nil
}

// array copies as many elements of size bytes out as the caller has room for,
// and leaves in n how many there are.
func (c *call) array(addr uint64, n *uint32, data []byte, size int) error {
	have := uint32(len(data) / size)
	room := min(*n, have)
	*n = have
	if room == 0 {
		return nil
	}
	return c.mem.Write(addr, data[:int(room)*size])
}

// progCode fills in code, functions and lines. The length of code is in bytes.
func (c *call) progCode(p *object.Prog, i *uapi.ProgInfo) error {
	if err := c.array(i.XlatedProgInsns, &i.XlatedProgLen, dump(p), 1); err != nil {
		return err
	}
	machine := p.Image.Code()
	if err := c.array(i.JitedProgInsns, &i.JitedProgLen, machine, 1); err != nil {
		return err
	}
	// One symbol for a program that was not split into functions by a JIT; an
	// interpreter's has no address to tell.
	none := make([]byte, 8)
	if err := c.array(i.JitedKsyms, &i.NrJitedKsyms, none, 8); err != nil {
		return err
	}
	if err := c.array(i.JitedFuncLens, &i.NrJitedFuncLens, binary.LittleEndian.AppendUint32(nil, uint32(len(machine))), 4); err != nil {
		return err
	}
	if err := c.array(i.FuncInfo, &i.NrFuncInfo, funcRecords(p.Code.Funcs), uapi.SizeofFuncInfo); err != nil {
		return err
	}
	if err := c.array(i.LineInfo, &i.NrLineInfo, lineRecords(p.Code.Lines), uapi.SizeofLineInfo); err != nil {
		return err
	}
	i.NrJitedLineInfo = 0
	return c.array(i.ProgTags, &i.NrProgTags, p.Tag[:], len(p.Tag))
}

func funcRecords(funcs []prog.FuncInfo) (out []byte) {
	for _, f := range funcs {
		out = binary.LittleEndian.AppendUint32(out, f.InsnOff)
		out = binary.LittleEndian.AppendUint32(out, f.TypeID)
	}
	return out
}

func lineRecords(lines []prog.LineInfo) (out []byte) {
	for _, l := range lines {
		for _, v := range [...]uint32{l.InsnOff, l.FileNameOff, l.LineOff, l.LineCol} {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
	}
	return out
}
