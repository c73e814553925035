package main

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf/btf"
	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func (a *app) progCommand() *cobra.Command {
	return group("prog", "Run and show programs, in bpftool's words", a.progRunCommand(), a.progDumpCommand())
}

func (a *app) progDumpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dump xlated PROG [{ file FILE | opcodes | linum }]",
		Short: "Show a program as it is run: verified and rewritten",
		Long: `dump xlated prints the instructions after verification and rewriting, with the
source lines that they were made from.

  PROG := { file OBJ [name NAME] }

opcodes adds the bytes of each instruction, linum files and line numbers; file
writes the instructions to FILE in binary.`,
		RunE: func(_ *cobra.Command, args []string) error {
			w := words{args}
			if !w.is("xlated") {
				if w.is("jited") {
					return fmt.Errorf("dump jited: the interpreter makes no machine code; see `skep prog dump xlated`")
				}
				return fmt.Errorf("expected 'xlated': skep prog dump xlated PROG")
			}
			d := dump{}
			var err error
			if d.prog, err = w.reference("program"); err != nil {
				return err
			}
			switch {
			case w.is("file"):
				if d.file, err = w.value("file"); err != nil {
					return err
				}
			case w.is("opcodes"):
				d.opcodes = true
			case w.is("linum"):
				d.linum = true
			}
			if err := w.end("file", "opcodes", "linum"); err != nil {
				return err
			}
			return a.dump(&d)
		},
	}
}

// dump is what `prog dump` is asked for.
type dump struct {
	prog           reference
	file           string
	opcodes, linum bool
}

func (a *app) dump(d *dump) error {
	k, err := newKernel("interp", nil, nil)
	if err != nil {
		return err
	}
	defer k.Close()
	l, err := load(k, d.prog.object, d.prog.name)
	if err != nil {
		return err
	}
	info, err := l.prog.Info()
	if err != nil {
		return err
	}
	if d.file != "" {
		return os.WriteFile(d.file, insn.Encode(info.Xlated), 0o666)
	}
	lines := listing(info)
	if a.json {
		return a.print(d.jsonLines(lines))
	}
	d.print(a, lines)
	return nil
}

// line is one instruction of a listing, with what stands above it.
type line struct {
	at     int
	insns  []insn.Instruction // one slot, or the two of a 64-bit immediate
	text   string
	proto  string
	source *skep.LineInfo
}

// listing disassembles a program.
func listing(info *skep.ProgramInfo) []line {
	p := printer(info)
	funcs, sources := info.Funcs, info.Lines
	var out []line
	for at := 0; at < len(info.Xlated); at++ {
		l := line{at: at, insns: info.Xlated[at : at+1]}
		if len(funcs) > 0 && funcs[0].Insn == at {
			l.proto, funcs = prototype(funcs[0].Func), funcs[1:]
		}
		if len(sources) > 0 && sources[0].Insn == at {
			l.source, sources = &sources[0], sources[1:]
		}
		i, next := info.Xlated[at], insn.Instruction(0)
		if i.IsWide() && at+1 < len(info.Xlated) {
			at++
			next = info.Xlated[at]
			l.insns = info.Xlated[at-1 : at+1]
		}
		l.text = string(p.AppendText(nil, i, next))
		out = append(out, l)
	}
	return out
}

// printer names what instructions refer to, as bpftool does.
func printer(info *skep.ProgramInfo) *insn.Printer {
	return &insn.Printer{
		CallName: func(i insn.Instruction) string {
			switch {
			case i.IsHelperCall() && uapi.FuncID(i.Imm()).Known():
				return "bpf_" + uapi.FuncID(i.Imm()).LibName()
			case i.IsSubprogCall(): // a dump has the distance in the offset
				return fmt.Sprintf("%+d", i.Off())
			}
			return ""
		},
		ImmText: func(dst []byte, i insn.Instruction, imm uint64) []byte {
			switch i.Src() {
			case insn.PseudoMapFD:
				return fmt.Appendf(dst, "map[id:%d]", uint32(imm))
			case insn.PseudoMapValue:
				return fmt.Appendf(dst, "map[id:%d][0]+%d", uint32(imm), imm>>32)
			case insn.PseudoFunc:
				return fmt.Appendf(dst, "subprog[%+d]", int32(imm))
			}
			return dst
		},
	}
}

