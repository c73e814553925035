package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
)

func engineNames() []string { return slices.Sorted(maps.Keys(skep.Engines())) }

// engineFlag adds --engine.
func engineFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "engine", "interp",
		"what runs the program: "+strings.Join(engineNames(), ", ")+" (check tests every access while it runs)")
}

func engine(name string) (*skep.Engine, error) {
	if e := skep.Engines()[name]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("there is no engine %q; there are %s", name, strings.Join(engineNames(), ", "))
}

// newKernel makes a kernel of one CPU: a command runs one program at a time, and
// per-CPU maps then have one value.
func newKernel(engineName string, clock func() time.Duration, trace func(string)) (*skep.Kernel, error) {
	e, err := engine(engineName)
	if err != nil {
		return nil, err
	}
	return skep.New(skep.Config{CPUs: 1, Engine: e, Clock: clock, Trace: trace})
}

// pick chooses a program of an object: by name, or the only one. Where there are
// several, the error lists them.
func pick(object, name string, names []string) (string, error) {
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("%s has no programs: functions need a section such as SEC(\"xdp\")", object)
	case name == "" && len(names) == 1:
		return names[0], nil
	case slices.Contains(names, name):
		return name, nil
	}
	list := strings.Join(names, ", ")
	if name == "" {
		return "", fmt.Errorf("%s has %d programs: choose one of %s", object, len(names), list)
	}
	return "", fmt.Errorf("%s has no program %q; it has %s", object, name, list)
}

// loaded is an object with the one program that a command is about.
type loaded struct {
	coll *skep.Collection
	prog *skep.Program
}

// load loads an object with one program.
func load(k *skep.Kernel, object, name string) (*loaded, error) {
	coll, err := k.LoadFile(object, &skep.LoadOptions{Choose: func(all []string) ([]string, error) {
		picked, err := pick(object, name, all)
		name = picked
		return []string{picked}, err
	}})
	if err != nil {
		return nil, describe(object, err)
	}
	return &loaded{coll, coll.Programs[name]}, nil
}

// objectError is what is wrong with an object.
type objectError struct {
	object string
	err    error
}

func (e *objectError) Error() string { return e.object + ": " + e.err.Error() }
func (e *objectError) Unwrap() error { return e.err }

// describe puts the object in front of errors that do not name it.
func describe(object string, err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) || strings.HasPrefix(err.Error(), object) {
		return err
	}
	return &objectError{object, err}
}

// hintFor says what else helps with an error: the end of the verifier's log.
func hintFor(err error) string {
	var v *skep.VerifierError
	if !errors.As(err, &v) || v.Log == "" {
		return ""
	}
	const tail = 8
	lines := strings.Split(strings.TrimRight(v.Log, "\n"), "\n")
	cut := max(0, len(lines)-tail)
	var b strings.Builder
	if cut > 0 {
		fmt.Fprintf(&b, "  … %d lines before\n", cut)
	}
	for _, l := range lines[cut:] {
		b.WriteString("  " + l + "\n")
	}
	var o *objectError
	if errors.As(err, &o) {
		fmt.Fprintf(&b, "The whole log: skep verify -v %s\n", o.object)
	}
	return b.String()
}
