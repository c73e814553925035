// Package replay runs a program over a capture, packet by packet, and keeps
// count: verdicts, time, what the program sent to user space. It prints
// nothing.
package replay
