package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep/internal/btfdump"
)

func (a *app) btfCommand() *cobra.Command {
	return group("btf", "Show BTF, in bpftool's words", &cobra.Command{
		Use:   "dump file FILE [format { raw | c }]",
		Short: "Show the types of an object or of raw BTF",
		RunE: func(_ *cobra.Command, args []string) error {
			w := words{args}
			if !w.is("file") {
				return fmt.Errorf("expected 'file': skep btf dump file FILE [format { raw | c }]")
			}
			file, err := w.value("file")
			if err != nil {
				return err
			}
			format := "raw"
			if w.is("format") {
				if format, err = w.value("format"); err != nil {
					return err
				}
			}
			if err := w.end("format"); err != nil {
				return err
			}
			return a.btfDump(file, format)
		},
	})
}

func (a *app) btfDump(file, format string) error {
	if format != "raw" && format != "c" {
		return fmt.Errorf("unrecognized format specifier: '%s', possible values: raw, c", format)
	}
	if format == "c" && a.json {
		return fmt.Errorf("JSON output for C-syntax dump is not supported")
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := btfdump.Read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case format == "c":
		return btfdump.DumpC(a.out, raw)
	case a.pretty:
		var b bytes.Buffer
		if err := btfdump.DumpRawJSON(&b, raw); err != nil {
			return err
		}
		return a.print(json.RawMessage(b.Bytes()))
	case a.json:
		if err := btfdump.DumpRawJSON(a.out, raw); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out)
		return err
	}
	return btfdump.DumpRaw(a.out, raw)
}
