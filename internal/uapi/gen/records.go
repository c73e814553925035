package main

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// records are the structures that cross the ABI by pointer.
var records = []record{
	{"ProgInfo", "bpf_prog_info", "describes a program"},
	{"MapInfo", "bpf_map_info", "describes a map"},
	{"BTFInfo", "bpf_btf_info", "describes a BTF object"},
	{"LinkInfo", "bpf_link_info", "describes a link; the part that depends on the link's type follows"},
	{"TokenInfo", "bpf_token_info", "describes a token"},
	{"FuncInfo", "bpf_func_info", "ties an instruction to a BTF function"},
	{"LineInfo", "bpf_line_info", "ties an instruction to a source line"},
	{"CoreRelo", "bpf_core_relo", "is a CO-RE relocation"},
	{"IterLinkInfo", "bpf_iter_link_info", "parameterises an iterator"},
	{"BTFHeader", "btf_header", "starts a BTF object"},
	{"BTFPtr", "btf_ptr", "names a value and its BTF type for bpf_snprintf_btf"},
	{"PerfEventValue", "bpf_perf_event_value", "is what bpf_perf_event_read_value returns"},
	{"PidnsInfo", "bpf_pidns_info", "is what bpf_get_ns_current_pid_tgid returns"},
}

func genRecords(spec *btf.Spec) (*source, error) {
	s := &source{imports: []string{"encoding/binary"}}
	s.p("// Sizes of the structures, with their tail padding.")
	s.p("const (")
	for _, r := range records {
		_, size, err := structOf(spec, r.path)
		if err != nil {
			return nil, err
		}
		s.p("Sizeof%s = %d", r.goType, size)
	}
	s.p(")\n")
	for _, r := range records {
		if err := s.codec(spec, r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// contexts are the structures that programs see: what is asked of them is
// where a field lies, not its value.
var contexts = []struct{ goName, kernel string }{
	{"SkBuff", "__sk_buff"},
	{"XDPMd", "xdp_md"},
	{"Sock", "bpf_sock"},
	{"SockTuple", "bpf_sock_tuple"},
	{"TCPSock", "bpf_tcp_sock"},
	{"SkLookup", "bpf_sk_lookup"},
	{"SkMsgMd", "sk_msg_md"},
	{"SkReuseportMd", "sk_reuseport_md"},
	{"SockAddr", "bpf_sock_addr"},
	{"SockOps", "bpf_sock_ops"},
	{"Sysctl", "bpf_sysctl"},
	{"CgroupDevCtx", "bpf_cgroup_dev_ctx"},
	{"Sockopt", "bpf_sockopt"},
	{"FlowKeys", "bpf_flow_keys"},
	{"RawTracepointArgs", "bpf_raw_tracepoint_args"},
	{"PerfEventData", "bpf_perf_event_data"},
	{"PtRegs", "pt_regs"},
	{"NFCtx", "bpf_nf_ctx"},
	{"FibLookup", "bpf_fib_lookup"},
	{"TunnelKey", "bpf_tunnel_key"},
	{"XfrmState", "bpf_xfrm_state"},
	{"RedirNeigh", "bpf_redir_neigh"},
	{"DevmapVal", "bpf_devmap_val"},
	{"CpumapVal", "bpf_cpumap_val"},
	{"LPMTrieKeyHdr", "bpf_lpm_trie_key_hdr"},
	{"CgroupStorageKey", "bpf_cgroup_storage_key"},
	{"StackBuildID", "bpf_stack_build_id"},
	{"SpinLock", "bpf_spin_lock"},
	{"ResSpinLock", "bpf_res_spin_lock"},
	{"Timer", "bpf_timer"},
	{"Wq", "bpf_wq"},
	{"TaskWork", "bpf_task_work"},
	{"Dynptr", "bpf_dynptr"},
	{"ListHead", "bpf_list_head"},
	{"ListNode", "bpf_list_node"},
	{"RbRoot", "bpf_rb_root"},
	{"RbNode", "bpf_rb_node"},
	{"Refcount", "bpf_refcount"},
	{"IterNum", "bpf_iter_num"},
	{"IterBits", "bpf_iter_bits"},
}

func genContexts(spec *btf.Spec) (*source, error) {
	s := &source{}
	for _, c := range contexts {
		members, size, err := membersByName(spec, c.kernel)
		if err != nil {
			return nil, err
		}
		l, err := flatten(members, 0, "", true)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.kernel, err)
		}
		s.context(c.goName, c.kernel, size, l.fields)
	}
	s.p("// structs has every layout of this file, by the kernel's name.")
	s.p("var structs = map[string]*Struct{")
	for _, c := range contexts {
		s.p("%q: &%s,", c.kernel, c.goName)
	}
	s.p("}")
	return s, nil
}

func (s *source) context(goName, kernel string, size int, fields []field) {
	s.p("// Size of struct %s and offsets of its fields.", kernel)
	s.p("const (")
	s.p("Sizeof%s = %d", goName, size)
	for _, f := range fields {
		s.p("Off%s%s = %d", goName, camel(f.kernel), f.offset)
	}
	s.p(")\n")
	s.p("// %s is the layout of struct %s.", goName, kernel)
	s.p("var %s = Struct{Name: %q, Size: %d, Fields: []Field{", goName, kernel, size)
	for _, f := range fields {
		extra := ""
		if f.count > 0 {
			extra += fmt.Sprintf(", Elem: %d", f.elem)
		}
		if f.ptr {
			extra += ", Pointer: true"
		}
		if f.bits > 0 {
			extra += fmt.Sprintf(", Bits: %d, Shift: %d", f.bits, f.shift)
		}
		s.p("{Name: %q, Offset: %d, Size: %d%s},", f.kernel, f.offset, f.size, extra)
	}
	s.p("}}\n")
}

// cut splits a dotted path at its first dot.
func cut(path string) (first, rest string) {
	first, rest, _ = strings.Cut(path, ".")
	return first, rest
}
