// Package progen generates eBPF programs for differential tests: mostly valid
// ones, by a grammar that knows roughly what the verifier knows, and some with a
// deliberate mistake, so that refusals are compared too.
//
// Everything follows from the seed. A valid program's result depends on nothing
// but its input: no address, clock, random number or CPU id reaches the return
// value, the packet, the context or a map. A program with a [Program].Mistake may
// be accepted nonetheless, and then may show an address or old stack bytes:
// compare its verdict, and its result only where two runs of the reference agree.
// [Compare] does so:
//
//	for seed := range seeds {
//		p := progen.Generate(cfg, seed)
//		if diff, err := progen.Compare(live, again, engine, p); diff != "" {
//			small := progen.Shrink(p, 500, stillDiffers)
//			os.WriteFile(name, []byte(small.Text()), 0o644)
//		}
//	}
package progen

import (
	"math/rand/v2"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Config bounds what is generated. The zero value generates everything.
type Config struct {
	Types    []uapi.ProgType // of these; all that are known if nil
	Without  Feature         // leaves these features out
	Size     int             // statements of the main program, 12 if 0
	Mistakes float64         // share of programs with a mistake; 0.3 if 0, none if negative
	Helpers  []uapi.FuncID   // only these helpers; all that are known if nil
}

// Feature is a set of parts of the language.
type Feature uint32

// The features.
const (
	Loops Feature = 1 << iota
	Subprogs
	Atomics
	AcquireRelease // load-acquire and store-release
	Maps
	Helpers // other than those of maps
	Packet  // direct access, LD_ABS and LD_IND
	SignExtension
	TailCalls
	MayGoto
	VariableStack // stack access at a variable offset
)

// Types are the program types that are generated.
var types = []uapi.ProgType{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER, uapi.BPF_PROG_TYPE_SCHED_CLS, uapi.BPF_PROG_TYPE_XDP,
}

// Program is a generated program with its surroundings.
type Program struct {
	Seed  uint64
	Type  uapi.ProgType
	Insns []insn.Instruction

	// Maps are what the program refers to: the immediate of a 64-bit immediate
	// load of a map or of a map's value is an index into Maps.
	Maps []Map

	// Inputs are what to run the program on, in this order: maps keep their
	// contents between runs.
	Inputs []Input

	// Mistake names the deliberate mistake, "" if there is none.
	Mistake string
}

// Map is a map that a program uses. All elements of a hash are those of Init;
// an array's others are zero.
type Map struct {
	Name       string
	Type       uapi.MapType
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Init       []Element
}

// Element is an element of a map before the first run.
type Element struct{ Key, Value []byte }

// Input is the input of one run.
type Input struct {
	Packet []byte
	Ctx    []byte // nil: none is passed
}

// Generate returns the program of a seed.
func Generate(cfg Config, seed uint64) *Program {
	g := newGen(cfg, seed)
	g.program()
	return g.out
}

// gen is one generation.
type gen struct {
	*rand.Rand
	cfg     Config
	out     *Program
	mistake string // still to be made
	subs    []*subprog
	helpers []helper
	types   []uapi.ProgType
}

func newGen(cfg Config, seed uint64) *gen {
	g := &gen{
		Rand: rand.New(rand.NewPCG(seed, 0x736b6570)),
		cfg:  cfg,
		out:  &Program{Seed: seed},
	}
	if g.cfg.Size == 0 {
		g.cfg.Size = 12
	}
	if g.cfg.Mistakes == 0 {
		g.cfg.Mistakes = 0.3
	}
	g.types = cfg.Types
	if g.types == nil {
		g.types = types
	}
	return g
}

func (g *gen) program() {
	g.out.Type = pick(g, g.types)
	g.out.Maps = g.palette()
	g.helpers = g.allowedHelpers()
	if g.Float64() < g.cfg.Mistakes {
		g.mistake = pick(g, mistakes)
		g.out.Mistake = g.mistake
	}
	if g.has(Subprogs) && g.chance(0.35) {
		g.planSubprogs()
	}
	main := g.newMain()
	size := g.cfg.Size/2 + g.IntN(g.cfg.Size+1)
	g.block(main, size)
	g.epilogue(main)
	g.link(main)
	if g.mistake != "" {
		g.mutate() // no statement had an opportunity for the mistake
	}
	g.out.Inputs = g.inputs()
}

func (g *gen) has(f Feature) bool { return g.cfg.Without&f == 0 }

func (g *gen) chance(p float64) bool { return g.Float64() < p }

// wants reports, once, that the mistake is to be made here.
func (g *gen) wants(mistake string) bool {
	if g.mistake != mistake || g.chance(0.3) { // not always at the first place
		return false
	}
	g.mistake = ""
	return true
}

func pick[T any](g *gen, from []T) T { return from[g.IntN(len(from))] }

// Indices of the palette's maps.
const (
	mapArray = iota
	mapHash
	mapGlobal
	mapProgs
)

// palette returns the maps. They are the same for all programs, so that a driver
// can make them once; only the elements differ.
func (g *gen) palette() []Map {
	maps := []Map{
		mapArray:  {Name: "array", Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 24, MaxEntries: 4},
		mapHash:   {Name: "hash", Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 16, MaxEntries: 8},
		mapGlobal: {Name: "global", Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 40, MaxEntries: 1},
		mapProgs:  {Name: "progs", Type: uapi.BPF_MAP_TYPE_PROG_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	}
	for k := range 4 {
		if g.chance(0.5) {
			maps[mapHash].Init = append(maps[mapHash].Init, Element{little(uint64(k), 8), g.bytes(16)})
			maps[mapArray].Init = append(maps[mapArray].Init, Element{little(uint64(k), 4), g.bytes(24)})
		}
	}
	if g.chance(0.5) {
		maps[mapGlobal].Init = []Element{{little(0, 4), g.bytes(40)}}
	}
	return maps
}

func (g *gen) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// little returns v in n bytes, little-endian.
func little(v uint64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

// interesting are the constants at which arithmetic and bounds change.
var interesting = []int64{
	0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256, 1000,
	0x7fff, 0x8000, 0xffff, 0x10000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	0x100000000, 0x7fffffffffffffff, -1 << 63, -1, -2, -8, -128, -129, -32768, -0x80000000,
}

// imm32 returns an immediate.
func (g *gen) imm32() int32 {
	switch g.IntN(4) {
	case 0:
		return int32(g.Uint32())
	case 1:
		return int32(g.IntN(256)) - 128
	}
	return int32(pick(g, interesting))
}

func (g *gen) imm64() int64 {
	if g.chance(0.5) {
		return int64(g.Uint64())
	}
	return pick(g, interesting)
}
