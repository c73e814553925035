package progen

import "fmt"

// Runner loads a program and runs it on its inputs: the live kernel ([Live]), or
// an engine under test. The error is one of the runner, not of the program.
type Runner interface {
	Run(p *Program) (*Outcome, error)
}

// Compare runs p on ours and on the reference, and returns in a sentence where
// they differ, "" if they agree. An accepted program with a mistake may have a
// result that depends on addresses or on what the stack held before: where ours
// differs from the reference, so may again, a second instance of the reference
// with objects of its own, and then only the verdict counts. again is not asked
// otherwise.
func Compare(reference, again, ours Runner, p *Program) (string, error) {
	want, err := reference.Run(p)
	if err != nil {
		return "", fmt.Errorf("reference: %w", err)
	}
	got, err := ours.Run(p)
	if err != nil {
		return "", err
	}
	diff := Diff(want, got)
	if diff == "" || want.Errno != got.Errno || p.Stable() {
		return diff, nil
	}
	other, err := again.Run(p)
	if err != nil {
		return "", fmt.Errorf("reference: %w", err)
	}
	if Diff(want, other) != "" {
		return "", nil
	}
	return diff, nil
}

// Stable reports whether the result of the program, if it is accepted, depends on
// nothing but its input.
func (p *Program) Stable() bool { return p.Mistake == "" || p.Mistake == mistakeBounds }
