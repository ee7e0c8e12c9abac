package objstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// explain adds to an error of the operating system what to do about it, and makes a full disk ErrNoSpace.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w (the user's or project's quota is used up): %w", ErrNoSpace, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w; remount the file system for writing", err)
	case errors.Is(err, unix.EXDEV):
		return fmt.Errorf("%w: a folder of the store lies on another file system than its root; move the whole store there instead", err)
	case errors.Is(err, unix.EPERM) && isLinkError(err), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EMLINK):
		return fmt.Errorf("%w: the file system refuses hard links, without which nothing can be created exclusively; use a local one such as ext4 or XFS", err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: an object has the name of a folder on the way; choose keys that are not the beginning of others up to a slash", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give the user that runs this process read and write permission on the store directory and all in it", err)
	}
	return err
}

// isAbsent says that no object has the name: nothing is there, a folder is, or a file stands where its folder would be.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR)
}

func isLinkError(err error) bool {
	var link *os.LinkError
	return errors.As(err, &link) && link.Op == "link"
}