// prototype is a function's declaration in bpftool's form.
func prototype(f *btf.Func) string {
	p, ok := f.Type.(*btf.FuncProto)
	if !ok {
		return f.Name + "()"
	}
	s := typeName(p.Return, 0) + " " + f.Name + "("
	for n, param := range p.Params {
		if n > 0 {
			s += ", "
		}
		s += typeName(param.Type, 0) + " " + param.Name
	}
	return s + ")"
}

// maxTypeDepth bounds the walk along pointers and qualifiers.
const maxTypeDepth = 16

func typeName(t btf.Type, depth int) string {
	if depth > maxTypeDepth {
		return "…"
	}
	switch t := t.(type) {
	case nil, *btf.Void:
		return "void"
	case *btf.Pointer:
		return typeName(t.Target, depth+1) + " *"
	case *btf.Const:
		return "const " + typeName(t.Type, depth+1)
	case *btf.Volatile:
		return "volatile " + typeName(t.Type, depth+1)
	case *btf.Restrict:
		return "restrict " + typeName(t.Type, depth+1)
	case *btf.Struct:
		return "struct " + t.Name
	case *btf.Union:
		return "union " + t.Name
	case *btf.Enum:
		return "enum " + t.Name
	case *btf.Fwd:
		return t.Kind.String() + " " + t.Name
	case *btf.Array:
		return fmt.Sprintf("%s[%d]", typeName(t.Type, depth+1), t.Nelems)
	}
	return t.TypeName()
}

func (d *dump) print(a *app, lines []line) {
	var b []byte
	for _, l := range lines {
		if l.proto != "" {
			b = fmt.Appendf(b, "%s:\n", l.proto)
		}
		if s := l.source; s != nil {
			b = fmt.Appendf(b, "; %s", s.Text)
			if d.linum {
				b = fmt.Appendf(b, " [file:%s line_num:%d line_col:%d]", s.File, s.Line, s.Col)
			}
			b = append(b, '\n')
		}
		b = fmt.Appendf(b, "%4d: %s\n", l.at, l.text)
		if d.opcodes {
			b = append(b, "       "...)
			for n, i := range l.insns {
				if n > 0 {
					b = append(b, ' ')
				}
				b = insn.AppendRaw(b, i)
			}
			b = append(b, '\n')
		}
	}
	a.out.Write(b)
}

// jsonLine is a line of a listing in bpftool's JSON.
type jsonLine struct {
	Proto   string       `json:"proto,omitempty"`
	Source  string       `json:"src,omitempty"`
	File    string       `json:"file,omitempty"`
	Line    int          `json:"line_num,omitempty"`
	Col     int          `json:"line_col,omitempty"`
	Disasm  string       `json:"disasm"`
	Opcodes *jsonOpcodes `json:"opcodes,omitempty"`
}

type jsonOpcodes struct {
	Code string   `json:"code"`
	Src  string   `json:"src_reg"`
	Dst  string   `json:"dst_reg"`
	Off  []string `json:"off"`
	Imm  []string `json:"imm"`
}

func (d *dump) jsonLines(lines []line) []jsonLine {
	out := []jsonLine{}
	for _, l := range lines {
		j := jsonLine{Proto: l.proto, Disasm: l.text}
		if s := l.source; s != nil {
			j.Source = s.Text
			if d.linum {
				j.File, j.Line, j.Col = s.File, s.Line, s.Col
			}
		}
		if d.opcodes {
			j.Opcodes = opcodesOf(l.insns)
		}
		out = append(out, j)
	}
	return out
}

func opcodesOf(insns []insn.Instruction) *jsonOpcodes {
	b := insn.Encode(insns)
	o := &jsonOpcodes{
		Code: fmt.Sprintf("%#x", b[0]), Src: fmt.Sprintf("%#x", b[1]>>4), Dst: fmt.Sprintf("%#x", b[1]&0xf),
		Off: hexBytes(b[2:4]), Imm: hexBytes(b[4:8]),
	}
	if len(insns) == 2 {
		// The immediate of the second slot follows that of the first.
		o.Imm = append(o.Imm, hexBytes(b[12:16])...)
	}
	return o
}

// hexBytes are bytes as bpftool prints them in JSON.
func hexBytes(b []byte) []string {
	out := []string{}
	for _, v := range b {
		out = append(out, fmt.Sprintf("0x%02x", v))
	}
	return out
}
