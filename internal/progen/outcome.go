package progen

import (
	"bytes"
	"fmt"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Outcome is what became of a program: what every engine and the live kernel must
// agree on.
type Outcome struct {
	Errno errno.Errno // of the load
	Log   string      // of the load, if it was asked for
	Runs  []Run       // one for each input, if the program was loaded
	Maps  [][]Element // contents after the last run, by key; nil for maps that cannot be read
}

// Run is the result of one test run.
type Run struct {
	Errno  errno.Errno
	Retval uint32
	Packet []byte
	Ctx    []byte
}

// Diff returns in a sentence the first thing in which want (the reference) and
// got differ, "" if they agree. Logs are not compared.
func Diff(want, got *Outcome) string {
	if want.Errno != got.Errno {
		return fmt.Sprintf("load: %s, expected %s", name(got.Errno), name(want.Errno))
	}
	if len(want.Runs) != len(got.Runs) {
		return fmt.Sprintf("%d runs, expected %d", len(got.Runs), len(want.Runs))
	}
	for i := range want.Runs {
		if d := diffRun(&want.Runs[i], &got.Runs[i]); d != "" {
			return fmt.Sprintf("run %d: %s", i, d)
		}
	}
	for i := range want.Maps {
		if i >= len(got.Maps) {
			return fmt.Sprintf("map %d is missing", i)
		}
		if d := diffElements(want.Maps[i], got.Maps[i]); d != "" {
			return fmt.Sprintf("map %d: %s", i, d)
		}
	}
	return ""
}

func diffRun(want, got *Run) string {
	switch {
	case want.Errno != got.Errno:
		return fmt.Sprintf("%s, expected %s", name(got.Errno), name(want.Errno))
	case want.Retval != got.Retval:
		return fmt.Sprintf("returned %#x, expected %#x", got.Retval, want.Retval)
	case !bytes.Equal(want.Packet, got.Packet):
		return fmt.Sprintf("packet %x, expected %x", got.Packet, want.Packet)
	case !bytes.Equal(want.Ctx, got.Ctx):
		return fmt.Sprintf("context %x, expected %x", got.Ctx, want.Ctx)
	}
	return ""
}

func diffElements(want, got []Element) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return fmt.Sprintf("has key %x, which is not expected", got[i].Key)
		case i >= len(got), !bytes.Equal(want[i].Key, got[i].Key):
			return fmt.Sprintf("key %x is missing", want[i].Key)
		case !bytes.Equal(want[i].Value, got[i].Value):
			return fmt.Sprintf("key %x has value %x, expected %x", want[i].Key, got[i].Value, want[i].Value)
		}
	}
	return ""
}

func name(e errno.Errno) string {
	if e == 0 {
		return "success"
	}
	return e.Name()
}
