package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
)

// testRun is a BPF_PROG_TEST_RUN as bpftool's words describe it.
type testRun struct {
	prog                           reference
	dataIn, dataOut, ctxIn, ctxOut string
	dataRoom, ctxRoom, repeat      int
}

const testRunUsage = `run PROG data_in FILE [data_out FILE [data_size_out L]]
          [ctx_in FILE [ctx_out FILE [ctx_size_out M]]] [repeat N]`

func (a *app) progRunCommand() *cobra.Command {
	var engine string
	cmd := &cobra.Command{
		Use:   testRunUsage,
		Short: "Run a program on a packet (BPF_PROG_TEST_RUN)",
		Long: `run gives a program a packet, and a context if there is one, and prints what it
returned, in bpftool's words.

  PROG := { file OBJ [name NAME] }

FILE can be - for standard input or output; what goes to standard output is
shown in hexadecimal.`,
		Example: "  skep prog run file firewall.o data_in packet.bin data_out - repeat 1000",
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := parseTestRun(args)
			if err != nil {
				return err
			}
			return a.testRun(r, engine)
		},
	}
	engineFlag(cmd, &engine)
	return cmd
}

// outRoom is what bpftool offers for output whose size was not given.
const outRoom = 32 << 10

func parseTestRun(args []string) (*testRun, error) {
	w := words{args}
	r := &testRun{dataRoom: outRoom, ctxRoom: outRoom}
	var err error
	if r.prog, err = w.reference("program"); err != nil {
		return nil, err
	}
	texts := map[string]*string{"data_in": &r.dataIn, "data_out": &r.dataOut, "ctx_in": &r.ctxIn, "ctx_out": &r.ctxOut}
	numbers := map[string]*int{"data_size_out": &r.dataRoom, "ctx_size_out": &r.ctxRoom, "repeat": &r.repeat}
	for !w.empty() {
		keyword := w.rest[0]
		w.rest = w.rest[1:]
		text, number := texts[keyword], numbers[keyword]
		if text == nil && number == nil {
			return nil, fmt.Errorf("expected no more arguments, 'data_in', 'data_out', 'data_size_out', 'ctx_in', 'ctx_out', 'ctx_size_out' or 'repeat', got: '%s'?", keyword)
		}
		value, err := w.value(keyword)
		if err != nil {
			return nil, err
		}
		if text != nil {
			*text = value
			continue
		}
		n, err := strconv.ParseUint(value, 0, 31)
		if err != nil {
			return nil, fmt.Errorf("can't parse %s: %q is no number that fits", keyword, value)
		}
		*number = int(n)
	}
	if r.dataIn == "-" && r.ctxIn == "-" {
		return nil, fmt.Errorf("data_in and ctx_in cannot both be standard input")
	}
	return r, nil
}

func (a *app) testRun(r *testRun, engineName string) error {
	data, err := a.readInput(r.dataIn)
	if err != nil {
		return err
	}
	ctx, err := a.readInput(r.ctxIn)
	if err != nil {
		return err
	}
	k, err := newKernel(engineName, nil, nil)
	if err != nil {
		return err
	}
	defer k.Close()
	l, err := load(k, r.prog.object, r.prog.name)
	if err != nil {
		return err
	}
	opt := skep.RunOptions{Data: data, Context: ctx, Repeat: r.repeat}
	if r.dataOut != "" {
		opt.DataRoom = r.dataRoom
	}
	if r.ctxOut != "" {
		opt.ContextRoom = r.ctxRoom
	}
	res, err := l.prog.Run(opt)
	if err != nil {
		return fmt.Errorf("failed to run program: %w", err)
	}
	return a.printTestRun(r, res)
}

// limit on a packet or context given to a test run: the kernel takes far less.
const maxInput = 16 << 20

func (a *app) readInput(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("%s has more than %d bytes: no packet is so large", name, maxInput)
	}
	return b, err
}

func (a *app) printTestRun(r *testRun, res *skep.Result) error {
	shown := struct {
		DataOut  octets `json:"data_out,omitempty"`
		CtxOut   octets `json:"ctx_out,omitempty"`
		Retval   uint32 `json:"retval"`
		Duration int64  `json:"duration"`
	}{Retval: res.Return, Duration: res.Duration.Nanoseconds()}
	for _, out := range []struct {
		name string
		data []byte
		json *octets
	}{{r.dataOut, res.Data, &shown.DataOut}, {r.ctxOut, res.Context, &shown.CtxOut}} {
		switch {
		case out.name == "":
		case out.name != "-":
			if err := os.WriteFile(out.name, out.data, 0o666); err != nil {
				return err
			}
		case a.json:
			*out.json = out.data
		default:
			fmt.Fprint(a.out, hexDump(out.data))
		}
	}
	if a.json {
		return a.print(shown)
	}
	average := ""
	if r.repeat > 1 {
		average = " (average)"
	}
	_, err := fmt.Fprintf(a.out, "Return value: %d, duration%s: %dns\n", shown.Retval, average, shown.Duration)
	return err
}

// octets are bytes as bpftool prints them in JSON: an array of numbers.
type octets []byte

// MarshalJSON implements [json.Marshaler].
func (o octets) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, b := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(b), 10)
	}
	return append(out, ']'), nil
}

// hexDump shows bytes as `bpftool prog run ... data_out -` does: sixteen a line,
// in groups of two, with the printable ones at the end.
func hexDump(data []byte) string {
	var b strings.Builder
	for at := 0; at < len(data); at += 16 {
		line := data[at:min(at+16, len(data))]
		fmt.Fprintf(&b, "%07x\t", at)
		for i := range 16 {
			if i < len(line) {
				fmt.Fprintf(&b, "%02x", line[i])
			} else {
				b.WriteString("  ")
			}
			if i%2 == 1 {
				b.WriteByte(' ')
			}
		}
		b.WriteString("| ")
		for i, c := range line {
			if c < ' ' || c > '~' {
				c = '.'
			}
			b.WriteByte(c)
			if i == 7 {
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
