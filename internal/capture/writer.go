package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Writer writes a pcapng file. It appears under its name when it is complete.
type Writer struct {
	path string
	file *os.File
	ng   *pcapgo.NgWriter
	to   io.Writer
}

// Create starts a capture at path, "-" for standard output.
func Create(path string, link layers.LinkType) (*Writer, error) {
	w := &Writer{path: path, to: os.Stdout}
	if path != "-" {
		f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
		if err != nil {
			return nil, err
		}
		w.file, w.to = f, f
	}
	intf := pcapgo.NgInterface{Name: "skep", LinkType: link, SnapLength: 0, TimestampResolution: 9}
	ng, err := pcapgo.NewNgWriterInterface(w.to, intf, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "skep"},
	})
	if err != nil {
		w.Discard()
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	w.ng = ng
	return w, nil
}

// Write adds a packet with a comment.
func (w *Writer) Write(data []byte, at time.Time, comment string) error {
	ci := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}
	err := w.ng.WritePacketWithOptions(ci, data, pcapgo.NgPacketOptions{Comments: []string{comment}})
	if err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	return nil
}

// Close completes the file and gives it its name.
func (w *Writer) Close() error {
	if err := w.ng.Flush(); err != nil {
		w.Discard()
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	if w.file == nil {
		return nil
	}
	tmp := w.file.Name()
	err := errors.Join(w.file.Chmod(0o644), w.file.Close())
	if err == nil {
		err = os.Rename(tmp, w.path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	w.file = nil
	return nil
}

// Discard removes an incomplete file.
func (w *Writer) Discard() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}
