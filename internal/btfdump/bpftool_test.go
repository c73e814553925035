package btfdump

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/ktype"
)

// bpftool runs the host's bpftool, or skips the test.
func bpftool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skip("oracle: bpftool is not installed")
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("bpftool %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// btfFiles are files with BTF: the repository's objects, skep's own kernel's and
// the host's.
func btfFiles(t *testing.T) []string {
	var files []string
	for _, pattern := range []string{"../../examples/*/*.o", "../../testdata/elf/*.o"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, paths...)
	}
	if len(files) == 0 {
		t.Fatal("there are no objects")
	}
	own := filepath.Join(t.TempDir(), "skep.btf")
	if err := os.WriteFile(own, ktype.BTF(), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(files, own)
}

func readFile(t *testing.T, path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := Read(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return raw
}

// firstLine shows where two texts part.
func firstLine(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		x, y := "(end)", "(end)"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d\n    skep: %.200q\n bpftool: %.200q", i+1, x, y)
		}
	}
	return ""
}

func TestDumpFilesBpftool(t *testing.T) {
	files := btfFiles(t)
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err == nil {
		files = append(files, "/sys/kernel/btf/vmlinux")
	}
	for _, path := range files {
		raw := readFile(t, path)
		var text, js, c bytes.Buffer
		for _, dump := range []error{DumpRaw(&text, raw), DumpRawJSON(&js, raw), DumpC(&c, raw)} {
			if dump != nil {
				t.Errorf("%s: %v", path, dump)
			}
		}
		if d := firstLine(text.String(), bpftool(t, "btf", "dump", "file", path, "format", "raw")); d != "" {
			t.Errorf("%s raw: %s", path, d)
		}
		// bpftool extends the sign of unsigned enumerators in JSON: the kernel has
		// such.
		if !strings.HasPrefix(path, "/sys") {
			want := strings.TrimSuffix(bpftool(t, "-j", "btf", "dump", "file", path), "\n")
			if d := firstLine(perObject(js.String()), perObject(want)); d != "" {
				t.Errorf("%s JSON: %s", path, d)
			}
		}
		if d := firstLine(c.String(), bpftool(t, "btf", "dump", "file", path, "format", "c")); d != "" {
			t.Errorf("%s C: %s", path, d)
		}
	}
	t.Logf("%d files", len(files))
}

// perObject breaks JSON into lines, to show where two differ.
func perObject(s string) string { return strings.ReplaceAll(s, "},{", "},\n{") }
