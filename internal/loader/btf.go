package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Layout of BTF (struct btf_header, struct btf_type) as far as it matters here.
const (
	btfHeaderLen = 4
	btfTypeOff   = 8
	btfTypeLen   = 12
	btfStrOff    = 16
	btfStrLen    = 20
	btfHeader    = 24

	btfTypeSize    = 12
	btfKindDatasec = 15
	btfSecInfo     = 12
)

// btfRest is what follows a struct btf_type, by kind: so many bytes, and so many
// for each of vlen.
var btfRest = [...]struct{ once, each int }{
	1: {once: 4}, 3: {once: 12}, 4: {each: 12}, 5: {each: 12}, 6: {each: 8}, 13: {each: 8}, 14: {once: 4},
	btfKindDatasec: {each: btfSecInfo}, 17: {once: 4}, 19: {each: 12},
}

// btfRecord is a type of raw BTF with what follows it.
type btfRecord []byte

func (r btfRecord) name() uint32 { return binary.LittleEndian.Uint32(r) }
func (r btfRecord) kind() int    { return int(binary.LittleEndian.Uint32(r[4:]) >> 24 & 0x1f) }
func (r btfRecord) vlen() int    { return int(binary.LittleEndian.Uint32(r[4:]) & 0xffff) }

const btfKindVar = 14

// CheckTypes checks the form of raw BTF and the number of its types: readers
// follow them by recursion, which a long chain would take to the end of the
// stack.
func CheckTypes(raw []byte) error {
	_, _, err := btfRecords(raw)
	return err
}

// adaptKsyms gives the variables of .ksyms no type.
func adaptKsyms(raw []byte) error {
	records, strings, err := btfRecords(raw)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.kind() != btfKindDatasec || !hasString(strings, r.name(), ".ksyms") {
			continue
		}
		for info := r[btfTypeSize:]; len(info) >= btfSecInfo; info = info[btfSecInfo:] {
			id := binary.LittleEndian.Uint32(info)
			if id != 0 && uint64(id) <= uint64(len(records)) && records[id-1].kind() == btfKindVar {
				binary.LittleEndian.PutUint32(records[id-1][8:], 0)
			}
		}
	}
	return nil
}

// btfRecords cuts BTF into its types, of which the first has id 1, and gives its
// strings.
func btfRecords(raw []byte) (records []btfRecord, strings []byte, err error) {
	if len(raw) < btfHeader {
		return nil, nil, fmt.Errorf("BTF of %d bytes, which is less than its header", len(raw))
	}
	start := uint64(binary.LittleEndian.Uint32(raw[btfHeaderLen:]))
	part := func(off, size int) []byte {
		from := start + uint64(binary.LittleEndian.Uint32(raw[off:]))
		to := from + uint64(binary.LittleEndian.Uint32(raw[size:]))
		if to > uint64(len(raw)) {
			return nil
		}
		return raw[from:to]
	}
	for types := part(btfTypeOff, btfTypeLen); len(types) >= btfTypeSize; {
		r := btfRecord(types)
		size := btfTypeSize
		if k := r.kind(); k < len(btfRest) {
			size += btfRest[k].once + btfRest[k].each*r.vlen()
		}
		if size > len(types) {
			return nil, nil, fmt.Errorf("BTF ends within type %d", len(records)+1)
		}
		if len(records) == maxTypes {
			return nil, nil, fmt.Errorf("BTF of more than %d types", maxTypes)
		}
		records, types = append(records, slices.Clip(r[:size])), types[size:]
	}
	return records, part(btfStrOff, btfStrLen), nil
}

// hasString says whether the string at an offset is s.
func hasString(strings []byte, at uint32, s string) bool {
	return uint64(at) < uint64(len(strings)) && bytes.HasPrefix(strings[at:], append([]byte(s), 0))
}
