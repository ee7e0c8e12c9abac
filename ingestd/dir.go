package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The modes of folders that are made: engines of other users read the warehouse; nobody else reads the log.
const (
	openMode    = 0o755
	privateMode = 0o750
)

// ensureDirs makes the directories usable that the configuration names.
func ensureDirs(c Config) error {
	data := ensureDir("data", c.Data, openMode)
	if data == nil {
		data = ensureDir("data", logDir(c), privateMode)
	}
	if !c.lake().OnDisk() {
		return data
	}
	return errors.Join(data, ensureDir("warehouse", c.Warehouse, openMode))
}

// checkDirs says whether ensureDirs would succeed, as far as that can be told without making anything.
func checkDirs(c Config) error {
	if !c.lake().OnDisk() {
		return checkDir("data", logDir(c))
	}
	return errors.Join(checkDir("data", logDir(c)), checkDir("warehouse", c.Warehouse))
}

// checkDir looks at the nearest folder above dir that is there, or at dir itself.
func checkDir(flagName, dir string) error {
	at := filepath.Clean(dir)
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", at)
	}
	if err == nil {
		if err = unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
			err = fmt.Errorf("write to %s: %w", at, err)
		}
	}
	if err != nil {
		return fmt.Errorf("-%s: %w: name a directory that this user may write to", flagName, err)
	}
	return nil
}

// ensureDir makes a directory usable, or says what is wrong with it. The names of folders that it makes are durable
// when it returns: RocksDB syncs what is in its folder, but not the folder's own name, and a power cut would take both.
func ensureDir(flagName, dir string, mode fs.FileMode) error {
	if err := makeDurable(dir, mode); err != nil {
		return fmt.Errorf("-%s: %w: name a directory that this user may write to", flagName, err)
	}
	probe, err := os.CreateTemp(dir, ".firn-probe-*")
	if err != nil {
		return fmt.Errorf("-%s: %w: name a directory that this user may write to", flagName, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// makeDurable makes dir, with that mode, and the parents that are missing, and syncs the folder that each new name
// is in. A folder that is there already may have been made by a start that was killed before its sync, so it is
// synced too, where its parent can be read.
func makeDurable(dir string, mode fs.FileMode) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		if err := syncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDurable(parent, openMode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
