package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
)

const dir = "../../testdata/captures/"

func count(t testing.TB, r *Reader) (int, error) {
	t.Helper()
	for n := 0; ; n++ {
		if _, err := r.Next(); err != nil {
			return n, err
		}
	}
}

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		file string
		n    int
		link layers.LinkType
	}{
		{"web.pcapng", 214, layers.LinkTypeEthernet},
		{"tos.pcap.gz", 414, layers.LinkTypeEthernet},
		{"crowd.pcap", 5192, layers.LinkTypeEthernet},
		{"jumbo.pcapng.gz", 58, layers.LinkTypeEthernet},
		{"gopacket-loopback.pcap", 24, layers.LinkTypeNull},
	} {
		r, err := Open(dir + tc.file)
		if err != nil {
			t.Fatal(err)
		}
		n, err := count(t, r)
		if err != io.EOF || n != tc.n || r.LinkType() != tc.link {
			t.Errorf("%s: %d packets of link type %v, %v; want %d of %v", tc.file, n, r.LinkType(), err, tc.n, tc.link)
		}
		read, size := r.Progress()
		if read != size || size == 0 {
			t.Errorf("%s: read %d of %d bytes", tc.file, read, size)
		}
		r.Close()
	}
}

// A capture that is cut anywhere gives the packets before the cut and then an
// error at the record that is broken, or a clean end between records.
func TestTruncated(t *testing.T) {
	for _, file := range []string{"gopacket-dns.pcap", "web.pcapng"} {
		whole, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut < min(len(whole), 3000); cut += 7 {
			r, err := NewReader(file, bytes.NewReader(whole[:cut]))
			if err == nil {
				_, err = count(t, r)
			}
			if err == io.EOF {
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Offset > int64(cut) {
				t.Fatalf("%s cut at %d: %v", file, cut, err)
			}
		}
	}
}

func TestTruncatedGzip(t *testing.T) {
	plain, err := os.ReadFile(dir + "gopacket-modbus.pcap")
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(plain)
	w.Close()
	r, err := NewReader("x.gz", bytes.NewReader(z.Bytes()[:z.Len()/2]))
	if err != nil {
		t.Fatal(err)
	}
	n, err := count(t, r)
	var e *Error
	if n == 0 || !errors.As(err, &e) || e.Packets != n || e.Offset == 0 {
		t.Errorf("%d packets, then %v", n, err)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.pcapng")
	w, err := Create(path, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 123456789)
	if err := w.Write([]byte("0123456789abcdef"), at, "XDP_PASS"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there before it is complete")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := r.Next()
	if err != nil || string(p.Data) != "0123456789abcdef" || !p.Time.Equal(at) {
		t.Errorf("read back %q at %v, %v", p.Data, p.Time, err)
	}
	raw, _ := os.ReadFile(path)
	if !bytes.Contains(raw, []byte("XDP_PASS")) {
		t.Error("the comment is not in the file")
	}
}

func FuzzReader(f *testing.F) {
	for _, name := range []string{"gopacket-dns.pcap", "gopacket-tls.pcapng"} {
		raw, err := os.ReadFile(dir + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:min(len(raw), 2000)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader("fuzz", bytes.NewReader(data))
		if err != nil {
			return
		}
		count(t, r)
	})
}
