package loader_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// host lets the loader work in a kernel that takes addresses of this process.
type host struct{ *oracle.Kernel }

func (h host) Close(fd int) error { h.CloseFD(fd); return nil }
func (h host) CPUs() int          { return h.Kernel.CPUs }

// mover gives attributes addresses of this process for those of the loader's.
type mover struct {
	mem  usermem.Mem
	pins oracle.Pins
	err  error
}

func (m *mover) move(addr *uint64, n uint32) {
	if *addr == 0 {
		return
	}
	b := make([]byte, n)
	m.err = errors.Join(m.err, m.mem.Read(*addr, b))
	*addr = m.pins.Addr(b)
}

func (m *mover) moveString(addr *uint64) {
	s, _, err := usermem.String(m.mem, *addr, 4096)
	m.err = errors.Join(m.err, err)
	*addr = m.pins.Addr(append([]byte(s), 0))
}

func (h host) BPF(mem usermem.Mem, cmd uapi.Cmd, attr []byte) (int, error) {
	m := mover{mem: mem}
	defer m.pins.Release()
	out := slices.Clone(attr)
	var log []byte
	switch cmd {
	case uapi.BPF_MAP_CREATE, uapi.BPF_MAP_FREEZE, uapi.BPF_PROG_BIND_MAP:
	case uapi.BPF_MAP_UPDATE_ELEM:
		var a uapi.MapElemAttr
		a.Decode(attr)
		info := h.mapInfo(int(a.MapFD))
		m.move(&a.Key, info.KeySize)
		m.move(&a.Value, info.ValueSize)
		a.Encode(out)
	case uapi.BPF_OBJ_GET, uapi.BPF_OBJ_PIN:
		var a uapi.ObjAttr
		a.Decode(attr)
		m.moveString(&a.Pathname)
		a.Encode(out)
	case uapi.BPF_OBJ_GET_INFO_BY_FD:
		var a uapi.InfoAttr
		a.Decode(attr)
		address := a.Info
		info := make([]byte, a.InfoLen)
		defer func() { _ = mem.Write(address, info) }()
		a.Info = m.pins.Addr(info)
		a.Encode(out)
	case uapi.BPF_BTF_LOAD:
		var a uapi.BTFLoadAttr
		a.Decode(attr)
		m.move(&a.BTF, a.BTFSize)
		a.Encode(out)
	case uapi.BPF_PROG_LOAD:
		var a uapi.ProgLoadAttr
		a.Decode(attr)
		m.move(&a.Insns, 8*a.InsnCnt)
		m.moveString(&a.License)
		m.move(&a.FuncInfo, a.FuncInfoCnt*a.FuncInfoRecSize)
		m.move(&a.LineInfo, a.LineInfoCnt*a.LineInfoRecSize)
		if a.LogBuf != 0 {
			log = make([]byte, a.LogSize)
			address := a.LogBuf
			defer func() { _ = mem.Write(address, log) }()
			a.LogBuf = m.pins.Addr(log)
		}
		a.Encode(out)
	default:
		return 0, errno.Errorf(errno.ENOTSUPP, "%v is not forwarded", cmd)
	}
	if m.err != nil {
		return 0, m.err
	}
	fd, e := h.Call(cmd, out)
	return fd, e.Err()
}

func (h host) mapInfo(fd int) (i uapi.MapInfo) {
	b, _ := h.Info(fd, uapi.SizeofMapInfo)
	i.Decode(b)
	return i
}

// asHost is skep's privileged task as a kernel for the oracle's harness.
func asHost(k *skep.Kernel) *oracle.Kernel {
	task := k.Task()
	return &oracle.Kernel{
		CPUs: oracle.PossibleCPUs(),
		Call: func(cmd uapi.Cmd, attr []byte) (int, errno.Errno) {
			n, err := task.BPF(int(cmd), attr)
			e, _ := errno.Of(err)
			return n, e
		},
		CloseFD: func(fd int) { task.CloseFD(fd) },
	}
}

