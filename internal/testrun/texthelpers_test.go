package testrun_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/interp"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/progtype"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// stackText stores text on the stack at R10-64 and pads it with zeros.
func stackText(text string) string {
	var buf [64]byte
	copy(buf[:], text)
	out := ""
	for i := 0; i < len(buf); i += 8 {
		out += fmt.Sprintf("r1 = 0x%x ll\n*(u64 *)(r10 -%d) = r1\n", binary.LittleEndian.Uint64(buf[i:]), len(buf)-i)
	}
	return out
}

func TestNumbersLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	texts := []string{"", "0", "1", "-1", "42", " 42", "\t\n 7x", "+5", "-", "--1", "0x", "0x1f", "0X1F", "0xg", "017", "019", "08", "ff", "FF",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
		"18446744073709551616", "99999999999999999999999999", "\xa05", "1 2", "-0", "-0x10", "0b1", "000000000000000000000000000000000000000000000001", "x", "\x00", "5\x006"}
	for _, text := range texts {
		for _, helper := range []string{"strtol", "strtoul"} {
			for _, flags := range []int{0, 8, 10, 16, 2, 11, 32, -1} {
				for _, n := range []int{max(len(text), 1), 64} {
					try(t, b, xdp, stackText(text)+fmt.Sprintf(`
						*(u64 *)(r10 -72) = -1
						r1 = r10
						r1 += -64
						r2 = %d
						r3 = %d
						r4 = r10
						r4 += -72
						call %s
						r1 = *(u64 *)(r10 -72)
						r0 <<= 8
						r0 ^= r1`, n, flags, helper)+fold32, frame(60))
				}
			}
		}
	}
	for _, s1 := range []string{"", "a", "abc", "abd", "ab\x00c", "\xff", "abcdefgh"} {
		for _, s2 := range []string{"", "a", "abc", "abcd", "b", "\xff"} {
			b.constants(t, []byte(s2+"\x00"))
			for _, n := range []int{1, 2, 3, 4, 8} {
				try(t, b, xdp, stackText(s1)+fmt.Sprintf("r1 = r10\nr1 += -64\nr2 = %d\nr3 = map[fd:0][0]+0 ll\ncall strncmp", n), frame(60))
			}
		}
	}
}

// formats are those of printf helpers with how many arguments they want, right
// and wrong.
var formats = []string{"", "plain", "%d", "%u %x %X", "%i", "%5d|%-5d|%05d", "%+d % d %+5d", "%ld %lu %lx", "%lld %llu %llX", "%c%c%c",
	"%3c|%-3c|", "%%", "%d%%%d", "%", "%d %", "%l", "%lll", "%lc", "%o", "%s", "%10s|%-10s|", "%sx", "%s.", "%s%s", "%pks", "%10pks|", "%pus",
	"%pkx", "%pI4", "%pi4", "%pI6", "%pi6", "%pI6c", "%20pI4|%-20pi4|", "%pI5", "%pI", "%px", "%20px|", "%pxy.", "%pf", "%p%", "%pB", "%ps", "%pS",
	"tab\tnl\n", "\x01", "\x7f", "caf\xc3\xa9", "%\xc3", "%0005d", "%-05d|", "%+-7d|", "% +d", "%1000d", "%99999d", "%n", "%f", "%hd", "%#x", "%.3s",
	"%zu", "%-lx", "%0lx", "%s %d %s", "%d %d %d %d %d %d %d %d %d %d %d %d", "%d %d %d %d %d %d %d %d %d %d %d %d %d"}

// arguments for the formats; text stands for the address of a string.
const text = "text"

var arguments = [][3]any{
	{0, 0, 0}, {1, -1, 2}, {-1, 0x7fffffff, 65}, {"0x123456789abcdef0", "0xfedcba9876543210", 10}, {text, text, text}, {text, 7, text},
}

