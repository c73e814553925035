package insn

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A value is an operand as it was read.
type value struct {
	reg   Reg
	neg   bool   // number: negative
	mag   uint64 // number: magnitude
	btf   int16  // kernel function: index of its BTF
	label string // target: a label, not a number
	col   int
}

// number returns v with a number.
func (v value) number(n int64) value {
	v.neg, v.mag = n < 0, uint64(n)
	if v.neg {
		v.mag = -v.mag
	}
	return v
}

// operand reads an operand at pos. It returns how many tokens the operand takes, 0
// if there is none; where it knows why, it has called fail.
func (p *parser) operand(s syntax, pos int) (v value, width int) {
	t := p.tokens[pos]
	v.col = t.col
	switch s {
	case syntaxReg, syntaxReg32:
		return p.register(v, pos, "?rw"[s])
	case syntaxNumber:
		if t.kind == tokenNumber {
			v.neg, v.mag = t.sign == '-', t.mag
			return v, 1
		}
	case syntaxAddend:
		return p.addend(v, pos)
	case syntaxTarget, syntaxFunc:
		return p.target(v, pos)
	case syntaxHelper, syntaxKfunc:
		return p.function(s, v, pos)
	case syntaxKfuncName:
		if t.kind == tokenWord && p.Kfunc != nil {
			if id, btf, ok := p.Kfunc(t.text); ok {
				v.btf = btf
				return v.number(int64(id)), 1
			}
		}
	case syntaxMap:
		return p.mapName(v, pos)
	}
	return v, 0
}

// reject records what is wrong at pos.
func (p *parser) reject(v value, pos int, format string, args ...any) (value, int) {
	p.fail(pos, nil, fmt.Sprintf(format, args...))
	return v, 0
}

// parseReg returns the number of the register that s names with this letter.
func parseReg(s string, letter byte, limit uint64) (Reg, bool) {
	if len(s) < 2 || len(s) > 3 || s[0] != letter || s[1] == '0' && len(s) > 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:], 10, 8)
	return Reg(n), err == nil && n < limit
}

func (p *parser) register(v value, pos int, letter byte) (value, int) {
	t := p.tokens[pos]
	limit := uint64(NumRegs)
	if p.Internal {
		limit++
	}
	r, ok := parseReg(t.text, letter, 100)
	switch {
	case !ok:
		return v, 0
	case uint64(r) >= limit:
		return p.reject(v, pos, "no register %s, the last one is %c%d", t.text, letter, limit-1)
	}
	v.reg = r
	return v, 1
}

// addend reads a sign and a number, with or without space between them.
func (p *parser) addend(v value, pos int) (value, int) {
	t := p.tokens[pos]
	if t.kind == tokenNumber && t.sign != 0 {
		v.neg, v.mag = t.sign == '-', t.mag
		return v, 1
	}
	if t.text != "+" && t.text != "-" {
		return v, 0
	}
	n := p.tokens[pos+1]
	if n.kind != tokenNumber {
		return v, 0
	}
	v.neg, v.mag = (t.text == "-") != (n.sign == '-'), n.mag
	return v, 2
}

// target reads pc+N, +N or a label.
func (p *parser) target(v value, pos int) (value, int) {
	t := p.tokens[pos]
	if t.text == "pc" {
		v, width := p.addend(v, pos+1)
		if width == 0 {
			return p.reject(v, pos+1, "expected + or - and a number, found %s", p.tokens[pos+1])
		}
		return v, 1 + width
	}
	if t.kind == tokenWord {
		if _, ok := p.labels[t.text]; ok {
			v.label = t.text
			return v, 1
		}
		return p.reject(v, pos, "label %q is not defined", t.text)
	}
	return p.addend(v, pos)
}

// function reads name#id, #id, a name that the resolver knows and, for a helper,
// just the id. With an id the name is not looked at, as in a verifier log.
func (p *parser) function(s syntax, v value, pos int) (value, int) {
	t := p.tokens[pos]
	if s == syntaxHelper && t.kind == tokenNumber && t.sign == 0 {
		v.mag = t.mag
		return v, 1
	}
	width := boolInt(t.kind == tokenWord)
	if p.tokens[pos+width].text != "#" {
		if width == 0 {
			return v, 0
		}
		return p.functionName(s, v, pos)
	}
	id := p.tokens[pos+width+1]
	if id.kind != tokenNumber {
		return p.reject(v, pos+width+1, "expected a number after #, found %s", id)
	}
	v.neg, v.mag = id.sign == '-', id.mag
	width += 2
	if s == syntaxHelper || p.tokens[pos+width].text != "@" {
		return v, width
	}
	btf := p.tokens[pos+width+1]
	if btf.kind != tokenNumber || btf.mag > math.MaxInt16+uint64(boolInt(btf.sign == '-')) {
		return p.reject(v, pos+width+1, "expected a 16-bit number after @, found %s", btf)
	}
	v.btf = int16(btf.mag)
	if btf.sign == '-' {
		v.btf = -v.btf
	}
	return v, width + 2
}

