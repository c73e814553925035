// Command skep runs eBPF programs of Linux in user space: over captures, as
// test runs, and through the verifier alone. `skep help` says how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

func main() { os.Exit(command(os.Args[1:])) }

// Exit statuses: bpftool's for errors, the shell's for Ctrl-C.
const (
	exitError       = 255
	exitInterrupted = 130
)

// command runs skep with arguments and returns its exit status.
func command(args []string) int {
	a := &app{out: os.Stdout, err: os.Stderr, in: os.Stdin}
	root := a.root()
	root.SetArgs(pluginArgs(args))
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	if !errors.Is(err, errReported) {
		a.json = wantsJSON(args)
		a.fail(err)
	}
	return exitError
}

// errReported is an error of which the user has been told.
var errReported = errors.New("reported")

// app is what all commands share.
type app struct {
	out, err     io.Writer
	in           io.Reader
	json, pretty bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "skep",
		Short: "Linux's eBPF in user space",
		Long: `skep loads eBPF objects as Linux 6.18 does (same system call, same verifier
verdicts and log) and runs them in user space, as an ordinary user.`,
		Example: `  skep run firewall.o --pcap traffic.pcapng
  skep verify -v firewall.o
  skep prog run file firewall.o data_in packet.bin repeat 1000`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: showHelp,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.json = a.json || a.pretty
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.BoolVarP(&a.json, "json", "j", false, "print JSON, errors too")
	flags.BoolVarP(&a.pretty, "pretty", "p", false, "print JSON for people")
	version := root.Flags().BoolP("version", "V", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			return a.version()
		}
		return showHelp(cmd, args)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(a.runCommand(), a.verifyCommand(), a.progCommand(), a.mapCommand(), a.btfCommand(),
		a.featureCommand(), a.conformanceCommand(), a.versionCommand())
	return root
}

// wantsJSON looks for -j and -p before cobra does, so that mistakes in the
// command line are told in JSON too.
func wantsJSON(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return slices.Contains([]string{"-j", "--json", "-p", "--pretty"}, arg)
	})
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// group is a command that only holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: showHelp}
	c.AddCommand(sub...)
	return c
}

// fail tells the user of an error: as bpftool does, on standard output with
// --json.
func (a *app) fail(err error) {
	if a.json {
		a.print(map[string]string{"error": err.Error()})
		return
	}
	fmt.Fprintln(a.err, "Error:", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprint(a.err, hint)
	}
}

// print writes a value as JSON.
func (a *app) print(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if a.pretty {
		e.SetIndent("", "    ")
	}
	return e.Encode(v)
}
