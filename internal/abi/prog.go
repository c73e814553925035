package abi

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/load"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
	"github.com/skep-ebpf/skep/internal/verifier"
)

const (
	progLogTrueSize = 140 // where PROG_LOAD leaves the size of its log
	maxLicense      = 128
	insnSize        = 8
)

// progLoad mirrors bpf_prog_load: what may not be loaded is refused before
// anything is copied, and a failed copy leaves nothing behind.
func progLoad(c *call) (int, error) {
	var a uapi.ProgLoadAttr
	a.Decode(c.attr[:])
	if err := c.Loader.Check(&a, c.task.Creds); err != nil {
		return -1, err
	}
	r := &load.Request{Task: c.task, Attr: &a, Context: c.ctx}
	if err := c.copyProgram(&a, r); err != nil {
		return -1, err
	}
	var err error
	if r.Log, err = verifier.NewLog(a.LogLevel, a.LogSize); err != nil || (a.LogBuf != 0) != (a.LogSize != 0) {
		return -1, errno.Errorf(errno.EINVAL, "the log's level, buffer and size do not go together")
	}
	if err := c.signature(&a); err != nil {
		return -1, err
	}
	if r.BTF, err = c.progBTF(&a); err != nil {
		return -1, err
	}
	if r.BTF != nil {
		defer r.BTF.Put()
	}
	c.infoRecords(&a, r)
	p, err := c.Loader.Program(r)
	if lerr := c.finishLog(r.Log, a.LogBuf, progLogTrueSize); lerr != nil {
		if err == nil {
			p.Put()
		}
		return -1, lerr
	}
	if err != nil {
		return -1, err
	}
	return c.install(p, object.AccessBoth)
}

func (c *call) copyProgram(a *uapi.ProgLoadAttr, r *load.Request) error {
	code := make([]byte, a.InsnCnt*insnSize)
	if err := c.mem.Read(a.Insns, code); err != nil {
		return err
	}
	var err error
	if r.Insns, err = insn.Decode(code); err != nil {
		return err
	}
	license, whole, err := usermem.String(c.mem, a.License, maxLicense)
	if err != nil {
		return err
	}
	if whole {
		r.License = license
	} else {
		r.License = license[:maxLicense-1]
	}
	if c.Loader.Types(a.ProgType) == nil {
		return errno.Errorf(errno.EINVAL, "programs of type %v are not supported", a.ProgType)
	}
	r.Name, err = object.CheckName(a.ProgName[:])
	return err
}

// maxSignature is KMALLOC_MAX_CACHE_SIZE.
const maxSignature = 8192

// signature refuses signed programs: there is no keyring to check them with. A
// signature that cannot be read is ENOMEM, as in bpf_prog_verify_signature.
func (c *call) signature(a *uapi.ProgLoadAttr) error {
	if a.Signature == 0 {
		return nil
	}
	if a.SignatureSize > maxSignature {
		return errno.Errorf(errno.EINVAL, "a signature of %d bytes", a.SignatureSize)
	}
	if err := c.mem.Read(a.Signature, make([]byte, a.SignatureSize)); err != nil {
		return errno.Errorf(errno.ENOMEM, "%v", err)
	}
	return errno.Errorf(errno.EBADMSG, "there is no keyring to check the program's signature with")
}

func (c *call) progBTF(a *uapi.ProgLoadAttr) (*object.BTF, error) {
	// Relocations alone are not looked at (check_btf_info).
	if a.FuncInfoCnt == 0 && a.LineInfoCnt == 0 {
		return nil, nil
	}
	b, err := lookup[*object.BTF](c, a.ProgBTFFD, object.KindBTF)
	if err == nil && b.Kernel {
		b.Put()
		return nil, errno.Errorf(errno.EACCES, "the kernel's own BTF cannot describe a program")
	}
	return b, err
}

// Where PROG_LOAD leaves the size of the records that it knows.
const (
	funcRecordSize = 76
	lineRecordSize = 92
	coreRecordSize = 136
)

// infoRecords says where the records are that go with the program's BTF, and
// where its array of fds. The verifier copies them in as it comes to them.
func (c *call) infoRecords(a *uapi.ProgLoadAttr, r *load.Request) {
	for _, x := range []struct {
		to          *prog.InfoRecords
		addr        uint64
		size, count uint32
		known       int
	}{
		{&r.FuncInfo, a.FuncInfo, a.FuncInfoRecSize, a.FuncInfoCnt, funcRecordSize},
		{&r.LineInfo, a.LineInfo, a.LineInfoRecSize, a.LineInfoCnt, lineRecordSize},
		{&r.CoreRelo, a.CoreRelos, a.CoreReloRecSize, a.CoreReloCnt, coreRecordSize},
	} {
		var record []byte
		*x.to = prog.InfoRecords{RecSize: x.size, Count: x.count,
			Read: func(i uint32) ([]byte, error) {
				if record == nil {
					record = make([]byte, x.size)
				}
				return record, c.mem.Read(x.addr+uint64(i)*uint64(x.size), record)
			},
			Refused: func(size uint32) error { return c.put(x.known, size) },
		}
	}
	if a.FDArray != 0 {
		r.FDArray = func(i int) (int32, error) {
			fd, err := usermem.Uint32(c.mem, a.FDArray+4*uint64(i))
			return int32(fd), err
		}
	}
}

// progBindMap mirrors bpf_prog_bind_map.
func progBindMap(c *call) (int, error) {
	var a uapi.ProgBindMapAttr
	a.Decode(c.attr[:])
	if a.Flags != 0 {
		return -1, errno.Errorf(errno.EINVAL, "unknown flags %#x", a.Flags)
	}
	p, err := c.progFD(a.ProgFD)
	if err != nil {
		return -1, err
	}
	defer p.Put()
	m, err := c.mapFD(a.MapFD)
	if err != nil {
		return -1, err
	}
	p.Bind(m)
	return 0, nil
}

// enableStats mirrors bpf_enable_stats: statistics are on while the fd lives.
func enableStats(c *call) (int, error) {
	if err := c.need(object.CapSysAdmin, "CAP_SYS_ADMIN"); err != nil {
		return -1, err
	}
	if kind := c.word(0); kind != uapi.BPF_STATS_RUN_TIME {
		return -1, errno.Errorf(errno.EINVAL, "there are no statistics of type %d", kind)
	}
	return c.task.Install(c.Registry.OpenSpecial("bpf-stats", nil, c.Stats.Enable()))
}

// streamRead mirrors bpf_prog_stream_read. Programs have no kernel function that
// writes to their streams: both are always empty.
func streamRead(c *call) (int, error) {
	var a uapi.ProgStreamReadAttr
	a.Decode(c.attr[:])
	p, err := c.progFD(a.ProgFD)
	if err != nil {
		return -1, err
	}
	defer p.Put()
	const stdout, stderr = 1, 2 // BPF_STREAM_STDOUT, BPF_STREAM_STDERR
	if a.StreamID != stdout && a.StreamID != stderr {
		return -1, errno.Errorf(errno.ENOENT, "a program has no stream %d", a.StreamID)
	}
	return 0, nil
}
