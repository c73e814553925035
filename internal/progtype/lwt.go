package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// The types of light-weight tunnels: programs at a route, on the packets that
// take it. Context access as in lwt_is_valid_access. Only before transmission
// may the packet be written.
var (
	lwtIn   = lwt(uapi.BPF_PROG_TYPE_LWT_IN, "lwt_in")
	lwtOut  = lwt(uapi.BPF_PROG_TYPE_LWT_OUT, "lwt_out")
	lwtXmit = func() desc.ProgType {
		t := lwt(uapi.BPF_PROG_TYPE_LWT_XMIT, "lwt_xmit")
		t.DirectPacketWrite = true
		return t
	}()
	lwtSeg6Local = lwt(uapi.BPF_PROG_TYPE_LWT_SEG6LOCAL, "lwt_seg6local")
)

func lwt(t uapi.ProgType, name string) desc.ProgType {
	return desc.ProgType{
		Type: t,
		Name: name,
		Context: skbContext([]string{"tc_classid", "data_meta", "tstamp", "wire_len", "tstamp_type", "hwtstamp"},
			[]string{"mark", "priority", "cb"}),
		Helper:        helpers.Lookup,
		PacketAccess:  true,
		NeedsNetAdmin: true,
		Sockets:       &sockets,
	}
}
