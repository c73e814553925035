package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func (a *app) conformanceCommand() *cobra.Command {
	var engine string
	cmd := &cobra.Command{
		Use:   "conformance [HEXMEM]",
		Short: "Run instructions from standard input, as a plugin of bpf_conformance",
		Long: `conformance reads instructions in base 16 from standard input, verifies and runs
them, and prints what they leave in r0, in base 16. HEXMEM is memory in base 16:
r1 is its address and r2 its length; without it both are 0.

It is the plugin side of https://github.com/Alan-Jowett/bpf_conformance:

  bpf_conformance_runner --test_file_directory tests \
      --plugin_path skep --plugin_options conformance --cpu_version v4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := io.ReadAll(io.LimitReader(a.in, maxInput))
			if err != nil {
				return err
			}
			code, err := decodeHex("the program", string(text))
			if err != nil {
				return err
			}
			var memory []byte
			if len(args) == 1 {
				if memory, err = decodeHex("the memory", args[0]); err != nil {
					return err
				}
			}
			r0, err := conform(engine, code, memory)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(map[string]string{"r0": fmt.Sprintf("%x", r0)})
			}
			_, err = fmt.Fprintf(a.out, "%x\n", r0)
			return err
		},
	}
	engineFlag(cmd, &engine)
	return cmd
}

// pluginArgs puts the command first: the runner of bpf_conformance gives a plugin
// the memory, if there is any, before the plugin's options.
func pluginArgs(args []string) []string {
	if len(args) < 2 || args[1] != "conformance" {
		return args
	}
	if _, err := decodeHex("", args[0]); err != nil {
		return args
	}
	return append([]string{args[1], args[0]}, args[2:]...)
}

// decodeHex decodes base 16 with white space in it.
func decodeHex(what, text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.FieldsFunc(text, unicode.IsSpace), ""))
	if err != nil {
		return nil, fmt.Errorf("%s is not base 16: %w", what, err)
	}
	return b, nil
}

// conform runs code as a subprogram of a socket filter, which passes it the
// memory (the value of an array) and leaves r0 in another array.
func conform(engineName string, code, memory []byte) (r0 uint64, err error) {
	body, err := insn.Decode(code)
	if err != nil {
		return 0, fmt.Errorf("the program: %w", err)
	}
	if len(body) == 0 {
		return 0, fmt.Errorf("the program is empty")
	}
	k, err := newKernel(engineName, nil, nil)
	if err != nil {
		return 0, err
	}
	defer k.Close()
	t := k.Task()
	result, err := array(t, "result", make([]byte, 8))
	if err != nil {
		return 0, err
	}
	main := []insn.Instruction{insn.Mov64Imm(insn.R1, 0)}
	if len(memory) > 0 {
		m, err := array(t, "memory", memory)
		if err != nil {
			return 0, err
		}
		main = insn.LoadMapValue(insn.R1, int32(m.FD()), 0)
	}
	main = append(main, insn.Mov64Imm(insn.R2, int32(len(memory))))
	store := insn.LoadMapValue(insn.R1, int32(result.FD()), 0)
	store = append(store, insn.StoreMem(insn.SizeDW, insn.R1, 0, insn.R0), insn.Mov64Imm(insn.R0, 0), insn.Exit())
	main = append(main, insn.CallSub(int32(len(store))))
	main = append(append(main, store...), body...)

	p, err := t.LoadProgram(skep.ProgramSpec{
		Name: "conformance", Type: uapi.BPF_PROG_TYPE_SOCKET_FILTER.LibName(), Insns: main, License: "Dual BSD/GPL",
	})
	if err != nil {
		return 0, err
	}
	// Any packet: the program does not look at it.
	if _, err := p.Run(skep.RunOptions{Data: make([]byte, 64)}); err != nil {
		return 0, err
	}
	value, err := result.Lookup(skep.Uint32Key(0))
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(value), nil
}

// array makes an array with one element.
func array(t *skep.Task, name string, value []byte) (*skep.Map, error) {
	m, err := t.CreateMap(skep.MapSpec{
		Name: name, Type: uapi.BPF_MAP_TYPE_ARRAY.LibName(), KeySize: 4, ValueSize: len(value), MaxEntries: 1,
	})
	if err != nil {
		return nil, err
	}
	return m, m.Update(skep.Uint32Key(0), value, uapi.BPF_ANY)
}
