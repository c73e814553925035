package helpers

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// probeHelpers read memory by addresses that may be bad.
var probeHelpers = []helper{
	fn(uapi.BPF_FUNC_probe_read_kernel, probeKernel),
	fn(uapi.BPF_FUNC_probe_read_kernel_str, probeKernelString),
	fn(uapi.BPF_FUNC_probe_read_user, probeUser),
	fn(uapi.BPF_FUNC_probe_read_user_str, probeUserString),
}

// probed returns up to n bytes at addr, as many as belong to one live
// allocation; nil where there is none.
func probed(c *exec.CPU, addr, n uint64) []byte {
	block, ok := c.Machine.Region.Find(addr)
	if !ok {
		return nil
	}
	return mem.Bytes(addr, min(n, block.Addr+block.Size-addr))
}

// badAddress is what a read from an address outside of the region fails with:
// ERANGE where no kernel memory can be, EFAULT where there is none
// (copy_from_kernel_nofault_allowed).
func badAddress(c *exec.CPU, addr uint64) errno.Errno {
	const kernelHalf = 0xffff800000000000
	if addr < kernelHalf && !c.Machine.Region.Contains(addr, 1) {
		return errno.ERANGE
	}
	return errno.EFAULT
}

// probeKernel copies from the kernel's memory, which is the region
// (bpf_probe_read_kernel).
func probeKernel(c *exec.CPU, dst, size, addr, _, _ uint64) uint64 {
	out := mem.Bytes(dst, size)
	e := badAddress(c, addr)
	if src := probed(c, addr, size); len(src) == len(out) && (size != 0 || e != errno.ERANGE) {
		copy(out, src)
		return 0
	}
	clear(out)
	return failure(e)
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
		return failure(badAddress(c, addr))
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

// taskSize is where user addresses end (TASK_SIZE_MAX on x86-64).
const taskSize = 1<<47 - 4096

// probeUser finds no user memory: a run has none.
func probeUser(c *exec.CPU, dst, size, addr, _, _ uint64) uint64 {
	if size == 0 && addr < taskSize {
		return 0
	}
	clear(mem.Bytes(dst, size))
	return failure(errno.EFAULT)
}

func probeUserString(c *exec.CPU, dst, size, _, _, _ uint64) uint64 {
	if size == 0 {
		return 0
	}
	clear(mem.Bytes(dst, size))
	return failure(errno.EFAULT)
}
