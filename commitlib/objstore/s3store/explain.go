package s3store

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
)

// explain makes an error that says what the store answered and what to do about it, without the SDK's own layers.
func (s *Store) explain(c call, v verdict, err error) error {
	e := &Error{Op: c.op, Bucket: c.bucket, Status: v.status, Code: v.code, err: err}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.RequestID = response.ServiceRequestID()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.message = api.ErrorMessage()
	}
	switch v.answer {
	case absent:
		e.kind = objstore.ErrNotExist
	case full:
		e.kind = objstore.ErrNoSpace
	case fatal:
		e.kind = objstore.ErrFatal
	}
	e.advice = s.advice(c, v, err)
	return e
}

// Error is a request that the store did not serve.
type Error struct {
	Op        string // the request
	Bucket    string
	Status    int    // HTTP's; 0 where no answer came
	Code      string // S3's, as AccessDenied; empty where the answer has none
	RequestID string // what the store's operator can look it up by
	message   string
	advice    string
	kind      error
	err       error
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Status == 0 && e.Code == "" {
		fmt.Fprintf(&b, "%s in bucket %s: %v", e.Op, e.Bucket, innermost(e.err))
	} else {
		fmt.Fprintf(&b, "bucket %s answered %s with", e.Bucket, e.Op)
		if e.Status != 0 { // a delete of many keys has one status and many answers
			fmt.Fprintf(&b, " %d", e.Status)
		}
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
		if e.message != "" && e.message != e.Code && e.message != "UnknownError" {
			b.WriteString(": " + strings.TrimSuffix(e.message, "."))
		}
		if e.RequestID != "" {
			fmt.Fprintf(&b, " (request %s)", e.RequestID)
		}
	}
	if e.advice != "" {
		b.WriteString("; " + e.advice)
	}
	return b.String()
}

// Unwrap returns the sentinel of objstore that the answer means, if any, and the SDK's error.
func (e *Error) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

// innermost skips the SDK's layers, which repeat operation, URL and request id.
func innermost(err error) error {
	var unsigned *awsenv.CredentialsError
	if errors.As(err, &unsigned) {
		return unsigned
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		err = op.Err
	}
	var send interface{ ConnectionError() bool }
	if errors.As(err, &send) {
		if inner := errors.Unwrap(send.(error)); inner != nil {
			return inner
		}
	}
	return err
}

// expectedRegion finds the region in S3's words for a signature that names another.
var expectedRegion = regexp.MustCompile(`expecting ['"]([a-z0-9-]+)['"]`)

// advice says what to do about an answer; empty where there is nothing to do but wait.
func (s *Store) advice(c call, v verdict, err error) string {
	var dns *net.DNSError
	if v.status == 0 && v.code == "" {
		if errors.As(err, &dns) && dns.IsNotFound {
			return fmt.Sprintf("check AWS_REGION (%s), the endpoint and the bucket's name: they make up the host's", s.cfg.AWS.Region)
		}
		if v.answer == fatal {
			return "if the store has a certificate of its own, add its authority to the host's trusted ones"
		}
		return ""
	}
	if region := s.otherRegion(v, err); region != "" {
		return fmt.Sprintf("the bucket is in region %s and not in %s: set AWS_REGION=%s, or use a bucket of this region", region, s.cfg.AWS.Region, region)
	}
	switch v.code {
	case "RequestTimeTooSkewed", "RequestExpired":
		return skewAdvice(err)
	case "NoSuchBucket":
		return fmt.Sprintf("make the bucket %s, or correct the warehouse's name (region %s)", c.bucket, s.cfg.AWS.Region)
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return "the credentials have expired: give the process new ones (keys from AWS_ACCESS_KEY_ID are read at start alone)"
	case "InvalidAccessKeyId", "InvalidToken", "XAdminUserNotFound":
		return "the store does not know these keys: check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, and that the endpoint is the one that they are for"
	case "SignatureDoesNotMatch":
		return "check AWS_SECRET_ACCESS_KEY, and that no proxy changes host or headers"
	case "InvalidBucketName":
		return "correct the warehouse's name"
	case "PreconditionFailed", "ConditionalRequestConflict":
		return ""
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded":
		return "" // objstore.ErrNoSpace says what to do
	}
	switch {
	case strings.HasPrefix(v.code, "KMS."):
		return "check FIRN_S3_KMS_KEY and that the key is enabled, in the bucket's region"
	case v.status == http.StatusForbidden, v.code == "AccessDenied":
		return s.denied(c, v, err)
	case v.status == http.StatusNotImplemented, v.code == "NotImplemented":
		return "this store lacks what Firn needs of S3 (conditional writes, CRC32C checksums): use one that has it"
	case v.status >= 300 && v.status < 400, v.status == http.StatusNotFound:
		return "check AWS_REGION and AWS_ENDPOINT_URL_S3: this is no answer of the bucket's store"
	case v.status == http.StatusBadRequest && v.code == "BadRequest":
		return "check AWS_REGION and the credentials"
	}
	return ""
}

// otherRegion is the region that the bucket is in, if the answer shows that it is not ours.
func (s *Store) otherRegion(v verdict, err error) string {
	region := regionSaid(err)
	if region == "" && v.code == "AuthorizationHeaderMalformed" {
		if m := expectedRegion.FindStringSubmatch(err.Error()); m != nil {
			region = m[1]
		}
	}
	if region == s.cfg.AWS.Region || v.status < 300 || v.status > 400 {
		return ""
	}
	return region
}

// actions are the permissions that each request needs.
var actions = map[string]string{
	"get": "s3:GetObject", "head": "s3:GetObject", "put": "s3:PutObject", "delete": "s3:DeleteObject", "list": "s3:ListBucket",
	"begin upload": "s3:PutObject", "upload part": "s3:PutObject", "complete upload": "s3:PutObject", "abort upload": "s3:AbortMultipartUpload",
}

// denied explains a 403. KMS denies by S3's mouth, naming its own action.
func (s *Store) denied(c call, v verdict, err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && strings.Contains(api.ErrorMessage(), "kms:") {
		return "allow kms:GenerateDataKey and kms:Decrypt on the key, in its policy and in the role's"
	}
	resource := "arn:aws:s3:::" + c.bucket
	if c.op != "list" {
		resource += "/" + s.prefix + "*"
	}
	text := fmt.Sprintf("allow %s on %s", actions[c.op], resource)
	if c.op == "get" || c.op == "head" {
		text += fmt.Sprintf(", and s3:ListBucket on arn:aws:s3:::%s, without which S3 answers so for an object that does not exist", c.bucket)
	}
	return text
}

// skewAdvice compares the clocks.
func skewAdvice(err error) string {
	const advice = "S3 refuses what is signed more than 15 minutes off: run chrony or another NTP client"
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		if theirs, err := http.ParseTime(response.Response.Header.Get("Date")); err == nil {
			off := time.Since(theirs).Round(time.Second)
			side := "ahead of"
			if off < 0 {
				off, side = -off, "behind"
			}
			return fmt.Sprintf("this host's clock is %v %s the store's; %s", off, side, advice)
		}
	}
	return "this host's clock is off; " + advice
}
