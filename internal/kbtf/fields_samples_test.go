package kbtf

import "fmt"

// special adds the structure of each special field that is one: its size, with
// a member that fills it. Their ids are in the map.
func special(b *blob) map[Special]uint32 {
	ids := map[Special]uint32{}
	b.int()
	id := uint32(2)
	for i := range specials {
		k := Special(1) << i
		if k&pointers != 0 {
			continue
		}
		b.t("", KindArray, 0, 0, 1, 1, k.Size()/4)
		b.t(k.String(), KindStruct, 1, k.Size()).m("opaque", id, 0)
		ids[k] = id + 1
		id += 2
	}
	return ids
}

// fieldSamples has structures with fields that the kernel manages.
func fieldSamples(s *set) {
	first := func() (*blob, map[Special]uint32, uint32) {
		b := new(blob)
		ids := special(b)
		return b, ids, uint32(2 + 2*len(ids))
	}
	for i := range specials {
		k := Special(1) << i
		if k&pointers != 0 {
			continue
		}
		for _, off := range []uint32{0, 4, 8, 12} {
			b, ids, _ := first()
			s.addf(b.t("x", KindStruct, 1, 64).m("f", ids[k], 8*off), "%v at %d", k, off)
		}
		b, ids, _ := first()
		s.addf(b.t("x", KindStruct, 2, 128).m("f", ids[k], 0).m("g", ids[k], 512), "two %v", k)
		b, ids, next := first()
		s.addf(b.t("", KindArray, 0, 0, ids[k], 1, 2).t("x", KindStruct, 1, 128).m("f", next, 0), "array of %v", k)
		b, ids, next = first()
		s.addf(b.t("td", KindTypedef, 0, ids[k]).t("x", KindStruct, 1, 128).m("f", next, 0), "typedef of %v", k)
		b, ids, _ = first()
		s.addf(b.t("x", KindStruct, 2, 128).m("i", 1, 3).m("f", ids[k], 512), "%v behind a member inside of a byte", k)
		b, ids, next = first()
		s.addf(b.t("x", KindStruct, 1, 32).m("f", ids[k], 0).t("y", KindStruct, 2, 64).m("l", ids[SpinLock], 0).m("f", next, 64), "%v in a member", k)
		for j := range specials {
			if o := Special(1) << j; o&pointers == 0 {
				b, ids, _ := first()
				s.addf(b.t("x", KindStruct, 2, 128).m("f", ids[k], 0).m("g", ids[o], 512), "%v and %v", k, o)
			}
		}
	}
	for _, size := range []uint32{1, 4, 8} { // a structure of the name, but of another size
		b := new(blob).int().t("bpf_spin_lock", KindStruct, 0, size).t("x", KindStruct, 1, 16).m("l", 2, 0)
		s.addf(b, "spin lock of %d bytes", size)
	}
	graphSamples(s)
	pointerSamples(s)
}

// graphSamples has lists and trees, with the tags that say what they hold.
func graphSamples(s *set) {
	for _, root := range []Special{ListHead, RBRoot} {
		node := map[Special]Special{ListHead: ListNode, RBRoot: RBNode}[root]
		other := (ListNode | RBNode) &^ node
		for _, tag := range []string{"contains:elem:node", "contains:elem:gone", "contains:gone:node", "contains:elem", "contains:elem:", "contains::node",
			"contain", "contains:elem:node:x", "contains:elem:data"} {
			for _, shape := range []string{"plain", "no lock", "twice", "wrong node", "wrong place", "on the struct", "two members", "lock behind"} {
				b := new(blob)
				ids := special(b)
				next := uint32(2 + 2*len(ids))
				n, off := ids[node], uint32(0)
				if shape == "wrong node" {
					n = ids[other]
				}
				if shape == "wrong place" {
					off = 32
				}
				name2 := "data"
				if shape == "two members" {
					name2 = "node"
				}
				b.t("elem", KindStruct, 2, 48).m("node", n, off).m(name2, 1, 320)
				lock, at, rootAt := uint32(SpinLock), uint32(512), uint32(0)
				if shape == "no lock" {
					lock = uint32(ListHead)
				}
				if shape == "lock behind" {
					at = 128
				}
				comp := uint32(0)
				if shape == "no lock" {
					b.t("x", KindStruct, 1, 72).m("root", ids[root], rootAt)
				} else {
					b.t("x", KindStruct, 2, 72).m("root", ids[root], rootAt).m("lock", ids[Special(lock)], at)
				}
				if shape == "on the struct" {
					comp = ^uint32(0)
				}
				b.t(tag, KindDeclTag, 0, next+1, comp)
				if shape == "twice" {
					b.t(tag, KindDeclTag, 0, next+1, comp)
				}
				s.addf(b, "%v %q %s", root, tag, shape)
			}
		}
	}
	for _, inner := range []Special{ListHead, RBRoot, 0} { // holders that are held
		b := new(blob)
		ids := special(b)
		next := uint32(2 + 2*len(ids))
		b.t("leaf", KindStruct, 1, 32).m("node", ids[ListNode], 0) // next
		if inner == 0 {
			b.t("elem", KindStruct, 1, 24).m("node", ids[ListNode], 0) // next+1
		} else {
			b.t("elem", KindStruct, 3, 72).m("node", ids[ListNode], 0).m("root", ids[inner], 256).m("lock", ids[SpinLock], 512)
			b.t("contains:"+map[Special]string{ListHead: "leaf:node", RBRoot: "leaf:node"}[inner], KindDeclTag, 0, next+1, 1)
		}
		b.t("top", KindStruct, 3, 72).m("node", ids[ListNode], 0).m("root", ids[ListHead], 256).m("lock", ids[SpinLock], 512)
		top := next + 2
		if inner != 0 {
			top++
		}
		b.t("contains:elem:node", KindDeclTag, 0, top, 1)
		s.addf(b, "a held holder of holders by %v", inner)
	}
	b := new(blob)
	ids := special(b)
	next := uint32(2 + 2*len(ids))
	b.t("self", KindStruct, 3, 72).m("node", ids[ListNode], 0).m("root", ids[ListHead], 256).m("lock", ids[SpinLock], 512)
	b.t("contains:self:node", KindDeclTag, 0, next, 1)
	s.add("a holder of itself", b)
}

