package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildInfo is what the Go tool wrote into the program.
func buildInfo() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  sallyport version --json",
		Args:    cobra.NoArgs,
		RunE: does(func(*cobra.Command, []string) error {
			v := buildInfo()
			text := "sallyport " + v.Version + "\n"
			if v.Revision != "" {
				text += "revision " + v.Revision
				if v.Modified {
					text += ", changed since"
				}
				text += "\n"
			}
			return p.show(v, "%s%s %s\n", text, v.Go, v.Platform)
		}),
	}
}
