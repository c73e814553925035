package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/internal/errno"
)

// A verification is the outcome for one program.
type verification struct {
	Object    string `json:"object"`
	Section   string `json:"section"`
	Program   string `json:"program"`
	Type      string `json:"type"`
	Verdict   string `json:"verdict"` // "ok", "reject"
	Errno     int    `json:"errno"`   // 0, or the kernel's number
	Insns     int    `json:"insns"`
	Processed int    `json:"processed"`
	States    int    `json:"states"`
	TimeNS    int64  `json:"time_ns"`
	Log       string `json:"log"`

	err error
	// unverified: the object could not be made into a program, so that the
	// verifier never saw it.
	unverified bool
}

// Levels of the verifier's log: statistics always, as veristat has it.
const (
	logPath  = 1
	logAll   = 2
	logStats = 4
)

func (a *app) verifyCommand() *cobra.Command {
	var verbose int
	var types string
	cmd := &cobra.Command{
		Use:   "verify OBJ...",
		Short: "Say what the verifier makes of an object's programs",
		Long: `verify loads each program of each object and prints the verifier's verdict, how
many instructions it processed, how many states it kept, and the time it took.

The exit status is 0 when every program got a verdict, whatever it was.`,
		Args: needObject,
		RunE: func(cmd *cobra.Command, objects []string) error {
			level := uint32(logStats)
			switch verbose {
			case 0:
			case 1:
				level |= logPath
			default:
				level |= logPath | logAll
			}
			return a.verify(objects, types, level, verbose > 0)
		},
	}
	cmd.Flags().CountVarP(&verbose, "verbose", "v", "print the log; -vv: of every path")
	cmd.Flags().StringVar(&types, "btf", "", "verify against the BTF in `FILE` (such as a copy of /sys/kernel/btf/vmlinux)")
	return cmd
}

func needObject(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which object? %s %s", cmd.Parent().CommandPath(), cmd.Use)
	}
	return nil
}

func (a *app) verify(objects []string, types string, level uint32, verbose bool) error {
	all := []verification{}
	var failures []error
	for _, object := range objects {
		vs, err := verifyObject(object, types, level)
		if err != nil {
			failures = append(failures, err)
		}
		all = append(all, vs...)
	}
	if len(all) == 0 {
		return errors.Join(failures...)
	}
	if a.json {
		if err := a.print(all); err != nil {
			return err
		}
	} else {
		a.printVerifications(all, verbose)
	}
	// What there is of verdicts stays one document on standard output.
	beside := *a
	beside.out = a.err
	for _, err := range failures {
		beside.fail(err)
	}
	if len(failures) > 0 || slices.ContainsFunc(all, func(v verification) bool { return v.unverified }) {
		return errReported
	}
	return nil
}

// verifyObject verifies every program of an object, in a kernel of its own.
func verifyObject(object, types string, level uint32) ([]verification, error) {
	k, err := skep.New(skep.Config{CPUs: 1, VerifyOnly: true})
	if err != nil {
		return nil, err
	}
	defer k.Close()
	opt := &skep.LoadOptions{KeepGoing: true, LogLevel: level, LogSize: 16 << 20}
	if types != "" {
		f, err := os.Open(types)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		opt.KernelTypes = f
	}
	coll, err := k.LoadFile(object, opt)
	if err != nil {
		return nil, describe(object, err)
	}
	if len(coll.Order) == 0 {
		return nil, fmt.Errorf("%s has no programs: functions need a section such as SEC(\"xdp\")", object)
	}
	var out []verification
	for _, name := range coll.Order {
		v := verified(coll, name)
		v.Object = object
		out = append(out, v)
	}
	return out, nil
}

// verified is the outcome for a program of a collection.
func verified(coll *skep.Collection, name string) verification {
	decl := coll.Declared[name]
	v := verification{Program: name, Section: decl.Section, Type: decl.Type, Insns: decl.Insns, Verdict: "ok"}
	if p := coll.Programs[name]; p != nil {
		v.Log = p.Log
		v.count()
		return v
	}
	v.Verdict, v.err = "reject", coll.Failed[name]
	code, fromKernel := errno.Of(v.err)
	if !fromKernel {
		// It did not come as far as PROG_LOAD, which would have refused it.
		code, v.unverified = errno.EINVAL, true
	}
	v.Errno, v.Log = int(code), v.err.Error()+"\n"
	var rejected *skep.VerifierError
	if errors.As(v.err, &rejected) && rejected.Log != "" {
		v.Log = rejected.Log
		v.count()
	}
	return v
}

var (
	processedLine = regexp.MustCompile(`(?m)^processed (\d+) insns .* total_states (\d+) `)
	timeLine      = regexp.MustCompile(`(?m)^verification time (\d+) usec`)
)

// count reads the statistics at the end of the log, where veristat has them from
// too.
func (v *verification) count() {
	if m := processedLine.FindStringSubmatch(v.Log); m != nil {
		v.Processed, _ = strconv.Atoi(m[1])
		v.States, _ = strconv.Atoi(m[2])
	}
	if m := timeLine.FindStringSubmatch(v.Log); m != nil {
		usec, _ := strconv.ParseInt(m[1], 10, 64)
		v.TimeNS = usec * 1000
	}
}

func (a *app) printVerifications(all []verification, verbose bool) {
	if len(all) == 0 {
		return
	}
	if verbose {
		for _, v := range all {
			fmt.Fprintf(a.out, "%s: %s (%s)\n%s\n", v.Object, v.Program, v.Type, v.Log)
		}
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "OBJECT\tPROGRAM\tTYPE\tVERDICT\tINSNS\tPROCESSED\tSTATES\tTIME")
	for _, v := range all {
		verdict := v.Verdict
		if v.Errno != 0 {
			verdict += " " + errno.Errno(v.Errno).Name()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%v\n", v.Object, v.Program, v.Type, verdict,
			v.Insns, v.Processed, v.States, time.Duration(v.TimeNS))
	}
	w.Flush()
	for _, v := range all {
		if v.err != nil {
			fmt.Fprintf(a.out, "%s: %v\n", v.Object, v.err)
		}
	}
}
