package kbtf

// ID numbers a type. 0 is void.
type ID uint32

// Kind is what a type is, by the numbers of the BTF format.
type Kind uint8

// Kinds of types (Documentation/bpf/btf.rst).
const (
	KindVoid Kind = iota
	KindInt
	KindPtr
	KindArray
	KindStruct
	KindUnion
	KindEnum
	KindFwd
	KindTypedef
	KindVolatile
	KindConst
	KindRestrict
	KindFunc
	KindFuncProto
	KindVar
	KindDatasec
	KindFloat
	KindDeclTag
	KindTypeTag
	KindEnum64

	numKinds
)

// String is the kind's name as the kernel logs it.
func (k Kind) String() string {
	if k < numKinds && kinds[k].label != "" {
		return kinds[k].label
	}
	return "UNKNOWN"
}

// IsModifier says whether the kind stands before another type without changing
// its layout.
func (k Kind) IsModifier() bool {
	switch k {
	case KindTypedef, KindVolatile, KindConst, KindRestrict, KindTypeTag:
		return true
	}
	return false
}

// IsComposite says whether the kind is a structure or union.
func (k Kind) IsComposite() bool { return k == KindStruct || k == KindUnion }

// hasSize says whether the type itself says its size (btf_type_has_size).
func (k Kind) hasSize() bool {
	switch k {
	case KindInt, KindStruct, KindUnion, KindEnum, KindDatasec, KindFloat, KindEnum64:
		return true
	}
	return false
}

// noSize has the kinds that no value can be of (btf_type_nosize).
func (k Kind) noSize() bool {
	return k == KindVoid || k == KindFwd || k == KindFunc || k == KindFuncProto
}

// sourceOnly has the kinds that nothing may refer to but sections and tags
// (btf_type_is_resolve_source_only).
func (k Kind) sourceOnly() bool {
	return k == KindVar || k == KindDeclTag || k == KindDatasec
}

// refers has the kinds that must be resolved before they are of use
// (btf_type_needs_resolve).
func (k Kind) refers() bool {
	switch k {
	case KindPtr, KindStruct, KindUnion, KindArray, KindVar, KindFunc, KindDeclTag, KindDatasec:
		return true
	}
	return k.IsModifier()
}

// Type is one type. Which fields mean something depends on the kind.
type Type struct {
	Kind Kind
	// KindFlag is the flag of the same name: bit-field offsets in members, a
	// union forward, a signed enumeration, an attribute instead of a tag.
	KindFlag bool
	// Linkage of functions and variables.
	Linkage Linkage
	// Int is the encoding of an integer.
	Int Int
	// Size in bytes of integers, floats, structures, unions, enumerations and
	// sections.
	Size uint32
	// Ref is the type that pointers, modifiers, typedefs, functions, variables
	// and tags refer to, the element of an array and the result of a prototype.
	Ref ID
	// Index is the type of an array's index, and Elems the number of elements.
	Index ID
	Elems uint32
	// Component of a declaration tag: the member or parameter, -1 for the whole.
	Component int32
	// Name is "" where the type has none.
	Name string
	// Members of a structure or union, parameters of a prototype, variables of a
	// section.
	Members []Member
	// Values of an enumeration.
	Values []Value
}

// Member is a member, parameter or section variable.
type Member struct {
	Name string
	Type ID
	// Offset is in bits in structures and unions, in bytes in sections.
	Offset uint32
	// Bits is the width of a bit-field, 0 for others; the size in bytes of a
	// variable in a section.
	Bits uint32
}

// Value is one value of an enumeration, sign-extended when that is signed.
type Value struct {
	Name string
	N    uint64
}

// Int is how an integer is encoded.
type Int struct {
	Signed, Char, Bool bool
	Offset             uint8 // in bits
	Bits               uint8
}

// regular says whether the integer is a whole one, of a size that C has
// (btf_type_int_is_regular).
func (i Int) regular() bool {
	switch i.Bits {
	case 8, 16, 32, 64, 128:
		return i.Offset == 0
	}
	return false
}

// Linkage is how far a function or variable is visible.
type Linkage uint8

// Linkages. Variables have Static and Global only.
const (
	Static Linkage = iota
	Global
	Extern
)
