package progen

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Text returns the program as a case for a corpus: what surrounds it in comments,
// the instructions in the assembler's syntax. The number in map[fd:N] is the index
// of the map. [Parse] reads it back.
func (p *Program) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; type: %s\n; seed: %d\n", p.Type.LibName(), p.Seed)
	if p.Mistake != "" {
		fmt.Fprintf(&b, "; mistake: %s\n", p.Mistake)
	}
	for _, m := range p.Maps {
		fmt.Fprintf(&b, "; map: %s %s key %d value %d entries %d\n", m.Name, m.Type.LibName(), m.KeySize, m.ValueSize, m.MaxEntries)
		for _, e := range m.Init {
			fmt.Fprintf(&b, "; element: %x %x\n", e.Key, e.Value)
		}
	}
	for _, in := range p.Inputs {
		fmt.Fprintf(&b, "; packet: %x\n", in.Packet)
		if in.Ctx != nil {
			fmt.Fprintf(&b, "; context: %x\n", in.Ctx)
		}
	}
	b.WriteString(insn.Disassemble(p.Insns))
	return b.String()
}

// Parse reads what Text wrote.
func Parse(text string) (*Program, error) {
	p := &Program{}
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		key, val, ok := strings.Cut(strings.TrimPrefix(sc.Text(), "; "), ": ")
		if !ok || !strings.HasPrefix(sc.Text(), "; ") {
			continue
		}
		if err := p.header(key, strings.Fields(val)); err != nil {
			return nil, fmt.Errorf("%q: %w", sc.Text(), err)
		}
	}
	var err error
	p.Insns, err = insn.Assemble(text)
	return p, err
}

// header reads one line of the comment.
func (p *Program) header(key string, words []string) error {
	args := map[string]int{"type": 1, "seed": 1, "mistake": 1, "map": 8, "element": 2, "packet": 1, "context": 1}
	want, known := args[key]
	if !known {
		return nil
	}
	if len(words) != want {
		return fmt.Errorf("%d words, expected %d", len(words), want)
	}
	var err error
	switch key {
	case "type":
		var ok bool
		if p.Type, ok = uapi.ParseProgType(words[0]); !ok {
			return fmt.Errorf("unknown program type")
		}
	case "seed":
		p.Seed, err = strconv.ParseUint(words[0], 10, 64)
	case "mistake":
		p.Mistake = words[0]
	case "map":
		return p.headerMap(words)
	case "element":
		return p.headerElement(words)
	case "packet":
		var packet []byte
		packet, err = hex.DecodeString(words[0])
		p.Inputs = append(p.Inputs, Input{Packet: packet})
	case "context":
		if len(p.Inputs) == 0 {
			return fmt.Errorf("a context without a packet")
		}
		p.Inputs[len(p.Inputs)-1].Ctx, err = hex.DecodeString(words[0])
	}
	return err
}

func (p *Program) headerMap(words []string) error {
	m := Map{Name: words[0]}
	var ok bool
	if m.Type, ok = uapi.ParseMapType(words[1]); !ok {
		return fmt.Errorf("unknown map type")
	}
	for i, dst := range map[int]*uint32{3: &m.KeySize, 5: &m.ValueSize, 7: &m.MaxEntries} {
		n, err := strconv.ParseUint(words[i], 10, 32)
		if err != nil {
			return err
		}
		*dst = uint32(n)
	}
	p.Maps = append(p.Maps, m)
	return nil
}

func (p *Program) headerElement(words []string) error {
	if len(p.Maps) == 0 {
		return fmt.Errorf("an element without a map")
	}
	var e Element
	var err error
	if e.Key, err = hex.DecodeString(words[0]); err != nil {
		return err
	}
	if e.Value, err = hex.DecodeString(words[1]); err != nil {
		return err
	}
	m := &p.Maps[len(p.Maps)-1]
	m.Init = append(m.Init, e)
	return nil
}
