package main

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// load fills an empty root from a folder; everything in it counts as synced.
func load(root *dir, image string) error {
	entries, err := os.ReadDir(image)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx := context.Background()
	for _, e := range entries {
		path := filepath.Join(image, e.Name())
		if e.IsDir() {
			sub, inode := root.newDir(ctx)
			root.AddChild(e.Name(), inode, true)
			if err := load(sub, path); err != nil {
				return err
			}
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, inode := root.newFile(ctx)
		f.live, f.durable = b, append([]byte(nil), b...)
		root.AddChild(e.Name(), inode, true)
	}
	root.persist()
	return nil
}

// store replaces a folder by the durable state.
func store(root *dir, image string) error {
	if err := os.RemoveAll(image); err != nil {
		return err
	}
	return storeDir(root, image)
}

func storeDir(d *dir, path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for name, node := range d.durable {
		var err error
		switch n := node.(type) {
		case *dir:
			err = storeDir(n, filepath.Join(path, name))
		case *file:
			err = os.WriteFile(filepath.Join(path, name), n.durable, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepAll makes everything durable, as an orderly shutdown does.
func keepAll(d *dir) {
	d.persist()
	for _, node := range d.durable {
		switch n := node.(type) {
		case *dir:
			keepAll(n)
		case *file:
			n.persist(len(n.pending))
		}
	}
}

// keepSome makes a random part of the unsynced writes durable: of each file what persistSome leaves of it, of each
// folder all its names or none of the new ones.
func keepSome(d *dir, rng *rand.Rand) {
	nodes := d.all()
	if rng.IntN(2) == 0 {
		d.persist()
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) { // in order, so that a seed replays
		switch n := nodes[name].(type) {
		case *dir:
			keepSome(n, rng)
		case *file:
			n.persistSome(rng)
		}
	}
}
