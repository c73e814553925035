// Command termsvg draws text from standard input as a terminal window in SVG,
// for the pictures in the documentation:
//
//	skep run … | go run ./internal/cmd/termsvg -prompt 'skep run …' >docs/run.svg
package main

import (
	"bufio"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	fontSize   = 13
	charWidth  = 7.83
	lineHeight = 18
	margin     = 16
	barHeight  = 28
)

func main() {
	prompt := flag.String("prompt", "", "the command to show before its output")
	lines := flag.Int("lines", 60, "show at most this many lines")
	flag.Parse()
	text, err := read(os.Stdin, *lines)
	if err == nil {
		err = draw(os.Stdout, *prompt, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "termsvg:", err)
		os.Exit(1)
	}
}

func read(r io.Reader, limit int) (out []string, err error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		if len(out) < limit {
			out = append(out, s.Text())
		}
	}
	return out, s.Err()
}

func draw(w io.Writer, prompt string, text []string) error {
	columns := utf8.RuneCountInString(prompt) + 2
	for _, l := range text {
		columns = max(columns, utf8.RuneCountInString(l))
	}
	if prompt != "" {
		text = append([]string{"$ " + prompt}, text...)
	}
	width := int(float64(columns)*charWidth) + 2*margin
	height := len(text)*lineHeight + barHeight + 2*margin
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+"\n", width, height)
	fmt.Fprintf(b, `<rect width="%d" height="%d" rx="8" fill="#16181d"/>`+"\n", width, height)
	for i, colour := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="5.5" fill="%s"/>`+"\n", margin+4+18*i, barHeight/2+2, colour)
	}
	fmt.Fprintf(b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="%d" fill="#d5d9e0">`+"\n", fontSize)
	for i, l := range text {
		if l == "" {
			continue
		}
		y := barHeight + margin + i*lineHeight + fontSize
		fmt.Fprintf(b, `<text x="%d" y="%d" xml:space="preserve"%s>%s</text>`+"\n", margin, y, style(l, i == 0 && prompt != ""), escape(l))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Flush()
}

// style colours what a reader looks for first.
func style(line string, prompt bool) string {
	switch {
	case prompt:
		return ` fill="#7ee787"`
	case strings.Contains(line, "█"):
		return ` fill="#79c0ff"`
	case !strings.HasPrefix(line, " "):
		return ` fill="#ffffff" font-weight="600"`
	}
	return ""
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
