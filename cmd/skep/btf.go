package main

import (
	"fmt"

	"github.com/spf13/cobra"
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

func (a *app) btfDump(file, format string) error { return fmt.Errorf("%s %s", file, format) }
