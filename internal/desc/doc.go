// Package desc describes what surrounds a program, as plain values: program
// types with their context, helper prototypes, maps. The verifier and the
// rewriter know maps, helpers and program types only through these values, so
// that neither depends on an implementation.
package desc
