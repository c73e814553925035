package abi

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/verifier"
)

// btfLogTrueSize is where BTF_LOAD leaves the size of its log.
const btfLogTrueSize = 28

// btfLoad mirrors bpf_btf_load and btf_new_fd.
func btfLoad(c *call) (int, error) {
	var a uapi.BTFLoadAttr
	a.Decode(c.attr[:])
	if a.BTFFlags&^uint32(uapi.BPF_F_TOKEN_FD) != 0 {
		return -1, errno.Errorf(errno.EINVAL, "unknown BTF flags %#x", a.BTFFlags)
	}
	if a.BTFFlags&uapi.BPF_F_TOKEN_FD != 0 {
		return -1, errno.Errorf(errno.EBADF, "fd %d is no BPF token", a.BTFTokenFD)
	}
	if err := c.need(object.CapBPF, "CAP_BPF"); err != nil {
		return -1, err
	}
	if a.BTFSize > kbtf.MaxSize {
		return -1, errno.Errorf(errno.E2BIG, "BTF of %d bytes; the limit is %d", a.BTFSize, kbtf.MaxSize)
	}
	log, err := verifier.NewLog(a.BTFLogLevel, a.BTFLogSize)
	if err != nil || (a.BTFLogBuf != 0) != (a.BTFLogSize != 0) {
		return -1, errno.Errorf(errno.EINVAL, "the log's level, buffer and size do not go together")
	}
	data := make([]byte, a.BTFSize)
	if err := c.mem.Read(a.BTF, data); err != nil {
		return -1, err
	}
	parsed, err := kernelTypes().Parse(data, log)
	if lerr := c.finishLog(log, a.BTFLogBuf, btfLogTrueSize); lerr != nil {
		err = lerr
	}
	if err != nil {
		return -1, err
	}
	b, err := object.NewBTF(c.Registry, parsed)
	if err != nil {
		return -1, err
	}
	return c.install(b, object.AccessRead)
}

// finishLog gives the log to the caller (bpf_vlog_finalize): its text, and the
// size it would have needed where the attribute has room for that.
func (c *call) finishLog(log *verifier.Log, buf uint64, trueSizeOff int) error {
	if log.Level() == 0 {
		return nil
	}
	if len(c.user) >= trueSizeOff+4 {
		if err := c.put(trueSizeOff, log.TrueSize()); err != nil {
			return err
		}
	}
	if buf != 0 {
		if err := c.mem.Write(buf, append([]byte(log.String()), 0)); err != nil {
			return err
		}
	}
	return log.Err()
}
