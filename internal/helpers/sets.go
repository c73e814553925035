package helpers

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// maxFunc is one more than the highest helper id of Linux 6.18.
const maxFunc = int(uapi.BPF_FUNC_cgrp_storage_delete) + 1

// set is the helpers that a program type may call, by id.
type set [maxFunc]*helper

// newSet joins families; where two have the same id the later one wins.
func newSet(families ...[]helper) set {
	var s set
	for _, f := range families {
		for i := range f {
			s[f[i].ID] = &f[i]
		}
	}
	return s
}

func (s *set) lookup(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper {
	if int64(id) >= int64(maxFunc) || s[id] == nil || !s[id].need.granted(p.Caps) {
		return nil
	}
	return &s[id].Helper
}

// The families of bpf_base_func_proto, which all program types have, and of
// bpf_sk_base_func_proto for those of the network.
var base = [][]helper{mapHelpers, timeHelpers, ringbufHelpers, textHelpers, controlHelpers,
	taskHelpers, printHelpers, probeHelpers}

func with(families ...[]helper) [][]helper {
	return append(append([][]helper(nil), base...), families...)
}

// The sets, as sk_filter_func_proto, tc_cls_act_func_proto and xdp_func_proto.
var (
	socketFilterSet = newSet(with(skbReadHelpers, skbEventHelpers)...)
	schedSet        = newSet(with(skbReadHelpers, skbEventHelpers, skbWriteHelpers, csumDiffHelpers,
		csumHelpers, vlanHelpers, roomHelpers, skbMetaHelpers, tunnelHelpers, redirectHelpers, routeHelpers,
		sockHelpers, skbSockHelpers)...)
	xdpSet = newSet(with(csumDiffHelpers, xdpHelpers, xdpEventHelpers, sockHelpers, xdpRouteHelpers)...)
)

// ForSocketFilter is get_func_proto of socket filters.
func ForSocketFilter(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper {
	return socketFilterSet.lookup(id, p)
}

// ForSched is get_func_proto of classifiers and actions.
func ForSched(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper { return schedSet.lookup(id, p) }

// ForXDP is get_func_proto of XDP programs.
func ForXDP(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper { return xdpSet.lookup(id, p) }

// Supported lists the helpers that a program type may call in skep, by id, when
// it has every privilege.
func Supported(t uapi.ProgType) []uapi.FuncID {
	var ids []uapi.FuncID
	if s := setOf(t); s != nil {
		for id, h := range s {
			if h != nil {
				ids = append(ids, uapi.FuncID(id))
			}
		}
	}
	return ids
}

func setOf(t uapi.ProgType) *set {
	switch t {
	case uapi.BPF_PROG_TYPE_SOCKET_FILTER:
		return &socketFilterSet
	case uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_SCHED_ACT:
		return &schedSet
	case uapi.BPF_PROG_TYPE_XDP:
		return &xdpSet
	}
	return nil
}