// What snprintf writes and returns, for every format, and which formats the
// kernel refuses when it verifies.
func TestSnprintfLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	check := progtype.Lookup(xdp).Helper(uapi.BPF_FUNC_snprintf, privileged()).CheckFormat
	for _, f := range formats {
		b.constants(t, []byte(f+"\x00"))
		for _, args := range arguments {
			n := strings.Count(strings.ReplaceAll(f, "%%", ""), "%")
			if args[0] == text && !takesStrings(f, args[1] != text) {
				continue // it would print addresses, which are the host's
			}
			for _, size := range []int{64, 12, 1, 0} {
				body := fmt.Sprintf("; format %q, arguments %v\n", f, args) + "*(u64 *)(r10 -8) = 0x21\n*(u64 *)(r10 -16) = 0x48474645\n" // the string EFGH at R10-16
				for i := range 13 {
					a := args[i%3]
					if a == text {
						body += fmt.Sprintf("r1 = r10\nr1 += -16\n*(u64 *)(r10 -%d) = r1\n", 120-8*i)
					} else {
						body += fmt.Sprintf("r1 = %v ll\n*(u64 *)(r10 -%d) = r1\n", hex(a), 120-8*i)
					}
				}
				for off := 128; off <= 184; off += 8 {
					body += fmt.Sprintf("*(u64 *)(r10 -%d) = -1\n", off)
				}
				body += fmt.Sprintf("r1 = r10\nr1 += -184\nr2 = %d\nr3 = map[fd:0][0]+0 ll\nr4 = r10\nr4 += -120\nr5 = %d\ncall snprintf\nr0 <<= 20\n",
					size, 8*n)
				for off := 128; off <= 184; off += 8 {
					body += fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nr0 *= 31\nr0 += r1\n", off)
				}
				body += fold32
				probe := oracle.LoadProg(oracle.Prog{Type: xdp, Insns: assemble(t, "r6 = r1\n"+body+"\nexit"), Maps: b.live, LogLevel: 1})
				refused := probe.Errno
				probe.Close()
				if e := check([]byte(f), n); (e != 0) != (refused != 0) {
					t.Errorf("format %q: kernel %v, skep %v\n%s", f, refused, e, probe.Log)
				}
				if refused == 0 {
					try(t, b, xdp, body, frame(60))
				}
			}
		}
	}
}

// takesStrings says whether a format prints strings and addresses where the
// arguments are text, text, text or text, a number, text.
func takesStrings(f string, mixed bool) bool {
	if strings.Contains(f, "%d") {
		return mixed && f == "%s %d %s"
	}
	for _, verb := range []string{"s", "pks", "pus", "pI4", "pi4", "pI6", "pi6"} {
		if strings.Contains(f, "%"+verb) && !strings.Contains(f, "%ps") {
			return !mixed || strings.Count(f, "%") == 1
		}
	}
	return strings.HasPrefix(f, "%10") || strings.HasPrefix(f, "%20pI")
}

func hex(v any) string {
	if n, ok := v.(int); ok {
		return fmt.Sprintf("0x%x", uint64(n))
	}
	return v.(string)
}

// What trace_printk returns for a format that is only known at run time.
func TestTracePrintkLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, f := range formats {
		if len(f) > 60 {
			continue
		}
		for _, args := range [][3]int{{0, 0, 0}, {1, -1, 65}} {
			for _, n := range []int{len(f) + 1, max(len(f), 1), 64} {
				try(t, b, xdp, fmt.Sprintf("; format %q\n", f)+stackText(f)+fmt.Sprintf("r1 = r10\nr1 += -64\nr2 = %d\nr3 = %d\nr4 = %d\nr5 = %d\ncall trace_printk",
					n, args[0], args[1], args[2]), frame(60))
				try(t, b, xdp, fmt.Sprintf("; format %q\n", f)+stackText(f)+fmt.Sprintf("*(u64 *)(r10 -72) = %d\n*(u64 *)(r10 -80) = %d\nr1 = r10\nr1 += -64\nr2 = %d\nr3 = r10\nr3 += -80\nr4 = %d\ncall trace_vprintk",
					args[0], args[1], n, 16), frame(60))
			}
		}
	}
	for _, n := range []int{0, 4, 8, 12} {
		try(t, b, xdp, stackText("%d")+fmt.Sprintf("*(u64 *)(r10 -72) = 1\n*(u64 *)(r10 -80) = 2\nr1 = r10\nr1 += -64\nr2 = 3\nr3 = r10\nr3 += -80\nr4 = %d\ncall trace_vprintk", n), frame(60))
	}
}

