package loader

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// Layout of an Elf64_Ehdr and an Elf64_Shdr.
const (
	identClass  = 4
	identData   = 5
	fileMachine = 18
	fileShoff   = 40
	fileShnum   = 60
	fileShstr   = 62
	fileHeader  = 64

	sectionHeader = 64
)

// header is the header of a section.
type header struct {
	name, typ, link     uint32
	flags, offset, size uint64
}

// data are the section's bytes in the file, fewer where that ends.
func (h header) data(file []byte) []byte {
	if elf.SectionType(h.typ) == elf.SHT_NOBITS || h.offset > uint64(len(file)) {
		return nil
	}
	b := file[h.offset:]
	return b[:min(h.size, uint64(len(b)))]
}

// checkHeaders checks that the file is an object for BPF, and that what its
// headers ask for is within the limits, before debug/elf follows them.
func checkHeaders(file []byte) error {
	if len(file) < fileHeader {
		return fmt.Errorf("the file ends within the ELF header")
	}
	le := binary.LittleEndian
	switch {
	case file[identData] == byte(elf.ELFDATA2MSB):
		return fmt.Errorf("a big-endian object; skep runs little-endian programs (clang -target bpfel)")
	case file[identData] != byte(elf.ELFDATA2LSB):
		return fmt.Errorf("not a sound ELF object: byte order %d", file[identData])
	}
	// Old versions of clang leave the machine out.
	if m := elf.Machine(le.Uint16(file[fileMachine:])); m != elf.EM_BPF && m != elf.EM_NONE {
		return fmt.Errorf("an object for %v, not for BPF (compile with clang -target bpf)", m)
	}
	if file[identClass] != byte(elf.ELFCLASS64) {
		return fmt.Errorf("not a 64-bit object, as all for BPF are")
	}
	headers, err := sectionHeaders(file)
	if err != nil {
		return err
	}
	if err := checkSizes(headers, uint64(len(file))); err != nil {
		return err
	}
	return checkNames(file, headers, int(le.Uint16(file[fileShstr:])))
}

func sectionHeaders(file []byte) ([]header, error) {
	le := binary.LittleEndian
	at, n := le.Uint64(file[fileShoff:]), int(le.Uint16(file[fileShnum:]))
	if n == 0 || n > maxSections {
		return nil, fmt.Errorf("an object of %d sections; there can be 1 to %d", n, maxSections)
	}
	if at > uint64(len(file)) || uint64(len(file))-at < uint64(n)*sectionHeader {
		return nil, fmt.Errorf("the section headers should be at offset %d of %d: the file was cut", at, len(file))
	}
	out := make([]header, n)
	for i := range out {
		h := file[at+uint64(i)*sectionHeader:]
		out[i] = header{
			name: le.Uint32(h), typ: le.Uint32(h[4:]), flags: le.Uint64(h[8:]),
			offset: le.Uint64(h[24:]), size: le.Uint64(h[32:]), link: le.Uint32(h[40:]),
		}
	}
	return out, nil
}

// checkSizes checks the sizes from which memory is allocated.
func checkSizes(headers []header, file uint64) error {
	stored, zeroes := uint64(0), uint64(0)
	for i, h := range headers {
		switch {
		case elf.SectionType(h.typ) == elf.SHT_NULL:
		case h.size > maxObject:
			return fmt.Errorf("section %d has %d bytes; there can be %d", i, h.size, maxObject)
		case elf.SectionType(h.typ) == elf.SHT_NOBITS:
			zeroes += h.size
		case h.offset > file || file-h.offset < h.size:
			return fmt.Errorf("section %d ends at %d, the file at %d: it was cut", i, h.offset+h.size, file)
		default:
			stored += h.size
		}
	}
	if stored > file {
		return fmt.Errorf("sections have %d bytes, the file %d: they overlap", stored, file)
	}
	if zeroes > maxObject {
		return fmt.Errorf("sections of zeroes have %d bytes; there can be %d", zeroes, maxObject)
	}
	return nil
}

// checkNames checks the names of sections and symbols, and the sizes of symbols.
func checkNames(file []byte, headers []header, names int) error {
	if names >= len(headers) {
		return fmt.Errorf("section %d, which has the names, is not there", names)
	}
	total := 0
	for i, h := range headers {
		name, length := nameAt(headers[names].data(file), h.name)
		if total += length; total > maxNames {
			return fmt.Errorf("names have over %d bytes", maxNames)
		}
		if h.flags&uint64(elf.SHF_COMPRESSED) != 0 && !strings.HasPrefix(name, ".debug") {
			return fmt.Errorf("section %s is compressed, as only debugging information may be", name)
		}
		if (name == ".BTF" || name == ".BTF.ext") && h.size > maxBTF {
			return fmt.Errorf("section %s has %d bytes; BTF can have %d", name, h.size, maxBTF)
		}
		if elf.SectionType(h.typ) == elf.SHT_SYMTAB {
			if int(h.link) >= len(headers) {
				return fmt.Errorf("section %d, which has the names of symbols, is not there", h.link)
			}
			n, err := checkSymbols(headers, h.data(file), headers[h.link].data(file))
			if err != nil {
				return fmt.Errorf("section %s: %w", section(name, i), err)
			}
			total += n
		}
	}
	return nil
}

func section(name string, i int) string {
	if name == "" {
		return fmt.Sprint(i)
	}
	return name
}

// checkSymbols checks that symbols do not lie over one another so often that to
// copy each would be much more than to copy the sections.
func checkSymbols(headers []header, table, names []byte) (nameBytes int, err error) {
	const aliases = 4
	room, total := uint64(0), uint64(0)
	for _, h := range headers {
		if elf.SectionType(h.typ) != elf.SHT_NULL {
			room += aliases * h.size
		}
	}
	le := binary.LittleEndian
	for ; len(table) >= symSize; table = table[symSize:] {
		_, n := nameAt(names, le.Uint32(table))
		if nameBytes += n; nameBytes > maxNames {
			return 0, fmt.Errorf("names have over %d bytes", maxNames)
		}
		if int(le.Uint16(table[symSection:])) >= len(headers) {
			continue // of no section: absolute, common
		}
		size := le.Uint64(table[symBytes:])
		if size > maxObject || total+size > room {
			return 0, fmt.Errorf("symbols have more than %d bytes: they overlap", room)
		}
		total += size
	}
	return nameBytes, nil
}

// nameAt is a name of a string table; of a long one only the length counts.
func nameAt(table []byte, at uint32) (string, int) {
	if uint64(at) >= uint64(len(table)) {
		return "", 0
	}
	b := table[at:]
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b[:min(len(b), 256)]), len(b)
}
