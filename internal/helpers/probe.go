package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// probeHelpers read memory by addresses that may be bad.
var probeHelpers = requireAll(needPerfmon, []helper{
	fn(uapi.BPF_FUNC_probe_read_kernel, probeKernel, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_kernel_str, probeKernelString, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_user, probeUser, integer, memOut, memSize0, anything).gpl(),
	fn(uapi.BPF_FUNC_probe_read_user_str, probeUser, integer, memOut, memSize0, anything).gpl(),
})

// probed returns up to n bytes at addr, as many as belong to one live
// allocation; nil where there is none.
func probed(c *exec.CPU, addr, n uint64) []byte {
	block, ok := c.Machine.Region.Find(addr)
	if !ok {
		return nil
	}
	return mem.Bytes(addr, min(n, block.Addr+block.Size-addr))
}

// probeKernel copies from the kernel's memory, which is the region: what lies
// outside faults (bpf_probe_read_kernel).
func probeKernel(c *exec.CPU, dst, size, addr, _, _ uint64) uint64 {
	if size == 0 {
		return 0
	}
	out := mem.Bytes(dst, size)
	if src := probed(c, addr, size); len(src) == len(out) {
		copy(out, src)
		return 0
	}
	clear(out)
	return failure(errno.EFAULT)
}

// probeKernelString returns the length of the copied string with its NUL
// (strncpy_from_kernel_nofault).
func probeKernelString(c *exec.CPU, dst, size, addr, _, _ uint64) uint64 {
	if size == 0 {
		return 0
	}
	out := mem.Bytes(dst, size)
	n, ok := probeString(c, out, addr)
	if !ok {
		clear(out)
		return failure(errno.EFAULT)
	}
	return uint64(n)
}

// probeString copies a string into out and ends it with a NUL; n counts that.
func probeString(c *exec.CPU, out []byte, addr uint64) (n int, ok bool) {
	src := probed(c, addr, uint64(len(out)))
	for n < len(src) {
		out[n] = src[n]
		n++
		if out[n-1] == 0 {
			return n, true
		}
	}
	if n < len(out) {
		return 0, false
	}
	out[n-1] = 0
	return n, true
}

// probeUser finds no user memory: a run has none.
func probeUser(c *exec.CPU, dst, size, _, _, _ uint64) uint64 {
	clear(mem.Bytes(dst, size))
	return failure(errno.EFAULT)
}
