package skep

import "fmt"

// What follows are system calls on the bpf file system of the task's kernel, a
// tree in memory that is mounted at /sys/fs/bpf. BPF_OBJ_PIN and BPF_OBJ_GET are
// the others.

// Mkdir makes a directory for pins, as mkdir(2) with mode 0755.
func (t *Task) Mkdir(path string) error {
	if err := t.kernel.abi.FS.Mkdir(path, &t.task.Creds); err != nil {
		return fmt.Errorf("skep: mkdir: %w", err)
	}
	return nil
}

// Remove takes away a pin, as unlink(2), or an empty directory, as rmdir(2). An
// object whose last reference this was is released.
func (t *Task) Remove(path string) error {
	if err := t.kernel.abi.FS.Remove(path, &t.task.Creds); err != nil {
		return fmt.Errorf("skep: remove: %w", err)
	}
	return nil
}

// OpenDir opens a directory, as open(2) with O_DIRECTORY: the fd can be the
// path_fd of BPF_OBJ_PIN and BPF_OBJ_GET.
func (t *Task) OpenDir(path string) (fd int, err error) {
	path, err = t.kernel.abi.FS.Dir(path)
	if err != nil {
		return -1, fmt.Errorf("skep: opening a directory: %w", err)
	}
	return t.task.Install(t.kernel.abi.Registry.OpenDir(path))
}
