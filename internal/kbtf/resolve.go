package kbtf

import (
	"math"

	"github.com/skep-ebpf/skep/internal/errno"
)

// visit is how far the resolver is with a type.
type visit uint8

const (
	unvisited visit = iota
	onPath
	resolved
)

// stopping says at which types a walk does not go on, because they can be
// checked later without missing a loop (enum resolve_mode). It is settled by the
// first pointer, structure or array that a walk meets.
type stopping uint8

const (
	undecided stopping = iota
	byPointer          // a pointer may lead to any complete type
	byValue            // a structure or array contains no more than a pointer
)

// stops says whether the walk ends at a kind (env_type_is_resolve_sink).
func (s stopping) stops(k Kind) bool {
	switch s {
	case byPointer:
		return !k.IsModifier() && k != KindPtr
	case byValue:
		return !k.IsModifier() && k != KindArray && !k.IsComposite()
	}
	return !k.refers()
}

// resolver follows what types refer to, depth first, on a path of bounded
// length: it finds loops, things that have no size where one is needed, and
// members that do not fit.
type resolver struct {
	*parser
	state []visit
	mode  stopping
	path  []step
}

// step is a type on the path, with the number of its members that were seen.
type step struct {
	id   ID
	next int
}

// resolvers says how the kinds that refer to others are resolved. A function
// either goes on with another type (enter) or is done with its own (leave).
var resolvers [numKinds]func(*resolver, step) error

func init() {
	resolvers = [numKinds]func(*resolver, step) error{
		KindPtr:      (*resolver).pointer,
		KindTypedef:  (*resolver).modifier,
		KindVolatile: (*resolver).modifier,
		KindConst:    (*resolver).modifier,
		KindRestrict: (*resolver).modifier,
		KindTypeTag:  (*resolver).modifier,
		KindArray:    (*resolver).array,
		KindStruct:   (*resolver).members,
		KindUnion:    (*resolver).members,
		KindFunc:     (*resolver).function,
		KindVar:      (*resolver).variable,
		KindDatasec:  (*resolver).section,
		KindDeclTag:  (*resolver).tag,
	}
}

