package abi_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/oracle"
)

// subsets are the capabilities that a caller may have. No subset has
// CAP_SYS_ADMIN and another: it stands in for all of them.
var subsets = []struct {
	name string
	caps object.CapSet
}{
	{"none", 0},
	{"NET_ADMIN", object.Caps(object.CapNetAdmin)},
	{"PERFMON", object.Caps(object.CapPerfmon)},
	{"BPF", object.Caps(object.CapBPF)},
	{"BPF+NET_ADMIN", object.Caps(object.CapBPF, object.CapNetAdmin)},
	{"BPF+PERFMON", object.Caps(object.CapBPF, object.CapPerfmon)},
	{"BPF+NET_ADMIN+PERFMON", object.Caps(object.CapBPF, object.CapNetAdmin, object.CapPerfmon)},
	{"SYS_ADMIN", object.Caps(object.CapSysAdmin)},
}

// newSkepAs is a kernel under test whose caller has some capabilities only.
func newSkepAs(t testing.TB, caps object.CapSet) *box {
	return newSkep(t, skep.Credentials{Capabilities: skep.Capabilities(caps)}, false)
}

// newLiveAs is the live kernel as a thread sees it that has dropped all other
// capabilities.
func newLiveAs(t testing.TB, caps object.CapSet) *box {
	th := newThread(t)
	th.must("dropping capabilities", func() error { return dropTo(caps) })
	b := newLive(t)
	b.bpf = th.bpf
	return b
}

// dropTo leaves the calling thread only the given capabilities.
func dropTo(caps object.CapSet) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	low, high := uint32(caps), uint32(caps>>32)
	data := [2]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}
	return unix.Capset(&header, &data[0])
}

// TestPrivilegesLive runs every scenario with every set of capabilities: what is
// refused, and in which order things are looked at before it is.
func TestPrivilegesLive(t *testing.T) {
	for _, who := range subsets {
		for _, s := range append(scenarios, scenario{"privileges", privileges}) {
			t.Run(who.name+"/"+s.name, func(t *testing.T) {
				oracle.Require(t)
				compare(t, newSkepAs(t, who.caps), newLiveAs(t, who.caps), s.run)
			})
		}
	}
}
