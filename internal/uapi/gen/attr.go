package main

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// attrs are the members of union bpf_attr.
var attrs = []record{
	{"MapCreateAttr", "bpf_attr.map_type", "is what BPF_MAP_CREATE reads"},
	{"MapElemAttr", "bpf_attr.map_fd", "is what the commands on one map element, and BPF_MAP_FREEZE, read"},
	{"MapBatchAttr", "bpf_attr.batch", "is what the BPF_MAP_*_BATCH commands read"},
	{"ProgLoadAttr", "bpf_attr.prog_type", "is what BPF_PROG_LOAD reads"},
	{"ObjAttr", "bpf_attr.pathname", "is what BPF_OBJ_PIN and BPF_OBJ_GET read"},
	{"ProgAttachAttr", "bpf_attr.target_fd", "is what BPF_PROG_ATTACH and BPF_PROG_DETACH read"},
	{"TestRunAttr", "bpf_attr.test", "is what BPF_PROG_TEST_RUN reads and writes"},
	{"GetIDAttr", "bpf_attr.start_id", "is what the BPF_*_GET_NEXT_ID and BPF_*_GET_FD_BY_ID commands read"},
	{"InfoAttr", "bpf_attr.info", "is what BPF_OBJ_GET_INFO_BY_FD reads"},
	{"ProgQueryAttr", "bpf_attr.query", "is what BPF_PROG_QUERY reads and writes"},
	{"RawTracepointAttr", "bpf_attr.raw_tracepoint", "is what BPF_RAW_TRACEPOINT_OPEN reads"},
	{"BTFLoadAttr", "bpf_attr.btf", "is what BPF_BTF_LOAD reads"},
	{"TaskFDQueryAttr", "bpf_attr.task_fd_query", "is what BPF_TASK_FD_QUERY reads and writes"},
	{"LinkCreateAttr", "bpf_attr.link_create", "is what BPF_LINK_CREATE reads for every type of link"},
	{"LinkUpdateAttr", "bpf_attr.link_update", "is what BPF_LINK_UPDATE reads"},
	{"LinkDetachAttr", "bpf_attr.link_detach", "is what BPF_LINK_DETACH reads"},
	{"EnableStatsAttr", "bpf_attr.enable_stats", "is what BPF_ENABLE_STATS reads"},
	{"IterCreateAttr", "bpf_attr.iter_create", "is what BPF_ITER_CREATE reads"},
	{"ProgBindMapAttr", "bpf_attr.prog_bind_map", "is what BPF_PROG_BIND_MAP reads"},
	{"TokenCreateAttr", "bpf_attr.token_create", "is what BPF_TOKEN_CREATE reads"},
	{"ProgStreamReadAttr", "bpf_attr.prog_stream_read", "is what BPF_PROG_STREAM_READ_BY_FD reads"},
}

