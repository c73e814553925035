package helpers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/helpers"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// missing are the helpers that Linux lets programs of these types call and skep
// does not have, with what they wait for. The comparison below holds the list
// exact.
var missing = map[string][]uapi.FuncID{
	"objects in map values": {uapi.BPF_FUNC_timer_init, uapi.BPF_FUNC_timer_set_callback, uapi.BPF_FUNC_timer_start,
		uapi.BPF_FUNC_timer_cancel, uapi.BPF_FUNC_kptr_xchg},
	"dynamic pointers": {uapi.BPF_FUNC_dynptr_from_mem, uapi.BPF_FUNC_ringbuf_reserve_dynptr,
		uapi.BPF_FUNC_ringbuf_submit_dynptr, uapi.BPF_FUNC_ringbuf_discard_dynptr, uapi.BPF_FUNC_dynptr_read,
		uapi.BPF_FUNC_dynptr_write, uapi.BPF_FUNC_dynptr_data, uapi.BPF_FUNC_user_ringbuf_drain},
	"kernel BTF": {uapi.BPF_FUNC_per_cpu_ptr, uapi.BPF_FUNC_this_cpu_ptr, uapi.BPF_FUNC_get_current_task_btf,
		uapi.BPF_FUNC_task_pt_regs, uapi.BPF_FUNC_snprintf_btf, uapi.BPF_FUNC_find_vma,
		uapi.BPF_FUNC_get_task_stack, uapi.BPF_FUNC_skc_to_tcp6_sock, uapi.BPF_FUNC_skc_to_tcp_sock,
		uapi.BPF_FUNC_skc_to_tcp_timewait_sock, uapi.BPF_FUNC_skc_to_tcp_request_sock,
		uapi.BPF_FUNC_skc_to_udp6_sock, uapi.BPF_FUNC_skc_to_unix_sock, uapi.BPF_FUNC_skc_to_mptcp_sock},
	"local storage maps": {uapi.BPF_FUNC_task_storage_get, uapi.BPF_FUNC_task_storage_delete,
		uapi.BPF_FUNC_sk_storage_get, uapi.BPF_FUNC_sk_storage_delete, uapi.BPF_FUNC_cgrp_storage_get,
		uapi.BPF_FUNC_cgrp_storage_delete},
	"cgroup arrays": {uapi.BPF_FUNC_skb_under_cgroup, uapi.BPF_FUNC_current_task_under_cgroup},
	"device maps":   {uapi.BPF_FUNC_redirect_map},
	"tasks and perf counters": {uapi.BPF_FUNC_get_current_task, uapi.BPF_FUNC_perf_event_read,
		uapi.BPF_FUNC_perf_event_read_value, uapi.BPF_FUNC_send_signal, uapi.BPF_FUNC_send_signal_thread,
		uapi.BPF_FUNC_copy_from_user, uapi.BPF_FUNC_copy_from_user_task, uapi.BPF_FUNC_get_branch_snapshot},
	"tunnel devices": {uapi.BPF_FUNC_skb_set_tunnel_key, uapi.BPF_FUNC_skb_set_tunnel_opt},
	"SYN cookies": {uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv4, uapi.BPF_FUNC_tcp_raw_gen_syncookie_ipv6,
		uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv4, uapi.BPF_FUNC_tcp_raw_check_syncookie_ipv6},
}

func isMissing(id uapi.FuncID) bool {
	for _, ids := range missing {
		if slices.Contains(ids, id) {
			return true
		}
	}
	return false
}

var allCaps = desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}

// For every program type and helper, the live kernel knows the helper for the
// type exactly if skep does or lists it as missing, and gates it by license
// exactly if skep does.
func TestSetsLikeKernel(t *testing.T) {
	oracle.Require(t)
	for _, pt := range progtype.All() {
		t.Run(pt.Name, func(t *testing.T) {
			t.Parallel()
			info := &desc.ProgInfo{Type: pt.Type, Caps: allCaps}
			have := 0
			for id := uapi.FuncID(0); id < uapi.BPF_FUNC_cgrp_storage_delete+5; id++ {
				proto := pt.Helper(id, info)
				allowed, log := kernelAllows(pt.Type, id, "GPL")
				switch {
				case proto != nil && !allowed:
					t.Errorf("%s: kernel refuses it, skep has it\n%s", id, log)
				case proto == nil && allowed && !isMissing(id):
					t.Errorf("%s: kernel has it, skep neither has it nor lists it as missing", id)
				case proto != nil && isMissing(id):
					t.Errorf("%s is listed as missing but is there", id)
				}
				if proto == nil {
					continue
				}
				have++
				_, log = kernelAllows(pt.Type, id, "Proprietary")
				if gated := strings.Contains(log, "cannot call GPL-restricted function"); gated != proto.GPLOnly {
					t.Errorf("%s: GPL only: kernel %v, skep %v", id, gated, proto.GPLOnly)
				}
			}
			t.Logf("%s: %d helpers", pt.Name, have)
		})
	}
}

