package kbtf

// references checks what types refer to, once all are known: that the ids
// exist, that no type contains itself by value, that members fit.
func (p *parser) references() error {
	r := resolver{p: p, state: make([]visit, len(p.btf.types))}
	for id := 1; id < len(p.btf.types); id++ {
		if err := r.check(ID(id)); err != nil {
			return err
		}
	}
	return nil
}

type visit uint8

const (
	unvisited visit = iota
	onPath
	done
)

// resolver walks the types that a type contains by value, on an explicit stack:
// the depth is the input's choice.
type resolver struct {
	p     *parser
	state []visit
	path  []step
}

type step struct {
	id   ID
	next int
}

// contained is the i-th type that t holds by value or needs resolved; ok is
// false when there are no more. Pointers end a chain: what they point to is
// checked for existence only.
func contained(t *Type, i int) (ID, bool) {
	switch t.Kind {
	case KindTypedef, KindVolatile, KindConst, KindRestrict, KindTypeTag, KindVar, KindArray:
		return t.Ref, i == 0
	case KindStruct, KindUnion, KindDatasec:
		if i < len(t.Members) {
			return t.Members[i].Type, true
		}
	}
	return 0, false
}

func (r *resolver) check(root ID) error {
	if r.state[root] == done {
		return nil
	}
	r.path = append(r.path[:0], step{id: root})
	r.state[root] = onPath
	for len(r.path) > 0 {
		top := &r.path[len(r.path)-1]
		t := &r.p.btf.types[top.id]
		child, more := contained(t, top.next)
		if !more {
			r.state[top.id] = done
			if err := r.finish(top.id, t); err != nil {
				return err
			}
			r.path = r.path[:len(r.path)-1]
			continue
		}
		top.next++
		if child == 0 {
			continue // void: finish says whether that is allowed
		}
		if r.p.btf.Type(child) == nil {
			return r.p.bad(top.id, t, "Invalid type_id")
		}
		switch r.state[child] {
		case onPath:
			return r.p.bad(top.id, t, "Loop detected")
		case unvisited:
			if len(r.path) >= maxResolveDepth {
				return r.p.bad(top.id, t, "Exceeded max resolving depth:%d", maxResolveDepth)
			}
			r.state[child] = onPath
			r.path = append(r.path, step{id: child})
		}
	}
	return nil
}

// finish checks a type whose parts are sound.
func (r *resolver) finish(id ID, t *Type) error {
	b := r.p.btf
	switch t.Kind {
	case KindPtr, KindTypedef, KindVolatile, KindConst, KindRestrict, KindTypeTag, KindFunc, KindDeclTag:
		if b.Type(t.Ref) == nil {
			return r.p.bad(id, t, "Invalid type_id")
		}
		if t.Kind == KindFunc && b.Type(t.Ref).Kind != KindFuncProto {
			return r.p.bad(id, t, "Invalid type_id")
		}
		if t.Kind == KindDeclTag {
			return r.declTag(id, t)
		}
	case KindArray:
		return r.array(id, t)
	case KindStruct, KindUnion:
		return r.members(id, t)
	case KindVar:
		if _, ok := b.SizeOf(t.Ref); !ok {
			return r.p.bad(id, t, "Invalid type_id")
		}
	case KindDatasec:
		return r.section(id, t)
	case KindFuncProto:
		return r.proto(id, t)
	}
	return nil
}

func (r *resolver) array(id ID, t *Type) error {
	b := r.p.btf
	if _, idx := b.Skip(t.Index); idx == nil || idx.Kind != KindInt {
		return r.p.bad(id, t, "Invalid index")
	}
	size, ok := b.SizeOf(t.Ref)
	if !ok {
		return r.p.bad(id, t, "Invalid elem")
	}
	if t.Elems != 0 && uint64(size)*uint64(t.Elems) > 1<<32-1 {
		return r.p.bad(id, t, "Array size overflows U32_MAX")
	}
	return nil
}

func (r *resolver) members(id ID, t *Type) error {
	b := r.p.btf
	for i := range t.Members {
		m := &t.Members[i]
		_, mt := b.Skip(m.Type)
		size, ok := b.SizeOf(m.Type)
		if !ok {
			return r.p.bad(id, t, "Invalid member")
		}
		end := (uint64(m.Offset) + 7) / 8
		switch {
		case m.Bits != 0:
			if mt.Kind != KindInt && mt.Kind != KindEnum && mt.Kind != KindEnum64 {
				return r.p.bad(id, t, "Invalid member bitfield_size")
			}
			end = (uint64(m.Offset) + uint64(m.Bits) + 7) / 8
		default:
			if m.Offset%8 != 0 && mt.Kind != KindInt {
				return r.p.bad(id, t, "Member is not byte aligned")
			}
			end = uint64(m.Offset)/8 + uint64(size)
			if mt.Kind == KindInt && m.Offset%8 != 0 {
				end = (uint64(m.Offset) + uint64(mt.Int.Bits) + 7) / 8
			}
		}
		if end > uint64(t.Size) {
			return r.p.bad(id, t, "Member exceeds struct_size")
		}
	}
	return nil
}

func (r *resolver) section(id ID, t *Type) error {
	b := r.p.btf
	for i := range t.Members {
		m := &t.Members[i]
		v := b.Type(m.Type)
		if v == nil || v.Kind != KindVar && v.Kind != KindFunc {
			return r.p.bad(id, t, "Not a VAR kind member")
		}
		if v.Kind == KindFunc {
			continue
		}
		if size, ok := b.SizeOf(v.Ref); !ok || size > m.Bits {
			return r.p.bad(id, t, "Invalid size")
		}
	}
	return nil
}

func (r *resolver) proto(id ID, t *Type) error {
	b := r.p.btf
	if t.Ref != 0 && b.Type(t.Ref) == nil {
		return r.p.bad(id, t, "Invalid return type")
	}
	for i := range t.Members {
		m := &t.Members[i]
		if m.Type == 0 && i == len(t.Members)-1 && m.Name == "" {
			continue // ...
		}
		if m.Type == 0 || b.Type(m.Type) == nil {
			return r.p.bad(id, t, "Invalid arg#%d", i+1)
		}
		if m.Name != "" && !identifier(m.Name) {
			return r.p.bad(id, t, "Invalid arg#%d", i+1)
		}
	}
	return nil
}

func (r *resolver) declTag(id ID, t *Type) error {
	b := r.p.btf
	target := b.Type(t.Ref)
	if t.Component < 0 {
		return nil
	}
	n := -1
	switch target.Kind {
	case KindStruct, KindUnion:
		n = len(target.Members)
	case KindFunc:
		if proto := b.Type(target.Ref); proto != nil {
			n = len(proto.Members)
		}
	}
	if int(t.Component) >= n {
		return r.p.bad(id, t, "Invalid component_idx")
	}
	return nil
}