// lastFields says which is the last member that a command reads, a fact of
// kernel/bpf/syscall.c (the *_LAST_FIELD macros) that BTF does not have. The
// tests of internal/uapi hold it against the live kernel.
var lastFields = []struct{ cmd, path string }{
	{"BPF_MAP_CREATE", "map_type.excl_prog_hash_size"},
	{"BPF_MAP_LOOKUP_ELEM", "map_fd.flags"},
	{"BPF_MAP_UPDATE_ELEM", "map_fd.flags"},
	{"BPF_MAP_DELETE_ELEM", "map_fd.key"},
	{"BPF_MAP_GET_NEXT_KEY", "map_fd.next_key"},
	{"BPF_PROG_LOAD", "prog_type.keyring_id"},
	{"BPF_OBJ_PIN", "pathname.path_fd"},
	{"BPF_OBJ_GET", "pathname.path_fd"},
	{"BPF_PROG_ATTACH", "target_fd.expected_revision"},
	{"BPF_PROG_DETACH", "target_fd.expected_revision"},
	{"BPF_PROG_TEST_RUN", "test.batch_size"},
	{"BPF_PROG_GET_NEXT_ID", "start_id.next_id"},
	{"BPF_MAP_GET_NEXT_ID", "start_id.next_id"},
	{"BPF_PROG_GET_FD_BY_ID", "start_id.prog_id"},
	{"BPF_MAP_GET_FD_BY_ID", "start_id.open_flags"},
	{"BPF_OBJ_GET_INFO_BY_FD", "info.info"},
	{"BPF_PROG_QUERY", "query.revision"},
	{"BPF_RAW_TRACEPOINT_OPEN", "raw_tracepoint.cookie"},
	{"BPF_BTF_LOAD", "btf.btf_token_fd"},
	{"BPF_BTF_GET_FD_BY_ID", "start_id.fd_by_id_token_fd"},
	{"BPF_TASK_FD_QUERY", "task_fd_query.probe_addr"},
	{"BPF_MAP_LOOKUP_AND_DELETE_ELEM", "map_fd.flags"},
	{"BPF_MAP_FREEZE", "map_fd.map_fd"},
	{"BPF_BTF_GET_NEXT_ID", "start_id.next_id"},
	{"BPF_MAP_LOOKUP_BATCH", "batch.flags"},
	{"BPF_MAP_LOOKUP_AND_DELETE_BATCH", "batch.flags"},
	{"BPF_MAP_UPDATE_BATCH", "batch.flags"},
	{"BPF_MAP_DELETE_BATCH", "batch.flags"},
	{"BPF_LINK_CREATE", "link_create.uprobe_multi.pid"},
	{"BPF_LINK_UPDATE", "link_update.old_prog_fd"},
	{"BPF_LINK_GET_FD_BY_ID", "start_id.link_id"},
	{"BPF_LINK_GET_NEXT_ID", "start_id.next_id"},
	{"BPF_ENABLE_STATS", "enable_stats.type"},
	{"BPF_ITER_CREATE", "iter_create.flags"},
	{"BPF_LINK_DETACH", "link_detach.link_fd"},
	{"BPF_PROG_BIND_MAP", "prog_bind_map.flags"},
	{"BPF_TOKEN_CREATE", "token_create.bpffs_fd"},
	{"BPF_PROG_STREAM_READ_BY_FD", "prog_stream_read.prog_fd"},
}

func genAttr(spec *btf.Spec) (*source, error) {
	s := &source{imports: []string{"encoding/binary"}}
	_, size, err := membersByName(spec, "bpf_attr")
	if err != nil {
		return nil, err
	}
	s.p("// AttrSize is the size of union bpf_attr.")
	s.p("const AttrSize = %d\n", size)
	s.p("// lastFields has, by command, the offset just after the last field that the")
	s.p("// command reads.")
	s.p("var lastFields = [...]int{")
	for _, lf := range lastFields {
		end, err := endOf(spec, lf.path)
		if err != nil {
			return nil, err
		}
		s.p("%s: %d, // %s", lf.cmd, end, lf.path)
	}
	s.p("}\n")
	for _, r := range attrs {
		if err := s.codec(spec, r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// endOf returns the offset after the member of union bpf_attr at path.
func endOf(spec *btf.Spec, path string) (int, error) {
	root, _, err := membersByName(spec, "bpf_attr")
	if err != nil {
		return 0, err
	}
	first, rest := cut(path)
	for _, m := range root {
		if !names(m, first) {
			continue
		}
		members, _, err := membersOf(m.Type)
		if err != nil {
			return 0, err
		}
		if end, ok := endIn(members, 0, rest); ok {
			return end, nil
		}
	}
	return 0, fmt.Errorf("union bpf_attr has no %s", path)
}

func endIn(members []btf.Member, base int, path string) (int, bool) {
	first, rest := cut(path)
	for _, m := range members {
		offset := base + int(m.Offset)/8
		sub, _, notStruct := membersOf(m.Type)
		switch {
		case m.Name == "" && notStruct == nil:
			if end, ok := endIn(sub, offset, path); ok {
				return end, true
			}
		case m.Name == first && rest != "" && notStruct == nil:
			return endIn(sub, offset, rest)
		case m.Name == first && rest == "":
			size, err := btf.Sizeof(m.Type)
			return offset + size, err == nil
		}
	}
	return 0, false
}
