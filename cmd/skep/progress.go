package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// patience is how long a run takes before a progress bar appears.
const patience = time.Second

// progress is a bar on the terminal, for captures that take long.
type progress struct {
	to    io.Writer // nil: nobody is watching
	start time.Time
	bar   *progressbar.ProgressBar
}

func newProgress(a *app, o *runOptions) *progress {
	p := &progress{start: time.Now()}
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && !o.verbose {
		p.to = f
	}
	return p
}

// update shows how far the reading of the capture came. size is 0 where it is
// not known.
func (p *progress) update(read, size int64, packets int) {
	if p.to == nil || time.Since(p.start) < patience {
		return
	}
	if p.bar == nil {
		p.bar = newBar(p.to, size)
	}
	p.bar.Describe(fmt.Sprintf("%s packets", thousands(packets)))
	p.bar.Set64(read)
}

func newBar(to io.Writer, size int64) *progressbar.ProgressBar {
	if size == 0 {
		size = -1 // a spinner
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(to),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.Theme{
			Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: "",
		}),
	)
}

// clear takes the bar off the terminal.
func (p *progress) clear() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar.Exit()
	}
}
