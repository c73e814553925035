package kbtf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Fields finds the special fields of a structure or section, nil when it has
// none (btf_parse_fields). The bytes of a value are size. A nil Kernel has no
// types.
func (k *Kernel) Fields(b *BTF, id ID, mask Special, size uint32) (*Record, error) {
	return k.fields(&finder{b: b, mask: mask, seen: map[ID]findings{}}, id, size)
}

func (k *Kernel) fields(f *finder, id ID, size uint32) (*Record, error) {
	f.out = nil
	if err := f.find(id); err != nil || len(f.out) == 0 {
		return nil, err
	}
	b := f.b
	rec := &Record{Fields: f.out}
	next := uint32(0)
	for i := range rec.Fields {
		x := &rec.Fields[i]
		switch {
		case uint64(x.Offset)+uint64(x.Kind.Size()) > uint64(size):
			return nil, errno.Errorf(errno.EFAULT, "a %v lies outside of the value", x.Kind)
		case x.Offset < next:
			return nil, errno.Errorf(errno.EEXIST, "a %v lies over another special field", x.Kind)
		}
		next = x.Offset + x.Kind.Size()
		rec.Kinds |= x.Kind
		if err := k.complete(b, x); err != nil {
			return nil, err
		}
	}
	if err := rec.sound(); err != nil {
		return nil, err
	}
	slices.SortFunc(rec.Fields, func(x, y Field) int { return int(int64(x.Offset) - int64(y.Offset)) })
	return rec, nil
}

// complete finds what a field refers to.
func (k *Kernel) complete(b *BTF, x *Field) error {
	switch {
	case x.Kind&pointers != 0:
		return k.pointee(b, x)
	case x.Kind == ListHead:
		return b.node(x, ListNode)
	case x.Kind == RBRoot:
		return b.node(x, RBNode)
	}
	return nil
}

// pointee looks a pointer's target up among the kernel's types; one that is not
// there is the program's own (btf_parse_kptr).
func (k *Kernel) pointee(b *BTF, x *Field) error {
	if k == nil || k.Types == nil {
		return nil
	}
	name := b.types[x.Type].Name
	id := k.Types.Lookup(KindStruct, name)
	if id == 0 {
		return nil
	}
	if x.Kind == KptrRef && !k.Destructors[name] {
		return errno.Errorf(errno.ENOENT, "the kernel has no destructor for struct %s: no kptr may refer to one", name)
	}
	x.Type, x.Kernel = id, true
	return nil
}

// node finds the member by which a structure is in a list or tree
// (btf_parse_graph_root).
func (b *BTF) node(x *Field, kind Special) error {
	found := false
	for _, m := range b.types[x.Type].Members {
		if m.Name != x.Node {
			continue
		}
		t := &b.types[m.Type]
		if found || t.Kind != KindStruct || t.Name != kind.String() || m.Offset%(8*kind.info().align) != 0 {
			return errno.Errorf(errno.EINVAL, "member %.64s is no %v, or not the only one of that name", x.Node, kind)
		}
		found, x.NodeOffset = true, m.Offset/8
	}
	if !found {
		return errno.Errorf(errno.ENOENT, "there is no member %.64s", x.Node)
	}
	return nil
}

// sound checks which fields go together.
func (r *Record) sound() error {
	switch {
	case r.Has(SpinLock) && r.Has(ResSpinLock):
		return errno.Errorf(errno.EINVAL, "a value has both a bpf_spin_lock and a bpf_res_spin_lock")
	case r.Has(graphRoot) && !r.Has(SpinLock|ResSpinLock):
		return errno.Errorf(errno.EINVAL, "a list or tree has no lock beside it")
	case r.Has(ListNode) && r.Has(RBNode) && !r.Has(RefCount):
		return errno.Errorf(errno.EINVAL, "a structure is in a list and in a tree, but has no bpf_refcount")
	}
	return nil
}

const pageSize = 4096

// CheckFields checks what a record's lists, trees and pointers hold
// (btf_check_and_fixup_fields).
func (b *BTF) CheckFields(r *Record) error {
	if !r.Has(graphRoot | UserPtr) {
		return nil
	}
	for i := range r.Fields {
		x := &r.Fields[i]
		switch {
		case x.Kind == UserPtr:
			if err := b.checkUserPtr(x); err != nil {
				return err
			}
		case x.Kind&graphRoot != 0:
			held := b.records[x.Type]
			if held == nil {
				return errno.Errorf(errno.EFAULT, "a list or tree holds a structure without special fields")
			}
			// What is held by others cannot hold holders: no cycles of ownership.
			if r.Has(graphNode) && held.Has(graphRoot) {
				return errno.Errorf(errno.ELOOP, "structures that lists and trees hold could hold themselves")
			}
		}
	}
	return nil
}

func (b *BTF) checkUserPtr(x *Field) error {
	if x.Kernel {
		return errno.Errorf(errno.EINVAL, "a uptr points to a structure of the kernel")
	}
	switch size := b.types[x.Type].Size; {
	case size == 0:
		return errno.Errorf(errno.EINVAL, "a uptr points to an empty structure")
	case size > pageSize:
		return errno.Errorf(errno.E2BIG, "a uptr points to a structure larger than a page")
	}
	return nil
}

// allocated are the structures by which one that programs may allocate is known.
var allocated = []Special{SpinLock, ListHead, ListNode, RBRoot, RBNode, RefCount}

// specialFields finds the structures with special fields, which programs may
// allocate (btf_parse_struct_metas).
func (p *parser) specialFields() error {
	b := p.btf
	b.indexTags()
	known := map[ID]bool{}
	for _, s := range allocated {
		if id := b.Lookup(KindStruct, s.String()); id != 0 {
			known[id] = true
		}
	}
	for id := range b.types {
		if _, _, ok, err := b.kptr(ID(id), Kptr); ok && err == nil {
			known[ID(id)] = true
		}
	}
	if len(known) == 0 {
		return nil
	}
	b.records = map[ID]*Record{}
	f := &finder{b: b, mask: allocFields, seen: map[ID]findings{}}
	for id := range b.types {
		t := &b.types[id]
		if t.Kind != KindStruct || !slices.ContainsFunc(t.Members, func(m Member) bool { return known[m.Type] }) {
			continue
		}
		rec, err := p.kernel.fields(f, ID(id), t.Size)
		if err != nil {
			return fmt.Errorf("bad BTF: [%d] %s: %w", id, p.name(p.at(ID(id)).nameOff), err)
		}
		if rec == nil {
			return errno.Errorf(errno.EFAULT, "bad BTF: the special fields of [%d] %s are none", id, p.name(p.at(ID(id)).nameOff))
		}
		b.records[ID(id)] = rec
	}
	for id := range b.types { // in order: the first error is the kernel's
		if err := b.CheckFields(b.records[ID(id)]); err != nil {
			return err
		}
	}
	return nil
}

// indexTags finds the declaration tags that say what lists and trees hold.
func (b *BTF) indexTags() {
	b.tags = map[tagged][]ID{}
	for id := range b.types {
		if t := &b.types[id]; t.Kind == KindDeclTag && strings.HasPrefix(t.Name, containsKey) {
			at := tagged{t.Ref, t.Component}
			b.tags[at] = append(b.tags[at], ID(id))
		}
	}
}
