package helpers

import (
	"bytes"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// printHelpers format text.
var printHelpers = []helper{
	fn(uapi.BPF_FUNC_trace_printk, tracePrintk),
	fn(uapi.BPF_FUNC_trace_vprintk, traceVprintk),
	fn(uapi.BPF_FUNC_snprintf, snprintf).checksFormat(checkFormat),
}

const (
	// maxPrintArgs is MAX_BPRINTF_VARARGS.
	maxPrintArgs = 12
	// traceArgs is how many registers are left for arguments of trace_printk.
	traceArgs = 3
	// traceLine is MAX_BPRINTF_BUF, the longest line with its NUL.
	traceLine = 1024
)

func tracePrintk(c *exec.CPU, f, size, a1, a2, a3 uint64) uint64 {
	var args [8 * traceArgs]byte
	for i, a := range [...]uint64{a1, a2, a3} {
		for j := range 8 {
			args[8*i+j] = byte(a >> (8 * j))
		}
	}
	return trace(c, mem.Bytes(f, size), args[:])
}

func traceVprintk(c *exec.CPU, f, size, args, argsLen, _ uint64) uint64 {
	if !argsOK(args, argsLen) {
		return failure(errno.EINVAL)
	}
	return trace(c, mem.Bytes(f, size), mem.Bytes(args, argsLen))
}

func argsOK(args, n uint64) bool {
	return n&7 == 0 && n <= 8*maxPrintArgs && (n == 0 || args != 0)
}

// trace formats a line and hands it to the machine's trace.
func trace(c *exec.CPU, f, args []byte) uint64 {
	end := bytes.IndexByte(f, 0)
	if end < 0 {
		return failure(errno.EINVAL)
	}
	out, n, e := format(c, traceLine, f[:end], args)
	if e != 0 {
		return failure(e)
	}
	if c.Machine.Trace != nil {
		line := out[:min(len(out), traceLine-1)]
		c.Machine.Trace(c.ID, string(bytes.TrimSuffix(line, []byte{'\n'})))
	}
	return uint64(n)
}

// maxConstString bounds the search for the end of a format string, which the
// verifier has found to be there.
const maxConstString = 1 << 20

func snprintf(c *exec.CPU, dst, size, f, args, argsLen uint64) uint64 {
	if !argsOK(args, argsLen) {
		return failure(errno.EINVAL)
	}
	out, n, e := format(c, size, cString(f, maxConstString), mem.Bytes(args, argsLen))
	if e != 0 {
		return failure(e)
	}
	if size != 0 && dst != 0 {
		b := mem.Bytes(dst, size)
		b[copy(b[:size-1], out)] = 0
	}
	return uint64(n) + 1
}
