package helpers

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

func ForSocketFilter(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper { return nil }
func ForSched(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper        { return nil }
func ForXDP(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper          { return nil }

var LoadAbs [3]*desc.Helper
