// Command powercut mounts a file system that forgets, on demand, everything that was not synced.
//
//	powercut [-seed N] MOUNTPOINT IMAGE
//
// It loads the folder IMAGE into memory, mounts it at MOUNTPOINT (FUSE; needs root, or fusermount), and prints
// "mounted". On SIGUSR1 the power is cut: from that instant every call fails with EIO, and IMAGE is replaced by what a
// disk would hold: the bytes that fsync, fdatasync or msync covered, under the names that an fsync of their folder
// covered, plus, where -seed is not 0, a random part of the rest, as a real disk may have written some of it: of each
// file its first writes, or any pages of them, with zeros in between. It prints "cut" and exits once it is unmounted.
// On SIGTERM it keeps everything, as an orderly shutdown does.
//
// It is stricter than ext4, which makes a new file's name durable with the file: here a name is lost unless its
// folder was synced.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	seed := flag.Uint64("seed", 0, "0 keeps synced bytes alone; any other `number` seeds which unsynced bytes survive")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: powercut [-seed N] MOUNTPOINT IMAGE")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *seed); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		os.Exit(1)
	}
}

func run(mountpoint, image string, seed uint64) error {
	if err := os.MkdirAll(mountpoint, 0o755); err != nil {
		return err
	}
	disk := &disk{}
	root := &dir{disk: disk}
	second := time.Second
	server, err := fs.Mount(mountpoint, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "powercut", Name: "powercut", MaxWrite: 1 << 20},
		AttrTimeout:  &second, EntryTimeout: &second,
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w: this needs /dev/fuse and root", mountpoint, err)
	}
	if err := load(root, image); err != nil {
		server.Unmount()
		return fmt.Errorf("load image: %w", err)
	}
	fmt.Println("mounted")

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	sig := <-signals
	disk.mu.Lock()
	disk.off = true
	if sig != syscall.SIGUSR1 {
		keepAll(root)
	} else if seed != 0 {
		keepSome(root, rand.New(rand.NewPCG(seed, 1)))
	}
	err = store(root, image)
	disk.mu.Unlock()
	if err != nil {
		return fmt.Errorf("store image: %w", err)
	}
	fmt.Println("cut")
	for range 100 { // processes that had files open end on their own; wait for them
		if err = server.Unmount(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: %w", mountpoint, err)
}
