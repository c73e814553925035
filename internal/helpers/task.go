package helpers

import (
	"os"
	"path/filepath"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// taskHelpers ask about the running task. A run belongs to the process that
// skep is part of; it is in the root cgroup.
var taskHelpers = []helper{
	fn(uapi.BPF_FUNC_get_current_pid_tgid, currentPID),
	fn(uapi.BPF_FUNC_get_ns_current_pid_tgid, currentNSPID),
	fn(uapi.BPF_FUNC_get_current_uid_gid, currentUID),
	fn(uapi.BPF_FUNC_get_current_comm, currentComm),
	fn(uapi.BPF_FUNC_get_current_cgroup_id, cgroupID),
	fn(uapi.BPF_FUNC_get_current_ancestor_cgroup_id, ancestorCgroupID),
	fn(uapi.BPF_FUNC_get_cgroup_classid, zero).of(proto.Task),
}

// zero is the body of helpers that have nothing to report.
func zero(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 { return 0 }

func currentPID(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 {
	pid := uint64(uint32(os.Getpid()))
	return pid<<32 | pid
}

// currentNSPID knows no pid namespaces, so that no device and inode match
// (bpf_get_ns_current_pid_tgid).
func currentNSPID(c *exec.CPU, _, _, out, size, _ uint64) uint64 {
	clear(mem.Bytes(out, size))
	return failure(errno.EINVAL)
}

func currentUID(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 {
	return uint64(uint32(os.Getgid()))<<32 | uint64(uint32(os.Getuid()))
}

const commLen = 16 // TASK_COMM_LEN

func currentComm(c *exec.CPU, out, size, _, _, _ uint64) uint64 {
	b := mem.Bytes(out, size)
	clear(b)
	if len(os.Args) > 0 {
		copy(b[:min(len(b)-1, commLen-1)], filepath.Base(os.Args[0]))
	}
	return 0
}

// rootCgroup is the id of the one cgroup that there is.
const rootCgroup = 1

func cgroupID(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 { return rootCgroup }

func ancestorCgroupID(_ *exec.CPU, level, _, _, _, _ uint64) uint64 {
	if int32(level) != 0 {
		return 0
	}
	return rootCgroup
}