// Lines come out of the machine's trace without their newline.
func TestTraceLines(t *testing.T) {
	b := newBench(t)
	p := b.compile(t, interp.New(), progtype.Lookup(xdp), 0, assemble(t,
		stackText("port %d from %pI4\n")+`
		*(u32 *)(r10 -72) = 0x0100007f
		r1 = r10
		r1 += -64
		r2 = 20
		r3 = 443
		r4 = r10
		r4 += -72
		call trace_printk
		exit`))
	out := run(p, oracle.Input{Data: frame(60)})
	if want := "port 443 from 127.0.0.1"; out.Errno != 0 || len(b.trace) != 1 || b.trace[0] != want || out.Retval != uint32(len(want))+1 {
		t.Errorf("errno %v, returned %d, printed %q, want %q", out.Errno, out.Retval, b.trace, want)
	}
}

func TestProbeReadLikeKernel(t *testing.T) {
	oracle.Require(t)
	t.Parallel()
	b := newBench(t)
	for _, helper := range []string{"probe_read_kernel", "probe_read_kernel_str", "probe_read_user", "probe_read_user_str"} {
		for _, src := range []string{"r3 = 0", "r3 = 1", "r3 = r10\nr3 += -64", "r3 = 0xdead000000000000 ll"} {
			if strings.Contains(helper, "user") && strings.Contains(src, "r10") {
				continue
			}
			for _, n := range []int{0, 1, 5, 6, 7, 8} {
				try(t, b, xdp, stackText("kernel")+fmt.Sprintf("*(u64 *)(r10 -72) = -1\nr1 = r10\nr1 += -72\nr2 = %d\n%s\ncall %s\nr0 <<= 8\nr1 = *(u64 *)(r10 -72)\nr0 ^= r1",
					n, src, helper)+fold32, frame(60))
			}
		}
	}
}

// The kernel wants BTF for a callback; here the results are known.
func TestLoop(t *testing.T) {
	b := newBench(t)
	for _, tc := range []struct {
		n          string
		stop, flag int
		want       int32
	}{
		{"0", 0, 0, 0}, {"1", 5, 0, 1}, {"100", 1000, 0, 100}, {"100", 0, 0, 1}, {"100", 41, 0, 42}, {"100", 99, 0, 100},
		{"5", 5, 1, -int32(errno.EINVAL)}, {"0x800001", 0, 0, -int32(errno.E2BIG)}, {"-1", 0, 0, -int32(errno.E2BIG)},
		{"0x800000", 70000, 0, 70001},
	} {
		code := assemble(t, fmt.Sprintf(`
			*(u64 *)(r10 -8) = 0
			r1 = %s
			r2 = subprog[body] ll
			r3 = r10
			r3 += -8
			r4 = %d
			call loop
			r1 = *(u64 *)(r10 -8)
			if r0 s< 0 goto out
			if r0 == r1 goto out
			r0 = 0xbad
		out:
			exit
		body:
			r3 = *(u64 *)(r2 +0)
			r3 += 1
			*(u64 *)(r2 +0) = r3
			r0 = 0
			if r1 != %d goto done
			r0 = 1
		done:
			exit`, tc.n, tc.flag, tc.stop))
		for _, e := range engines {
			out := run(b.compile(t, e, progtype.Lookup(xdp), 0, code), oracle.Input{Data: frame(60)})
			if out.Errno != 0 || int32(out.Retval) != tc.want {
				t.Errorf("%s: %s rounds, stop at %d, flags %d: errno %v, returned %d, want %d", e.Name(), tc.n, tc.stop, tc.flag, out.Errno, int32(out.Retval), tc.want)
			}
		}
	}
}

func privileged() *desc.ProgInfo {
	return &desc.ProgInfo{Type: xdp, GPL: true, Caps: allCaps}
}
