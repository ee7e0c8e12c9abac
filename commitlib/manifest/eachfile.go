package manifest

import (
	"errors"
	"fmt"
)

// FileRef is what EachFile tells of an entry's file.
type FileRef struct {
	Path   string
	Size   int64 // as the entry states it
	Status Status
}

// EachFile calls fn with the file of each entry, deleted ones included, of the manifest that l describes. It checks, as
// Read does, that data is that manifest and whole; since that shows at the end alone, what fn was told counts for nothing
// where EachFile returns an error. It holds one entry at a time: Read takes some hundred bytes for each.
func (l *ListEntry) EachFile(data []byte, fn func(FileRef)) error {
	if err := l.eachFile(data, fn); err != nil {
		return fmt.Errorf("read manifest %s: %w", l.Path, err)
	}
	return nil
}

func (l *ListEntry) eachFile(data []byte, fn func(FileRef)) error {
	if int64(len(data)) != l.Length {
		return fmt.Errorf("it has %d bytes, its manifest list says %d", len(data), l.Length)
	}
	c, err := openContainer(data)
	if err != nil {
		return err
	}
	layout, err := readLayout(c.meta[keySchema])
	if err != nil {
		return err
	}
	if file := layout.field(idDataFile); file == nil || file.field(idFilePath) == nil {
		return errors.New("its Avro schema lacks the field ids of a manifest entry; is it a manifest that Iceberg wrote?")
	}
	var has ListEntry
	err = c.each(layout, func(d *decoder) {
		e := Entry{}
		d.fileRef(layout, &e)
		if d.err == nil && e.File.Path == "" {
			d.fail(errors.New("it has no file path"))
		}
		if d.err == nil {
			has.count(&e)
			fn(FileRef{e.File.Path, e.File.FileSizeInBytes, e.Status})
		}
	})
	if err != nil {
		return err
	}
	return has.countsAs(l)
}

// fileRef reads an entry's status, path and size, and skips the rest.
func (d *decoder) fileRef(l *layout, v *Entry) {
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		switch f.id {
		case idStatus:
			v.Status = Status(d.id(f))
			if v.Status < Existing || v.Status > Deleted {
				d.fail(fmt.Errorf("status %d is none of existing, added and deleted", v.Status))
			}
		case idDataFile:
			for _, part := range f.fields {
				switch {
				case !d.present(part):
				case part.id == idFilePath:
					v.File.Path = string(d.bytes(part))
				case part.id == idFileSize:
					v.File.FileSizeInBytes = d.number(part)
				default:
					d.skip(part)
				}
			}
		default:
			d.skip(f)
		}
	}
}
