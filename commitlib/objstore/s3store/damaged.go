package s3store

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// damagedError is of an answer that says success and cannot be S3's, or not whole: nothing is known by it. Balancers,
// proxies and captive networks answer so, and an empty list from one of them would read as a warehouse without tables.
type damagedError struct{ text string }

func (e *damagedError) Error() string { return e.text }

const notS3 = ": check that AWS_ENDPOINT_URL_S3 is an S3 endpoint, and that nothing answers in its place"

var (
	errNoETag    = &damagedError{"the answer has no ETag, as every object's has" + notS3}
	errNoList    = &damagedError{"the answer is no list of a bucket" + notS3}
	errNoUpload  = &damagedError{"the answer names no upload" + notS3}
	errWrongPart = &damagedError{"the answer is not the range that was asked for" + notS3}
)

// checkETag doubts an answer about an object that has no ETag.
func checkETag(etag *string) error {
	if aws.ToString(etag) == "" {
		return errNoETag
	}
	return nil
}

// checkList doubts a list that names no bucket: any XML at all decodes as an empty one.
func checkList(out *s3.ListObjectsV2Output) error {
	if aws.ToString(out.Name) == "" {
		return errNoList
	}
	return nil
}
