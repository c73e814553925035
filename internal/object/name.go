package object

import (
	"bytes"

	"github.com/skep-ebpf/skep/internal/errno"
)

// CheckName validates the fixed-size name of a program or map: letters, digits,
// '_' and '.', ended by a NUL (bpf_obj_name_cpy).
func CheckName(field []byte) (string, error) {
	end := bytes.IndexByte(field, 0)
	if end < 0 {
		return "", errno.Errorf(errno.EINVAL, "name %q has no end within %d bytes", field, len(field))
	}
	for _, c := range field[:end] {
		ok := c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok {
			return "", errno.Errorf(errno.EINVAL, "name %q may have only letters, digits, '_' and '.'", field[:end])
		}
	}
	return string(field[:end]), nil
}
