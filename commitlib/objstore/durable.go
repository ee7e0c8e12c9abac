package objstore

import (
	"strings"
	"sync"
)

// maxDurable bounds each of a durable's two maps, in names (about 200 bytes each): forgetting one costs an fsync.
const maxDurable = 8192

// durable remembers what this process has seen synced, so that the same folder is not synced for every object in it.
// It holds no promise about what others remove: makers forget a folder as soon as a call does not find it.
type durable struct {
	mu      sync.Mutex // protects both maps
	folders map[string]struct{}
	objects map[string]uint64 // key → inode that was synced into its folder under that name
}

func (d *durable) hasFolder(folder string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.folders[folder]
	return ok
}

func (d *durable) addFolder(folder string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.folders == nil || len(d.folders) >= maxDurable {
		d.folders = map[string]struct{}{}
	}
	d.folders[folder] = struct{}{}
}

// forgetFolders forgets every folder above key.
func (d *durable) forgetFolders(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, c := range key {
		if c == '/' {
			delete(d.folders, key[:i])
		}
	}
}

func (d *durable) has(key string, inode uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	got, ok := d.objects[key]
	return ok && got == inode
}

func (d *durable) add(key string, inode uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.objects == nil || len(d.objects) >= maxDurable {
		d.objects = map[string]uint64{}
	}
	d.objects[key] = inode
}

func (d *durable) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, key)
}

// foldersOf calls fn for each folder from the root's child down to the one that holds key, until fn returns an error.
func foldersOf(key string, fn func(parent, folder string) error) error {
	parent := ""
	for i := 0; ; {
		n := strings.IndexByte(key[i:], '/')
		if n < 0 {
			return nil
		}
		folder := key[:i+n]
		if err := fn(parent, folder); err != nil {
			return err
		}
		parent, i = folder, i+n+1
	}
}
