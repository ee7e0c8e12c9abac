package objstore

import (
	"context"
	"fmt"
	"strings"
)

// FolderLister is what a store implements that can list the folders under a prefix without listing what is in them.
// All of ours do; a wrapper that hides it still works, at the cost of a full List.
type FolderLister interface {
	// Folders calls fn with each distinct continuation of prefix up to and without the next slash, in
	// byte order with the slash, until fn returns an error. prefix is empty or ends in a slash. A
	// folder that holds nothing may be shown.
	Folders(ctx context.Context, prefix string, fn func(name string) error) error
}

// Folders lists the folders under prefix: of "default/", the tables of that namespace. On S3 it is a list with a
// delimiter, so its cost grows with the folders and not with the objects in them.
func Folders(ctx context.Context, s Store, prefix string, fn func(name string) error) error {
	if lister, ok := s.(FolderLister); ok {
		return lister.Folders(ctx, prefix, fn)
	}
	last := ""
	return s.List(ctx, prefix, func(info Info) error {
		name, _, ok := strings.Cut(info.Key[len(prefix):], "/")
		if !ok || name == last {
			return nil
		}
		last = name
		return fn(name)
	})
}

// Folders implements FolderLister; it counts and misbehaves as a List.
func (m *Mem) Folders(ctx context.Context, prefix string, fn func(name string) error) error {
	return Folders(ctx, struct{ Store }{m}, prefix, fn)
}

// Folders implements FolderLister.
func (d *Dir) Folders(ctx context.Context, prefix string, fn func(name string) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list folders in %q: %w", prefix, err)
	}
	names, err := d.sorted(prefix)
	if err != nil {
		return fmt.Errorf("list folders in %q: %w", prefix, err)
	}
	for _, name := range names {
		if !isFolder(name) {
			continue
		}
		if err := fn(strings.TrimSuffix(name, "/")); err != nil {
			return err
		}
	}
	return nil
}