// pointerSamples has pointers with type tags.
func pointerSamples(s *set) {
	targets := []string{"", "mine", "task_struct", "sk_buff", "cgroup", "bpf_cpumask", "cpumask", "net_device", "sock", "nf_conn", "bpf_crypto_ctx"}
	for _, tag := range []string{"kptr", "kptr_untrusted", "percpu_kptr", "uptr", "user", "rcu", "kptrx"} {
		for _, target := range targets {
			for _, flag := range []uint32{0, flagged} {
				b := new(blob).int().t(target, KindStruct, 1, 8).m("a", 1, 0)
				b.t(tag, KindTypeTag, flag, 2).t("", KindPtr, 0, 3)
				s.addf(b.t("x", KindStruct, 1, 16).m("p", 4, 0), "%s to %q flag %#x", tag, target, flag)
			}
		}
		shape := func(name string, build func(b *blob)) {
			b := new(blob).int().t("mine", KindStruct, 1, 8).m("a", 1, 0).t(tag, KindTypeTag, 0, 2) // 3
			build(b)
			s.addf(b, "%s %s", tag, name)
		}
		shape("volatile", func(b *blob) { b.t("", KindPtr, 0, 3).t("", KindVolatile, 0, 4).t("x", KindStruct, 1, 16).m("p", 5, 0) })
		shape("const", func(b *blob) { b.t("", KindPtr, 0, 3).t("", KindConst, 0, 4).t("x", KindStruct, 1, 16).m("p", 5, 0) })
		shape("twice tagged", func(b *blob) {
			b.t("more", KindTypeTag, 0, 3).t("", KindPtr, 0, 4).t("x", KindStruct, 1, 16).m("p", 5, 0)
		})
		shape("at 4", func(b *blob) { b.t("", KindPtr, 0, 3).t("x", KindStruct, 1, 16).m("p", 4, 32) })
		shape("to int", func(b *blob) {
			b.t(tag, KindTypeTag, 0, 1).t("", KindPtr, 0, 4).t("x", KindStruct, 1, 16).m("p", 5, 0)
		})
		shape("to const", func(b *blob) {
			b.t("", KindConst, 0, 2).t(tag, KindTypeTag, 0, 4).t("", KindPtr, 0, 5).t("x", KindStruct, 1, 16).m("p", 6, 0)
		})
		for _, n := range []uint32{0, 1, 2, 11, 12, 100} {
			shape(fmt.Sprint("array of ", n), func(b *blob) {
				b.t("", KindPtr, 0, 3).t("", KindArray, 0, 0, 4, 1, n).t("x", KindStruct, 1, 1024).m("p", 5, 0)
			})
			shape(fmt.Sprint("beside an array of ", n), func(b *blob) {
				b.t("", KindPtr, 0, 3).t("", KindArray, 0, 0, 4, 1, n).t("x", KindStruct, 2, 1024).m("p", 5, 0).m("q", 4, 8*1000)
			})
			shape(fmt.Sprint("in structs in an array of ", n), func(b *blob) {
				b.t("", KindPtr, 0, 3).t("in", KindStruct, 2, 16).m("p", 4, 0).m("q", 4, 64).
					t("", KindArray, 0, 0, 5, 1, n).t("x", KindStruct, 2, 2000).m("p", 4, 0).m("a", 6, 64)
			})
		}
	}
	for _, tags := range [][2]string{{"kptr", "user"}, {"user", "kptr"}, {"uptr", "kptr"}, {"kptr", "kptr_untrusted"}} {
		b := new(blob).int().t("mine", KindStruct, 1, 8).m("a", 1, 0)
		b.t(tags[0], KindTypeTag, 0, 2).t("", KindPtr, 0, 3).t(tags[1], KindTypeTag, 0, 2).t("", KindPtr, 0, 5)
		s.addf(b.t("x", KindStruct, 2, 16).m("p", 4, 0).m("q", 6, 64), "both %v", tags)
	}
}
