package helpers

import (
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// timeHelpers are clocks, randomness and the number of the CPU.
var timeHelpers = []helper{
	fn(uapi.BPF_FUNC_ktime_get_ns, ktimeGet),
	fn(uapi.BPF_FUNC_ktime_get_boot_ns, ktimeGetBoot),
	fn(uapi.BPF_FUNC_ktime_get_tai_ns, ktimeGetTAI),
	fn(uapi.BPF_FUNC_ktime_get_coarse_ns, ktimeGetCoarse),
	fn(uapi.BPF_FUNC_jiffies64, jiffies64),
	fn(uapi.BPF_FUNC_get_prandom_u32, prandom),
	fn(uapi.BPF_FUNC_get_smp_processor_id, processorID),
	fn(uapi.BPF_FUNC_get_smp_processor_id, processorID).of(proto.Raw),
	fn(uapi.BPF_FUNC_get_numa_node_id, numaNode),
}

// Hz is how often jiffies count in a second (CONFIG_HZ).
const Hz = 250

// firstJiffies is INITIAL_JIFFIES: the counter starts five minutes before its
// lower half wraps.
const firstJiffies = uint64(1<<32 - 300*Hz)

const nsPerJiffy = 1e9 / Hz

func ktimeGet(c *exec.CPU, _, _, _, _, _ uint64) uint64     { return c.Machine.Clock() }
func ktimeGetBoot(c *exec.CPU, _, _, _, _, _ uint64) uint64 { return c.Machine.BootClock() }
func ktimeGetTAI(c *exec.CPU, _, _, _, _, _ uint64) uint64  { return c.Machine.TAIClock() }

// ktimeGetCoarse is the time at the last tick.
func ktimeGetCoarse(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	now := c.Machine.Clock()
	return now - now%nsPerJiffy
}

func jiffies64(c *exec.CPU, _, _, _, _, _ uint64) uint64 {
	return firstJiffies + c.Machine.Clock()/nsPerJiffy
}

func prandom(c *exec.CPU, _, _, _, _, _ uint64) uint64     { return uint64(uint32(c.Machine.Rand())) }
func processorID(c *exec.CPU, _, _, _, _, _ uint64) uint64 { return uint64(c.ID) }
func numaNode(*exec.CPU, uint64, uint64, uint64, uint64, uint64) uint64 {
	return 0
}
