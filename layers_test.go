package skep_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

const module = "github.com/skep-ebpf/skep"

// layers is the picture in docs/architecture.md: imports go strictly downwards,
// between packages of one layer only as written here.
var layers = map[string]int{
	"cmd/skep": 9,

	"":                8,
	"internal/replay": 9,
	"insn":            0,

	"internal/abi": 7, "internal/loader": 7, "internal/load": 6, "internal/capture": 7, "internal/btfdump": 7,
	"internal/bpffs":  5,
	"internal/object": 4,

	"internal/testrun": 3, "internal/progtype": 3, "internal/helpers": 3, "internal/netbuf": 3, "internal/maps": 3,

	"internal/interp": 2, "internal/rewrite": 2, "internal/verifier": 2, "internal/exec": 2, "internal/prog": 2,
	"internal/proto":         2,
	"internal/verifier/tnum": 0, "internal/verifier/bounds": 1,

	"internal/desc": 1, "internal/kbtf": 1, "internal/patch": 1, "internal/ktype": 1,

	"internal/uapi": 0, "internal/errno": 0, "internal/mem": 0, "internal/usermem": 0,
}

// peers are the imports inside one layer.
var peers = map[string][]string{
	"internal/interp":   {"internal/exec", "internal/prog"},
	"internal/rewrite":  {"internal/prog"},
	"internal/verifier": {"internal/prog"},
	"internal/exec":     {"internal/prog"},
	"internal/desc":     {"internal/patch", "internal/kbtf"},
	"internal/testrun":  {"internal/netbuf", "internal/maps", "internal/helpers", "internal/progtype"},
	"internal/progtype": {"internal/helpers", "internal/netbuf"},
	"internal/helpers":  {"internal/netbuf", "internal/maps"},
	"internal/abi":      {"internal/loader"},
	"internal/mem":      {"internal/errno"},
	"internal/usermem":  {"internal/errno", "internal/mem"},
	"internal/ktype":    {"internal/kbtf"},
	"cmd/skep":          {"internal/replay"},
}

// never are imports that are wrong whatever the layer.
var never = map[string][]string{
	"internal/verifier": {"internal/exec", "internal/maps", "internal/helpers", "internal/progtype", "internal/interp", "internal/rewrite"},
	"internal/rewrite":  {"internal/verifier"},
	"internal/interp":   {"internal/helpers", "internal/maps", "internal/verifier"},
}

// testOnly packages are for tests alone.
var testOnly = []string{"internal/oracle", "internal/progen", "internal/testkit"}

type listed struct {
	ImportPath string
	Name       string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	if runtime.GOOS == "js" {
		t.Skip("js/wasm cannot start the go command")
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Name,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within cuts the module's path away.
func within(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// isTool says whether a package is a command for developers, which may import
// anything.
func isTool(p listed, name string) bool {
	return p.Name == "main" && name != "cmd/skep"
}

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := within(p.ImportPath)
		if contains(testOnly, name) || isTool(p, name) || strings.HasPrefix(name, "examples") || strings.HasPrefix(name, "testdata") {
			continue
		}
		level, known := layers[name]
		if !known {
			t.Errorf("%s has no layer: give it one here and in docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := within(imp)
			if !ours {
				continue
			}
			switch {
			case contains(testOnly, dep):
				t.Errorf("%s imports %s, which is for tests", name, dep)
			case contains(never[name], dep):
				t.Errorf("%s must never import %s", name, dep)
			case layers[dep] > level,
				layers[dep] == level && dep != name && !contains(peers[name], dep):
				t.Errorf("%s (layer %d) imports %s (layer %d): imports go downwards", name, level, dep, layers[dep])
			}
		}
	}
}

// Only the verifier may seal a program, and only rewrite may change one.
func TestTypestate(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("js/wasm cannot start the go command")
	}
	allowed := map[string]string{"prog.Seal(": "internal/verifier/", ".Rewritten(": "internal/rewrite/"}
	for call, where := range allowed {
		out, err := exec.Command("git", "grep", "-l", "-F", call, "--", "*.go").Output()
		if err != nil {
			t.Skipf("no git checkout to search: %v", err)
		}
		for _, file := range strings.Fields(string(out)) {
			ok := strings.HasPrefix(file, where) || strings.HasSuffix(file, "_test.go") ||
				strings.HasPrefix(file, "internal/prog/") || strings.HasPrefix(file, "internal/testkit/")
			if !ok {
				t.Errorf("%s calls %s), which only %s may", file, call, where)
			}
		}
	}
}
