package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// linux is the kernel that skep is.
const linux = "6.18"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.version() },
	}
}

func (a *app) version() error {
	version := "(devel)"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		version = b.Main.Version
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if a.json {
		return a.print(struct {
			Version  string   `json:"version"`
			Linux    string   `json:"linux"`
			Go       string   `json:"go"`
			Platform string   `json:"platform"`
			Engines  []string `json:"engines"`
		}{version, linux, runtime.Version(), platform, engineNames()})
	}
	_, err := fmt.Fprintf(a.out, "skep %s\nLinux %s, %s, %s\n", version, linux, runtime.Version(), platform)
	return err
}
