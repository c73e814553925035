package kbtf

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// messages is a log that cuts each message as the kernel's does.
type messages struct{ bytes.Buffer }

func (m *messages) Write(p []byte) (int, error) {
	m.Buffer.Write(p[:min(len(p), 1023)])
	return len(p), nil
}

// vmlinux is what the running kernel's own types say.
var vmlinux = sync.OnceValues(func() (*Kernel, error) {
	raw, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, err
	}
	b, err := Parse(raw, nil)
	if err != nil {
		return nil, err
	}
	return &Kernel{Types: b, Destructors: map[string]bool{"task_struct": true, "cgroup": true, "bpf_cpumask": true, "bpf_crypto_ctx": true}}, nil
})

// compare holds our answer against the live kernel's; "" when they agree.
func compare(k *Kernel, data []byte, level uint32) (verdict, log string) {
	live := ask(data, level)
	var m messages
	var w *messages
	if level != 0 {
		w = &m
	}
	var err error
	if w == nil {
		_, err = k.Parse(data, nil)
	} else {
		_, err = k.Parse(data, w)
	}
	e, _ := errno.Of(err)
	if e != live.Errno {
		verdict = fmt.Sprintf("skep: %v, kernel: %s", err, live.Errno.Name())
	}
	if level != 0 && m.String() != live.Log {
		log = difference(m.String(), live.Log)
	}
	return verdict, log
}

// answer is the live kernel's.
type answer struct {
	Errno errno.Errno
	Log   string
}

// smallLog is the buffer that most logs fit in: a large one for each of many
// loads takes most of the time.
var smallLog = make([]byte, 32<<10)

func ask(data []byte, level uint32) answer {
	var pins oracle.Pins
	defer pins.Release()
	a := uapi.BTFLoadAttr{BTF: pins.Addr(data), BTFSize: uint32(len(data)), BTFLogLevel: level}
	if level != 0 {
		a.BTFLogBuf, a.BTFLogSize = pins.Addr(smallLog), uint32(len(smallLog))
	}
	var attr [uapi.AttrSize]byte
	a.Encode(attr[:])
	fd, e := oracle.BPF(uapi.BPF_BTF_LOAD, attr[:])
	if e == 0 {
		oracle.Close(int(fd))
	}
	if e == errno.ENOSPC {
		live := oracle.TryBTF(data, level)
		defer live.Close()
		return answer{live.Errno, live.Log}
	}
	if level == 0 {
		return answer{e, ""}
	}
	return answer{e, uapi.CString(smallLog)}
}

// difference shows where two logs part.
func difference(ours, live string) string {
	a, b := strings.Split(ours, "\n"), strings.Split(live, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d\n   skep: %.300q\n kernel: %.300q", i+1, at(a, i), at(b, i))
		}
	}
	return "same lines"
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(end)"
}

// tally reports how often both agreed, and the first differences.
type tally struct {
	n, verdicts, logs int
	shown             map[string]int
}

func (c *tally) add(t *testing.T, name, verdict, log string) {
	c.n++
	if verdict != "" {
		c.verdicts++
		c.show(t, name, verdict+"\n"+log)
	} else if log != "" {
		c.logs++
		c.show(t, name, log)
	}
}

func (c *tally) show(t *testing.T, name, text string) {
	if c.shown == nil {
		c.shown = map[string]int{}
	}
	if c.shown["all"]++; c.shown["all"] <= 25 {
		t.Errorf("%s: %s", name, text)
	}
}

func (c *tally) report(t *testing.T) {
	t.Logf("%d loads: verdict and errno agree in %d, the log too in %d", c.n, c.n-c.verdicts, c.n-c.verdicts-c.logs)
}

func TestSamplesLive(t *testing.T) {
	oracle.Require(t)
	k, err := vmlinux()
	if err != nil {
		t.Fatal(err)
	}
	var c tally
	all := samples()
	sort.SliceStable(all, func(i, j int) bool { return len(all[i].name) < len(all[j].name) })
	for i, s := range all {
		verdict, log := compare(k, s.data, []uint32{1, 2, 4}[i%3])
		c.add(t, s.name, verdict, log)
	}
	c.report(t)
}
