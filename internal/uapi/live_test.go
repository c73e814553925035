package uapi_test

import (
	"bufio"
	"encoding/binary"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// lastIDBytes is the largest id that may be asked for the next one of.
const lastIDBytes = "\xfe\xff\xff\x7f"

// TestLastFieldLive sets the first byte after a command's last field: the kernel
// must say EINVAL. The same attribute without that byte gets another errno,
// also with the last byte of the last field set where any value may stand there.
func TestLastFieldLive(t *testing.T) {
	oracle.Require(t)
	badFD := func(offsets ...int) func([]byte) {
		return func(a []byte) {
			for _, o := range offsets {
				copy(a[o:], "\xff\xff\xff\x7f")
			}
		}
	}
	m := oracle.NewMap(t, oracle.MapSpec{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	aMap := func(a []byte) { binary.LittleEndian.PutUint32(a[8:], uint32(m.FD)) }
	lastID := func(a []byte) { copy(a, lastIDBytes) }
	for _, tt := range []struct {
		cmd   uapi.Cmd
		setup func([]byte)
		want  errno.Errno
		free  bool // any value of the last field's last byte gives want
	}{
		{uapi.BPF_MAP_LOOKUP_ELEM, badFD(0), errno.EBADF, false},
		{uapi.BPF_MAP_UPDATE_ELEM, badFD(0), errno.EBADF, true},
		{uapi.BPF_MAP_DELETE_ELEM, badFD(0), errno.EBADF, true},
		{uapi.BPF_MAP_GET_NEXT_KEY, badFD(0), errno.EBADF, true},
		{uapi.BPF_MAP_LOOKUP_AND_DELETE_ELEM, badFD(0), errno.EBADF, false},
		{uapi.BPF_MAP_FREEZE, badFD(0), errno.EBADF, true},
		{uapi.BPF_MAP_LOOKUP_BATCH, badFD(36), errno.EBADF, true},
		{uapi.BPF_MAP_UPDATE_BATCH, badFD(36), errno.EBADF, true},
		{uapi.BPF_MAP_DELETE_BATCH, badFD(36), errno.EBADF, true},
		{uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH, badFD(36), errno.EBADF, true},
		{uapi.BPF_OBJ_PIN, aMap, errno.EFAULT, false},
		{uapi.BPF_OBJ_GET, func([]byte) {}, errno.EFAULT, false},
		{uapi.BPF_PROG_TEST_RUN, badFD(0), errno.EBADF, true},
		{uapi.BPF_PROG_GET_NEXT_ID, lastID, errno.ENOENT, true},
		{uapi.BPF_MAP_GET_NEXT_ID, lastID, errno.ENOENT, true},
		{uapi.BPF_BTF_GET_NEXT_ID, lastID, errno.ENOENT, true},
		{uapi.BPF_LINK_GET_NEXT_ID, lastID, errno.ENOENT, true},
		{uapi.BPF_PROG_GET_FD_BY_ID, badFD(0), errno.ENOENT, true},
		{uapi.BPF_MAP_GET_FD_BY_ID, badFD(0), errno.ENOENT, false},
		{uapi.BPF_BTF_GET_FD_BY_ID, badFD(0), errno.ENOENT, true},
		{uapi.BPF_LINK_GET_FD_BY_ID, badFD(0), errno.ENOENT, true},
		{uapi.BPF_OBJ_GET_INFO_BY_FD, badFD(0), errno.EBADFD, true},
		{uapi.BPF_TASK_FD_QUERY, badFD(0), errno.ENOENT, true},
		{uapi.BPF_PROG_ATTACH, badFD(4), errno.EBADF, true},
		{uapi.BPF_LINK_CREATE, badFD(0), errno.EBADF, true},
		{uapi.BPF_LINK_UPDATE, badFD(0), errno.EBADF, true},
		{uapi.BPF_LINK_DETACH, badFD(0), errno.EBADF, true},
		{uapi.BPF_ITER_CREATE, badFD(0), errno.EBADF, false},
		{uapi.BPF_PROG_BIND_MAP, badFD(0), errno.EBADF, false},
		{uapi.BPF_TOKEN_CREATE, badFD(4), errno.EBADF, true},
		{uapi.BPF_PROG_STREAM_READ_BY_FD, badFD(16), errno.EBADF, true},
		{uapi.BPF_RAW_TRACEPOINT_OPEN, badFD(8), errno.EBADF, true},
		{uapi.BPF_BTF_LOAD, badFD(16), errno.E2BIG, false},
	} {
		end, ok := tt.cmd.LastField()
		if !ok {
			t.Errorf("%v has no last field", tt.cmd)
			continue
		}
		try := func(at int, v byte) errno.Errno {
			a := make([]byte, uapi.AttrSize)
			tt.setup(a)
			if at >= 0 {
				a[at] = v
			}
			_, e := oracle.BPF(tt.cmd, a)
			return e
		}
		if e := try(-1, 0); e != tt.want {
			t.Errorf("%v: base errno %v, want %v", tt.cmd, e.Name(), tt.want.Name())
		}
		if e := try(end, 1); e != errno.EINVAL {
			t.Errorf("%v: byte %d set: %v, want EINVAL", tt.cmd, end, e.Name())
		}
		if e := try(end-1, 0x40); tt.free && e != tt.want {
			t.Errorf("%v: byte %d set: %v, want %v", tt.cmd, end-1, e.Name(), tt.want.Name())
		}
	}
}

// TestAttrSizeLive passes a longer attribute: a zero tail is fine, another is
// E2BIG.
func TestAttrSizeLive(t *testing.T) {
	oracle.Require(t)
	a := make([]byte, uapi.AttrSize+8)
	copy(a, lastIDBytes)
	if _, e := oracle.BPF(uapi.BPF_PROG_GET_NEXT_ID, a); e != errno.ENOENT {
		t.Errorf("zero tail: %v, want ENOENT", e.Name())
	}
	a[uapi.AttrSize] = 1
	if _, e := oracle.BPF(uapi.BPF_PROG_GET_NEXT_ID, a); e != errno.E2BIG {
		t.Errorf("non-zero tail: %v, want E2BIG", e.Name())
	}
}

// TestUnknownCommandLive asks for the first command that does not exist.
func TestUnknownCommandLive(t *testing.T) {
	oracle.Require(t)
	if _, ok := uapi.MAX_BPF_CMD.LastField(); ok {
		t.Error("the end marker has a last field")
	}
	if _, e := oracle.BPF(uapi.MAX_BPF_CMD, make([]byte, uapi.AttrSize)); e != errno.EINVAL {
		t.Errorf("%v, want EINVAL", e.Name())
	}
}

// TestGeneratedIsCurrent runs the generator on the live kernel.
func TestGeneratedIsCurrent(t *testing.T) {
	oracle.Require(t)
	if testing.Short() {
		t.Skip("builds the generator")
	}
	out, err := exec.Command("go", "run", "./gen", "-check").CombinedOutput()
	if err != nil {
		t.Errorf("go run ./gen -check: %v\n%s", err, out)
	}
}

// TestMacrosMatchHeaders compares macros.go with the host's kernel headers, which
// may be older: what they do not define is not compared.
func TestMacrosMatchHeaders(t *testing.T) {
	ours := constants(t, "macros.go")
	compared := 0
	for _, path := range []string{
		"/usr/include/linux/bpf.h", "/usr/include/linux/btf.h",
		"/usr/include/linux/if_link.h", "/usr/include/linux/pkt_cls.h",
	} {
		for name, text := range macros(t, path) {
			want, ok := ours[name]
			if !ok {
				continue
			}
			got, err := types.Eval(token.NewFileSet(), nil, token.NoPos, text)
			if err != nil {
				continue // refers to another macro
			}
			compared++
			if constant.Compare(got.Value, token.NEQ, want) {
				t.Errorf("%s is %v, %s says %v", name, want, path, got.Value)
			}
		}
	}
	if compared == 0 {
		t.Skip("oracle: not run: no kernel headers in /usr/include/linux")
	}
	t.Logf("%d macros compared", compared)
}

var macroLine = regexp.MustCompile(`^#define\s+([A-Z][A-Z0-9_]+)\s+([^/]+)`)

// macros returns the constant macros of a header, in Go syntax.
func macros(t *testing.T, path string) map[string]string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	found := map[string]string{}
	suffix := regexp.MustCompile(`\b(0x[0-9a-fA-F]+|[0-9]+)[UL]+\b`)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if m := macroLine.FindStringSubmatch(sc.Text()); m != nil {
			found[m[1]] = suffix.ReplaceAllString(strings.TrimSpace(m[2]), "$1")
		}
	}
	return found
}

// constants returns the values of the constants that a file of this package
// declares.
func constants(t *testing.T, file string) map[string]constant.Value {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.Default(), Error: func(error) {}}
	pkg, _ := conf.Check("uapi", fset, []*ast.File{f}, nil) // types of other files are missing
	found := map[string]constant.Value{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Val().Kind() == constant.Int {
			found[name] = c.Val()
		}
	}
	return found
}
