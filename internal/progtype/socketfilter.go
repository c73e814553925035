package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// socketFilter sees the packets of a socket and says how many bytes of each
// the socket gets. Context access as in sk_filter_is_valid_access.
var socketFilter = desc.ProgType{
	Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER,
	Name: "socket_filter",
	Context: skbContext(
		[]string{"tc_classid", "data", "data_end", "data_meta", "tstamp", "wire_len", "tstamp_type", "hwtstamp"},
		[]string{"cb"}),
	Helper:        helpers.Lookup,
	LoadAbs:       true,
	LoadAbsHelper: helpers.LoadAbs,
	Unprivileged:  true,
	Sockets:       &sockets,
}
