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

// Type is one type. Which fields mean something depends on the kind.
type Type struct {
	Kind Kind
	// KindFlag is the flag of the same name: bit-field offsets in members, a
	// union forward, a signed enumeration.
	KindFlag bool
	Name     string
	// Size in bytes of integers, floats, structures, unions, enumerations and
	// sections.
	Size uint32
	// Ref is the type that pointers, modifiers, typedefs, functions, variables
	// and tags refer to, the element of an array and the result of a prototype.
	Ref ID
	// Members of a structure or union, parameters of a prototype, variables of a
	// section.
	Members []Member
	// Values of an enumeration.
	Values []Value
	// Array.
	Index ID
	Elems uint32
	// Int is the encoding of an integer.
	Int Int
	// Linkage of functions and variables.
	Linkage Linkage
	// Component of a declaration tag: the member or parameter, -1 for the whole.
	Component int32
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

// Linkage is how far a function or variable is visible.
type Linkage uint8

// Linkages. Variables have Static and Global only.
const (
	Static Linkage = iota
	Global
	Extern
)