// kernelAllows asks by a call with arguments that no helper takes: what the
// kernel complains about then is the helper or the arguments.
func kernelAllows(pt uapi.ProgType, id uapi.FuncID, license string) (bool, string) {
	p := oracle.LoadProg(oracle.Prog{Type: pt, License: license, LogLevel: 1, Insns: callWithout(id)})
	defer p.Close()
	unknown := strings.Contains(p.Log, "program of this type cannot use helper") || strings.Contains(p.Log, "invalid func")
	return !unknown, p.Log
}

func callWithout(id uapi.FuncID) []insn.Instruction {
	return []insn.Instruction{
		insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, insn.R1, 0, 0, 0),
		insn.Make(insn.ClassJMP|insn.JmpCALL, 0, 0, 0, int32(id)),
		insn.Make(insn.ClassALU64|insn.OpMov|insn.SrcK, insn.R0, 0, 0, 0),
		insn.Make(insn.ClassJMP|insn.JmpEXIT, 0, 0, 0, 0),
	}
}

// Privileges take helpers away as bpf_base_func_proto does.
func TestPrivileges(t *testing.T) {
	for _, tc := range []struct {
		id             uapi.FuncID
		bpf, perfmon   bool
		plain, withBPF bool
	}{
		{id: uapi.BPF_FUNC_map_lookup_elem, plain: true, withBPF: true},
		{id: uapi.BPF_FUNC_ringbuf_reserve, plain: true, withBPF: true},
		{id: uapi.BPF_FUNC_spin_lock, withBPF: true},
		{id: uapi.BPF_FUNC_loop, withBPF: true},
		{id: uapi.BPF_FUNC_trace_printk},
		{id: uapi.BPF_FUNC_probe_read_kernel},
	} {
		get := func(c desc.Caps) bool {
			return helpers.Lookup(tc.id, &desc.ProgInfo{Type: uapi.BPF_PROG_TYPE_XDP, Caps: c}) != nil
		}
		if got := get(desc.Caps{}); got != tc.plain {
			t.Errorf("%s without privileges: %v", tc.id, got)
		}
		if got := get(desc.Caps{BPF: true}); got != tc.withBPF {
			t.Errorf("%s with CAP_BPF: %v", tc.id, got)
		}
		if !get(desc.Caps{BPF: true, Perfmon: true}) || !get(desc.Caps{SysAdmin: true}) {
			t.Errorf("%s is missing with every privilege", tc.id)
		}
	}
}

// Every prototype that verification can hand out has a body, except where the
// engines are the body.
func TestEveryHelperHasABody(t *testing.T) {
	env := helpers.Env(nil)
	for _, pt := range progtype.All() {
		for _, id := range helpers.Supported(pt.Type) {
			proto := pt.Helper(id, &desc.ProgInfo{Type: pt.Type, Caps: allCaps})
			if proto == nil {
				t.Fatalf("%s: %s is supported but not to be had", pt.Name, id)
			}
			if body := env.Helper(id, &prog.Fact{Helper: proto}); (body == nil) != (id == uapi.BPF_FUNC_tail_call) {
				t.Errorf("%s: %s: body: %v", pt.Name, id, body != nil)
			}
			if want := fmt.Sprintf("bpf_%s", id.LibName()); proto.Name != want || proto.ID != id {
				t.Errorf("%s: prototype is of %s (%s)", want, proto.Name, proto.ID)
			}
		}
		for _, h := range pt.LoadAbsHelper {
			if pt.LoadAbs && env.Helper(h.ID, &prog.Fact{Helper: h}) == nil {
				t.Errorf("%s: %s has no body", pt.Name, h.Name)
			}
		}
	}
}