// bomb is an object of n small programs that all call one function of so many
// instructions.
func bomb(n, size int) []byte {
	var text, code bytes.Buffer
	le := binary.LittleEndian
	for range size - 1 {
		_ = binary.Write(&text, le, insn.Mov64Imm(insn.R0, 1))
	}
	_ = binary.Write(&text, le, insn.Exit())
	names := append([]byte("\x00.text\x00xdp\x00.relxdp\x00.strtab\x00.symtab\x00"), "f\x00"...)
	offsets := map[string]uint32{}
	for _, s := range []string{".text", "xdp", ".relxdp", ".strtab", ".symtab", "f"} {
		offsets[s] = uint32(bytes.Index(names, append(append([]byte{0}, s...), 0)) + 1)
	}
	syms := []elf.Sym64{{}, {Name: offsets["f"], Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1, Size: uint64(8 * size)}}
	var rels bytes.Buffer
	for i := range n {
		name := uint32(len(names))
		names = append(names, 'p', byte('a'+i/26%26), byte('a'+i%26), byte('a'+i/676), 0)
		syms = append(syms, elf.Sym64{Name: name, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 2, Value: uint64(code.Len()), Size: 16})
		_ = binary.Write(&rels, le, elf.Rel64{Off: uint64(code.Len()), Info: 1<<32 | 10})
		_ = binary.Write(&code, le, insn.Call(-1).WithSrc(insn.PseudoCall))
		_ = binary.Write(&code, le, insn.Exit())
	}
	var symtab bytes.Buffer
	_ = binary.Write(&symtab, le, syms)
	return elfFile([]part{
		{elf.Section64{Name: offsets[".text"], Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}, text.Bytes()},
		{elf.Section64{Name: offsets["xdp"], Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}, code.Bytes()},
		{elf.Section64{Name: offsets[".relxdp"], Type: uint32(elf.SHT_REL), Info: 2, Link: 5, Entsize: 16}, rels.Bytes()},
		{elf.Section64{Name: offsets[".strtab"], Type: uint32(elf.SHT_STRTAB)}, names},
		{elf.Section64{Name: offsets[".symtab"], Type: uint32(elf.SHT_SYMTAB), Link: 4, Info: 1, Entsize: 24}, symtab.Bytes()},
	}, 4)
}

type part struct {
	header elf.Section64
	data   []byte
}

// elfFile puts sections together, of which one has the names.
func elfFile(parts []part, names int) []byte {
	le := binary.LittleEndian
	const header = 64
	var body bytes.Buffer
	headers := []elf.Section64{{}}
	for _, p := range parts {
		p.header.Off, p.header.Size, p.header.Addralign = uint64(header+body.Len()), uint64(len(p.data)), 8
		headers = append(headers, p.header)
		body.Write(p.data)
		body.Write(make([]byte, -body.Len()&7))
	}
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: 1, Shoff: uint64(header + body.Len()),
		Ehsize: header, Shentsize: 64, Shnum: uint16(len(headers)), Shstrndx: uint16(names),
	}
	var out bytes.Buffer
	_ = binary.Write(&out, le, h)
	out.Write(body.Bytes())
	_ = binary.Write(&out, le, headers)
	return out.Bytes()
}

// chain is an object with a variable whose type is a pointer to a pointer, n
// times.
func chain(n int) []byte {
	le := binary.LittleEndian
	strings := []byte("\x00v\x00.data\x00")
	const kindPtr, kindVar, kindDatasec = 2, 14, 15
	var types []uint32
	for i := range n {
		types = append(types, 0, kindPtr<<24, uint32(i)) // the first is to void
	}
	types = append(types, 1, kindVar<<24, uint32(n), 1)
	types = append(types, 3, kindDatasec<<24|1, 8, uint32(n+1), 0, 8)
	btf := []uint32{1<<16 | 0xeb9f, 24, 0, uint32(4 * len(types)), uint32(4 * len(types)), uint32(len(strings))}
	var raw bytes.Buffer
	_ = binary.Write(&raw, le, append(btf, types...))
	raw.Write(strings)

	names := []byte("\x00.data\x00.BTF\x00.strtab\x00.symtab\x00v\x00")
	at := func(s string) uint32 { return uint32(bytes.Index(names, append(append([]byte{0}, s...), 0)) + 1) }
	var symtab bytes.Buffer
	_ = binary.Write(&symtab, le, []elf.Sym64{{}, {Name: at("v"), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT), Shndx: 1, Size: 8}})
	return elfFile([]part{
		{elf.Section64{Name: at(".data"), Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE)}, make([]byte, 8)},
		{elf.Section64{Name: at(".BTF"), Type: uint32(elf.SHT_PROGBITS)}, raw.Bytes()},
		{elf.Section64{Name: at(".strtab"), Type: uint32(elf.SHT_STRTAB)}, names},
		{elf.Section64{Name: at(".symtab"), Type: uint32(elf.SHT_SYMTAB), Link: 3, Info: 1, Entsize: 24}, symtab.Bytes()},
	}, 3)
}
