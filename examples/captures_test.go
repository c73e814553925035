package examples_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const captureDir = "../testdata/captures"

type capture struct {
	name     string
	linkType layers.LinkType
	packets  [][]byte
}

type packetSource interface {
	gopacket.PacketDataSource
	LinkType() layers.LinkType
}

// readCapture reads a pcap or pcapng file, compressed or not.
func readCapture(t testing.TB, name string) capture {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(captureDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var file io.Reader = bytes.NewReader(text)
	if strings.HasSuffix(name, ".gz") {
		if file, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	buffered := bufio.NewReader(file)
	var source packetSource
	if magic, _ := buffered.Peek(4); bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		source, err = pcapgo.NewNgReader(buffered, pcapgo.DefaultNgReaderOptions)
	} else {
		source, err = pcapgo.NewReader(buffered)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c := capture{name: name, linkType: source.LinkType()}
	for {
		data, info, err := source.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatalf("%s: packet %d: %v", name, len(c.packets), err)
		}
		if info.CaptureLength != info.Length {
			t.Errorf("%s: packet %d was cut from %d to %d bytes", name, len(c.packets), info.Length, info.CaptureLength)
		}
		c.packets = append(c.packets, data)
	}
}

func captureNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(captureDir + "/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", captureDir, err)
	}
	for i, file := range files {
		files[i] = filepath.Base(file)
	}
	return files
}

// TestCaptures holds the table of testdata/captures/README.md against the files.
func TestCaptures(t *testing.T) {
	readme, err := os.ReadFile(captureDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range captureNames(t) {
		c := readCapture(t, name)
		largest := 0
		for _, packet := range c.packets {
			largest = max(largest, len(packet))
		}
		row := fmt.Sprintf("| %s | %d | %s | %d |", name, len(c.packets), c.linkType, largest)
		if !bytes.Contains(readme, []byte(row)) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}
