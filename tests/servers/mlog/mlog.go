// Package mlog stands in for the module of this name, which cannot be downloaded.
// It has only the six names that the Secrets Store CSI driver uses, over klog.
package mlog

import (
	"context"
	"os"

	"k8s.io/klog/v2"
)

const (
	FormatText = "text"
	FormatJSON = "json"
)

// Setup returns the function to call before the program ends.
func Setup() func() { return klog.Flush }

// ValidateAndSetKlogLevelAndFormatGlobally does nothing: klog's own flags have
// set the level already, and the output is text whatever the format.
func ValidateAndSetKlogLevelAndFormatGlobally(context.Context, klog.Level, string) error {
	return nil
}

func Error(msg string, err error) { klog.ErrorSDepth(1, err, msg) }

// Fatal logs err and ends the program with status 1, without a stack dump.
func Fatal(err error) {
	klog.ErrorSDepth(1, err, "fatal error")
	klog.Flush()
	os.Exit(1)
}