// resolveAll mirrors btf_check_all_types.
func (p *parser) resolveAll() error {
	n := len(p.btf.types)
	p.btf.behind, p.btf.bytes = make([]ID, n), make([]uint32, n)
	p.whole = true
	r := resolver{parser: p, state: make([]visit, n)}
	for id := ID(1); id < ID(n); id++ {
		kind := p.btf.types[id].Kind
		if kind.refers() && r.state[id] != resolved {
			if err := r.walk(id); err != nil {
				return err
			}
		}
		if kind == KindFuncProto {
			if err := r.prototype(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outcomes of a step that end the walk; the kernel's E2BIG and EEXIST.
var (
	errDepth = errno.Errorf(errno.E2BIG, "bad BTF: types are nested more than %d deep", maxResolveDepth)
	errLoop  = errno.Errorf(errno.EEXIST, "bad BTF: a type contains itself")
)

// walk resolves a type and all that it needs (btf_resolve).
func (r *resolver) walk(root ID) error {
	r.mode, r.path = undecided, r.path[:0]
	err := r.enter(root)
	for err == nil && len(r.path) > 0 {
		top := r.path[len(r.path)-1]
		err = resolvers[r.btf.types[top.id].Kind](r, top)
	}
	switch err {
	case errDepth:
		r.sayType(r.at(root), false, "Exceeded max resolving depth:32")
	case errLoop:
		r.sayType(r.at(root), false, "Loop detected")
	}
	return err
}

// enter goes on with another type (env_stack_push).
func (r *resolver) enter(id ID) error {
	if len(r.path) == maxResolveDepth {
		return errDepth
	}
	if r.state[id] != unvisited {
		return errLoop
	}
	r.state[id] = onPath
	r.path = append(r.path, step{id: id})
	if r.mode == undecided {
		switch k := r.btf.types[id].Kind; {
		case k == KindPtr:
			r.mode = byPointer
		case k == KindArray || k.IsComposite():
			r.mode = byValue
		}
	}
	return nil
}

// leave is done with the type at the end of the path.
func (r *resolver) leave(behind ID, size uint32) error {
	id := r.path[len(r.path)-1].id
	r.path = r.path[:len(r.path)-1]
	r.btf.behind[id], r.btf.bytes[id], r.state[id] = behind, size, resolved
	return nil
}

// pending says whether the walk has to go through a type first.
func (r *resolver) pending(id ID) bool {
	return !r.mode.stops(r.btf.types[id].Kind) && r.state[id] != resolved
}

// target is what a type refers to, when such a reference may be.
func (r *resolver) target(id ID) (*Type, bool) {
	t := r.btf.Type(id)
	return t, t != nil && !t.Kind.sourceOnly()
}

func (r *resolver) badRef(id ID) error { return r.bad(r.at(id), "Invalid type_id") }

// modifier mirrors btf_modifier_resolve.
func (r *resolver) modifier(s step) error {
	ref := r.btf.types[s.id].Ref
	if _, ok := r.target(ref); !ok {
		return r.badRef(s.id)
	}
	if r.pending(ref) {
		return r.enter(ref)
	}
	return r.leaveBehind(s.id, ref)
}

// pointer mirrors btf_ptr_resolve.
func (r *resolver) pointer(s step) error {
	ref := r.btf.types[s.id].Ref
	t, ok := r.target(ref)
	if !ok {
		return r.badRef(s.id)
	}
	if r.pending(ref) {
		return r.enter(ref)
	}
	if next, ok := r.pointerBehind(t, ref); ok {
		return r.enter(next)
	}
	return r.leaveBehind(s.id, ref)
}

// pointerBehind finds the pointer at which a walk by value stopped, when this
// walk must go on from there.
func (r *resolver) pointerBehind(t *Type, id ID) (ID, bool) {
	if !t.Kind.IsModifier() {
		return 0, false
	}
	next := r.btf.behind[id]
	return next, r.btf.types[next].Kind == KindPtr && r.pending(next)
}

// leaveBehind is done with a pointer or modifier. What it refers to may be
// incomplete, but must be something: void, a forward declaration, a prototype.
func (r *resolver) leaveBehind(id, ref ID) error {
	if sized, t, _ := r.btf.Sized(ref); t != nil {
		return r.leave(sized, 0)
	}
	if r.state[ref] == resolved {
		ref = r.btf.behind[ref]
	}
	switch r.btf.types[ref].Kind {
	case KindVoid, KindFwd, KindFuncProto:
		return r.leave(ref, 0)
	}
	return r.badRef(id)
}

// variable mirrors btf_var_resolve: a variable needs a complete type.
func (r *resolver) variable(s step) error {
	ref := r.btf.types[s.id].Ref
	t, ok := r.target(ref)
	if !ok {
		return r.badRef(s.id)
	}
	if r.pending(ref) {
		return r.enter(ref)
	}
	if next, ok := r.pointerBehind(t, ref); ok {
		return r.enter(next)
	}
	sized, t, _ := r.btf.Sized(ref)
	if t == nil {
		return r.badRef(s.id)
	}
	return r.leave(sized, 0)
}

// array mirrors btf_array_resolve.
func (r *resolver) array(s step) error {
	a := &r.btf.types[s.id]
	index, next, err := r.part(s.id, a.Index, "Invalid index")
	if err != nil || next {
		return err
	}
	if index == nil || index.Kind != KindInt || !index.Int.regular() {
		return r.bad(r.at(s.id), "Invalid index")
	}
	elem, next, err := r.part(s.id, a.Ref, "Invalid elem")
	if err != nil || next {
		return err
	}
	id, _, size := r.btf.Sized(a.Ref)
	switch {
	case elem == nil:
		return r.bad(r.at(s.id), "Invalid elem")
	case elem.Kind == KindInt && !elem.Int.regular():
		return r.bad(r.at(s.id), "Invalid array of int")
	case uint64(size)*uint64(a.Elems) > math.MaxUint32:
		return r.bad(r.at(s.id), "Array size overflows U32_MAX")
	}
	return r.leave(id, size*a.Elems)
}

// part is the type behind the index or element of an array; next when the walk
// has to go on with it.
func (r *resolver) part(array, id ID, wrong string) (t *Type, next bool, err error) {
	if t, ok := r.target(id); !ok || t.Kind.noSize() {
		return nil, false, r.bad(r.at(array), "%s", wrong)
	}
	if r.pending(id) {
		return nil, true, r.enter(id)
	}
	_, t, _ = r.btf.Sized(id)
	return t, false, nil
}

// members mirrors btf_struct_resolve. A member is checked when its type is
// resolved.
func (r *resolver) members(s step) error {
	t := &r.btf.types[s.id]
	if s.next > 0 {
		if err := r.member(s.id, s.next-1); err != nil {
			return err
		}
	}
	for i := s.next; i < len(t.Members); i++ {
		id := t.Members[i].Type
		if mt, ok := r.target(id); !ok || mt.Kind.noSize() {
			return r.badMember(r.at(s.id), i, id, "Invalid member")
		}
		if r.pending(id) {
			r.path[len(r.path)-1].next = i + 1
			return r.enter(id)
		}
		if err := r.member(s.id, i); err != nil {
			return err
		}
	}
	return r.leave(0, 0)
}

// section mirrors btf_datasec_resolve. Each variable starts a walk of its own.
func (r *resolver) section(s step) error {
	r.mode = undecided
	t := &r.btf.types[s.id]
	for i := s.next; i < len(t.Members); i++ {
		v := r.btf.Type(t.Members[i].Type)
		if v == nil || v.Kind != KindVar {
			return r.badVar(r.at(s.id), i, "Not a VAR kind member")
		}
		if id := t.Members[i].Type; r.pending(id) {
			r.path[len(r.path)-1].next = i + 1
			return r.enter(id)
		}
		_, sized, size := r.btf.Sized(v.Ref)
		switch {
		case sized == nil:
			return r.badVar(r.at(s.id), i, "Invalid type")
		case t.Members[i].Bits < size:
			return r.badVar(r.at(s.id), i, "Invalid size")
		}
	}
	return r.leave(0, 0)
}

// function mirrors btf_func_check: all parameters have names.
func (r *resolver) function(s step) error {
	proto := r.btf.Type(r.btf.types[s.id].Ref)
	if proto == nil || proto.Kind != KindFuncProto {
		return r.badRef(s.id)
	}
	ref := r.btf.types[s.id].Ref
	args := r.at(ref)
	for i := range args.vlen() {
		if a := args.entry(8, i); word(a, 0) == 0 && word(a, 1) != 0 {
			return r.bad(r.at(s.id), "Invalid arg#%d", i+1)
		}
	}
	return r.leave(ref, 0)
}

// tag mirrors btf_decl_tag_resolve.
func (r *resolver) tag(s step) error {
	t := &r.btf.types[s.id]
	target := r.btf.Type(t.Ref)
	if target == nil {
		return r.badRef(s.id)
	}
	switch target.Kind {
	case KindFunc, KindStruct, KindUnion, KindVar, KindTypedef:
	default:
		return r.badRef(s.id)
	}
	if r.pending(t.Ref) {
		return r.enter(t.Ref)
	}
	if n := r.components(target); t.Component != -1 && int(t.Component) >= n {
		return r.bad(r.at(s.id), "Invalid component_idx")
	}
	return r.leave(t.Ref, 0)
}

// components is how many members or parameters a tag can stand at.
func (r *resolver) components(t *Type) int {
	switch t.Kind {
	case KindStruct, KindUnion:
		return len(t.Members)
	case KindFunc:
		return len(r.btf.types[t.Ref].Members)
	}
	return 0
}

// prototype mirrors btf_func_proto_check.
func (r *resolver) prototype(id ID) error {
	t := &r.btf.types[id]
	if t.Ref != 0 {
		if err := r.passed(id, t.Ref, "Invalid return type", 0); err != nil {
			return err
		}
	}
	proto := r.at(id)
	n := proto.vlen()
	if n > 0 && t.Members[n-1].Type == 0 {
		if word(proto.entry(8, n-1), 0) != 0 {
			return r.bad(proto, "Invalid arg#%d", n)
		}
		n--
	}
	for i := range n {
		name := word(proto.entry(8, i), 0)
		if err := r.passed(id, t.Members[i].Type, "Invalid arg#"+utoa(uint32(i+1)), name); err != nil {
			return err
		}
	}
	return nil
}

// passed checks the type of a result or parameter, and the parameter's name:
// what is passed has a size.
func (r *resolver) passed(proto, id ID, wrong string, name uint32) error {
	t, ok := r.target(id)
	if !ok || name != 0 && !(r.nameIn(name) && r.namedBy(name, identifier)) {
		return r.bad(r.at(proto), "%s", wrong)
	}
	if t.Kind.refers() && r.state[id] != resolved {
		if err := r.walk(id); err != nil {
			return err
		}
	}
	if _, t, _ := r.btf.Sized(id); t == nil {
		return r.bad(r.at(proto), "%s", wrong)
	}
	return nil
}

// tagOrder holds that type tags stand before all other modifiers of a type
// (btf_check_type_tags).
func (p *parser) tagOrder() error {
	b := p.btf
	for i := range b.types {
		t := &b.types[i]
		if t.Kind.IsModifier() && t.Kind != KindTypeTag && b.types[t.Ref].Kind == KindTypeTag {
			return p.fail(errno.EINVAL, "Type tags don't precede modifiers")
		}
	}
	return nil
}
