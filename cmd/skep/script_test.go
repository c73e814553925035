package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the scripts expect anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skep": main})
}

func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for name, dir := range map[string]string{"EXAMPLES": "examples", "CAPTURES": "testdata/captures", "ELF": "testdata/elf"} {
				e.Setenv(name, filepath.Join(root, dir))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"steady": steady, "json": jsonPath, "interrupt": interrupt, "head": head, "pcap": pcap,
		},
	})
}

// unsteady is what differs from run to run, and from machine to machine.
var unsteady = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`: [\d,]+ packets/s, [\d,]+ ns/packet in the program; \S+ in all`), ": N packets/s, N ns/packet in the program; N in all"},
	{regexp.MustCompile(`(duration(?: \(average\))?: )\d+ns`), "${1}Nns"},
	{regexp.MustCompile(`(?m)([ \t])[\d.]+(?:ns|µs|ms|s)$`), "${1}N"},
}

// steady puts the last command's output into the file "steady", without what
// differs from run to run.
func steady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: steady")
	}
	got := ts.ReadFile("stdout")
	for _, dir := range []string{"EXAMPLES", "CAPTURES", "ELF"} {
		got = strings.ReplaceAll(got, ts.Getenv(dir), "$"+dir)
	}
	for _, u := range unsteady {
		got = u.pattern.ReplaceAllString(got, u.replacement)
	}
	ts.Check(os.WriteFile(ts.MkAbs("steady"), []byte(got), 0o666))
}

// json PATH [WANT] looks into the last command's output: PATH is keys and
// indices parted by dots, "len" the length of an array. Without WANT the value
// must only be there, with ! it must not.
func jsonPath(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: [!] json PATH [WANT]")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var v any
	ts.Check(d.Decode(&v))
	v, ok := find(v, args[0])
	switch {
	case neg && ok && len(args) == 1:
		ts.Fatalf("%s is there: %v", args[0], v)
	case neg && len(args) == 1:
		return
	case !ok:
		ts.Fatalf("%s is not there", args[0])
	case len(args) == 2 && (fmt.Sprint(v) == args[1]) == neg:
		ts.Fatalf("%s is %v", args[0], v)
	}
}

func find(v any, path string) (any, bool) {
	for _, step := range strings.Split(path, ".") {
		switch container := v.(type) {
		case map[string]any:
			inner, ok := container[step]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			if step == "len" {
				v = len(container)
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(container) {
				return nil, false
			}
			v = container[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// head FILE N NEW keeps the first N bytes of a file.
func head(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: head FILE N NEW")
	}
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b[:n], 0o666))
}

// pcap LINKTYPE FILE HEX... writes a capture with the packets.
func pcap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pcap LINKTYPE FILE HEX...")
	}
	link, err := strconv.Atoi(args[0])
	ts.Check(err)
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	ts.Check(w.WriteFileHeader(65536, layers.LinkType(link)))
	for i, text := range args[2:] {
		data, err := hex.DecodeString(text)
		ts.Check(err)
		ts.Check(w.WritePacket(gopacket.CaptureInfo{
			Timestamp: time.Unix(int64(i), 0), CaptureLength: len(data), Length: len(data),
		}, data))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), file.Bytes(), 0o666))
}

// interrupt CAPTURE LINES STATUS ARGS... runs skep with a capture on a standard
// input that does not end, sends it SIGINT after it printed some lines, and
// holds its exit status against STATUS. Its output goes to the file "stdout.txt".
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: interrupt CAPTURE LINES STATUS ARGS...")
	}
	lines, err := strconv.Atoi(args[1])
	ts.Check(err)
	in, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer in.Close()

	cmd := exec.Command(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "skep"), args[3:]...)
	cmd.Dir = ts.Getenv("WORK")
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	ts.Check(cmd.Start())
	guard := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer guard.Stop()
	go io.Copy(stdin, in)

	out := bufio.NewReader(stdout)
	var got strings.Builder
	for range lines {
		line, err := out.ReadString('\n')
		got.WriteString(line)
		if err != nil {
			ts.Fatalf("the output ends early: %v\n%s%s", err, got.String(), stderr.String())
		}
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_, err = io.Copy(&got, out)
	ts.Check(err)
	cmd.Wait()
	if status := fmt.Sprint(cmd.ProcessState.ExitCode()); status != args[2] {
		ts.Fatalf("exit status %s\n%s%s", status, got.String(), stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("stdout.txt"), []byte(got.String()), 0o666))
}
