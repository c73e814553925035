// Command gen writes the constants and layouts of package uapi from the BTF of
// the running kernel.
//
// The result depends on nothing but the kernel's types, so that a second run on
// the reference release changes no byte. A host that cannot say anything about
// the reference release (no BTF, another release) is reported with exit status
// 3: the check was not run, which is neither success nor failure. (go run and go
// generate turn every failure into status 1; build the command where the
// difference matters.)
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// reference is the release whose ABI package uapi mirrors.
const reference = "6.18."

const exitNotRun = 3

// errNotRun says that this host cannot generate.
type errNotRun struct{ reason string }

func (e errNotRun) Error() string { return "not run: " + e.reason }

func main() {
	var (
		vmlinux = flag.String("btf", "/sys/kernel/btf/vmlinux", "vmlinux BTF to read")
		release = flag.String("release", "", "release that the BTF is of (default: the running kernel's)")
		dir     = flag.String("dir", ".", "directory to write the zz_generated files to")
		check   = flag.Bool("check", false, "write nothing; fail if a file would change")
	)
	flag.Parse()
	if err := run(*vmlinux, *release, *dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "uapi/gen:", err)
		if errors.As(err, new(errNotRun)) {
			os.Exit(exitNotRun)
		}
		os.Exit(1)
	}
}

func run(vmlinux, release, dir string, check bool) error {
	if release == "" {
		b, err := os.ReadFile("/proc/sys/kernel/osrelease")
		if err != nil {
			return errNotRun{"the host is not Linux: " + err.Error()}
		}
		release = strings.TrimSpace(string(b))
	}
	if !strings.HasPrefix(release, reference) {
		return errNotRun{fmt.Sprintf("kernel is %s, the reference is %sx", release, reference)}
	}
	if _, err := os.Stat(vmlinux); err != nil {
		return errNotRun{"no kernel BTF: " + err.Error()}
	}
	spec, err := btf.LoadSpec(vmlinux)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		gen  func(*btf.Spec) (*source, error)
	}{
		{"zz_generated_enums.go", genEnums},
		{"zz_generated_flags.go", genFlags},
		{"zz_generated_attr.go", genAttr},
		{"zz_generated_records.go", genRecords},
		{"zz_generated_contexts.go", genContexts},
	} {
		src, err := f.gen(spec)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		text, err := src.format()
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := emit(filepath.Join(dir, f.name), text, check); err != nil {
			return err
		}
	}
	return nil
}

func emit(path string, text []byte, check bool) error {
	if !check {
		return os.WriteFile(path, text, 0o644)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(old) != string(text) {
		return fmt.Errorf("%s is not what the kernel's BTF says: run go generate", path)
	}
	return nil
}