// functionName resolves the name of a helper or kernel function.
func (p *parser) functionName(s syntax, v value, pos int) (value, int) {
	name := p.tokens[pos].text
	if s == syntaxHelper {
		if p.Helper != nil {
			if id, ok := p.Helper(name); ok {
				return v.number(int64(id)), 1
			}
		}
		return p.reject(v, pos, "%q is neither a label nor a known helper", name)
	}
	if p.Kfunc != nil {
		if id, btf, ok := p.Kfunc(name); ok {
			v.btf = btf
			return v.number(int64(id)), 1
		}
	}
	return p.reject(v, pos, "%q is not a known kernel function", name)
}

func (p *parser) mapName(v value, pos int) (value, int) {
	t := p.tokens[pos]
	if t.kind != tokenWord {
		return v, 0
	}
	if p.Map != nil {
		if fd, ok := p.Map(t.text); ok {
			return v.number(int64(fd)), 1
		}
	}
	return p.reject(v, pos, "%q is not a known map", t.text)
}

// A binding is an instruction whose operands are being set.
type binding struct {
	slots
	set Instruction // mask of the register fields that are set
}

// bindReg sets a register field. An operand that a template names twice must be
// the same register both times.
func (b *binding) bindReg(mask, bits Instruction) error {
	if b.set&mask != 0 && b.first&mask != bits {
		return errors.New("must be the same register as before, this instruction has only one field for both")
	}
	b.first = b.first&^mask | bits
	b.set |= mask
	return nil
}

func setDst(b *binding, v value) error {
	return b.bindReg(maskDst, Instruction(0).WithDst(v.reg))
}

func setSrc(b *binding, v value) error {
	return b.bindReg(maskSrc, Instruction(0).WithSrc(v.reg))
}

// within returns the number in v if it is at least -neg and at most pos.
func (v value) within(neg, pos uint64, what string) (int64, error) {
	limit := pos
	if v.neg {
		limit = neg
	}
	if v.mag > limit {
		low := "0"
		if neg > 0 {
			low = fmt.Sprintf("-%#x", neg)
		}
		return 0, fmt.Errorf("%s out of range: must be from %s to %#x", what, low, pos)
	}
	if v.neg {
		return -int64(v.mag), nil
	}
	return int64(v.mag), nil
}

// imm32 returns a 32-bit immediate. Like LLVM's assembler it takes numbers from
// 2^31 to 2^32-1 for their bits.
func (v value) imm32() (int32, error) {
	n, err := v.within(1<<31, math.MaxUint32, "immediate")
	if err != nil && v.mag > math.MaxUint32 {
		err = fmt.Errorf("%w; a 64-bit immediate ends in %q", err, "ll")
	}
	return int32(n), err
}

func setImm(b *binding, v value) error {
	n, err := v.imm32()
	b.first = b.first.WithImm(n)
	return err
}

func setSecond(b *binding, v value) error {
	n, err := v.imm32()
	b.second = b.second.WithImm(n)
	return err
}

func setImm64(b *binding, v value) error {
	n, err := v.within(1<<63, math.MaxUint64, "64-bit immediate")
	b.first = b.first.WithImm(int32(n))
	b.second = b.second.WithImm(int32(n >> 32))
	return err
}

func setImmHigh(b *binding, v value) error {
	n, err := v.within(0, math.MaxUint16, "address space")
	b.first = b.first.WithImm(b.first.Imm()&0xffff | int32(n<<16))
	return err
}

func setImmLow(b *binding, v value) error {
	n, err := v.within(0, math.MaxUint16, "address space")
	b.first = b.first.WithImm(int32(uint32(b.first.Imm())&0xffff0000 | uint32(n)))
	return err
}

func setOff(b *binding, v value) error {
	n, err := v.within(1<<15, math.MaxInt16, "offset")
	b.first = b.first.WithOff(int16(n))
	return err
}

func setTargetOff(b *binding, v value) error {
	n, err := v.within(1<<15, math.MaxInt16, "jump")
	b.first = b.first.WithOff(int16(n))
	return err
}

func setTargetImm(b *binding, v value) error {
	n, err := v.within(1<<31, math.MaxInt32, "jump")
	b.first = b.first.WithImm(int32(n))
	return err
}

func setKfunc(b *binding, v value) error {
	b.first = b.first.WithOff(v.btf)
	return setImm(b, v)
}
