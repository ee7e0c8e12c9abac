package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"firn/commitlib/awsenv"
)

// answer is what may be done next about one request that was sent once.
type answer int

const (
	done     answer = iota // applied, or read
	absent                 // certain: there is no such object, or upload
	conflict               // certain: the store looked at the condition and refused it
	retry                  // certain: nothing was applied; the same request may go through later
	unknown                // a write may have been applied, or may be yet; nothing is known of a read
	full                   // certain: nothing was applied, for want of space
	fatal                  // certain: nothing was applied, and never will be until someone changes something
)

var answerNames = [...]string{"done", "absent", "conflict", "retry", "unknown", "full", "fatal"}

func (a answer) String() string { return answerNames[a] }

// verdict is an answer with what goes with it.
type verdict struct {
	answer
	throttled bool   // the store asks to be asked less often: wait longer, and a write may be sent again
	refresh   bool   // other credentials may help: ask their source for new ones, once
	status    int    // HTTP's, 0 where there was no response
	code      string // S3's, or empty: a HEAD's response has none
}

// codes whose status alone would be judged wrongly. All of them are of requests that were not applied, but for those
// marked unknown. (A 503 is never proof: MinIO answers SlowDownWrite when some of its disks may have taken the write.)
var codes = map[string]verdict{
	"NoSuchKey":    {answer: absent},
	"NotFound":     {answer: absent}, // the SDK's name for a 404 without a body; of a HEAD alone
	"NoSuchUpload": {answer: absent},
	"NoSuchBucket": {answer: fatal},

	"PreconditionFailed":         {answer: conflict},
	"ConditionalRequestConflict": {answer: retry}, // 409: a rival write is under way, and neither has won yet
	"OperationAborted":           {answer: retry}, // 409: the same, of older stores

	"RequestTimeout":              {answer: retry}, // 400: the body did not arrive in time
	"IncompleteBody":              {answer: retry},
	"BadDigest":                   {answer: retry}, // damaged on its way
	"XAmzContentSHA256Mismatch":   {answer: retry},
	"XAmzContentChecksumMismatch": {answer: retry},
	"BadRequestBody":              {answer: retry},

	"SlowDown":                 {answer: unknown, throttled: true},
	"SlowDownRead":             {answer: unknown, throttled: true},
	"SlowDownWrite":            {answer: unknown, throttled: true},
	"ServiceUnavailable":       {answer: unknown, throttled: true},
	"RequestLimitExceeded":     {answer: unknown, throttled: true},
	"BandwidthLimitExceeded":   {answer: unknown, throttled: true},
	"Throttling":               {answer: unknown, throttled: true},
	"ThrottlingException":      {answer: unknown, throttled: true}, // also with 400
	"KMS.ThrottlingException":  {answer: unknown, throttled: true},
	"ThrottledException":       {answer: unknown, throttled: true},
	"TooManyRequestsException": {answer: unknown, throttled: true},
	"TooManyRequests":          {answer: unknown, throttled: true},

	"InternalError": {answer: unknown},
	"AccessDenied":  {answer: fatal},

	"ExpiredToken":          {answer: fatal, refresh: true},
	"ExpiredTokenException": {answer: fatal, refresh: true},
	"InvalidToken":          {answer: fatal, refresh: true},
	"TokenRefreshRequired":  {answer: fatal, refresh: true},
	"InvalidAccessKeyId":    {answer: fatal, refresh: true},
	"XAdminUserNotFound":    {answer: fatal, refresh: true}, // versitygw's, with 404

	"QuotaExceeded":                  {answer: full},
	"XMinioStorageFull":              {answer: full},
	"XMinioAdminBucketQuotaExceeded": {answer: full},
	"InsufficientStorage":            {answer: full},
}

// classify judges what became of one request. sent says that a connection was had for it: without one the store has
// seen nothing of it. The caller's own context is not judged here: its end says nothing about the store.
func classify(err error, sent bool) verdict {
	if err == nil {
		return verdict{answer: done}
	}
	v := verdict{}
	var credentials *awsenv.CredentialsError
	if errors.As(err, &credentials) { // status and code in it are those of their source: the store was not asked
		v.answer = retry
		return v
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		v.status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		v.code = api.ErrorCode()
		if known, ok := codes[v.code]; ok && (v.code != "NotFound" || isHead(response)) {
			known.status, known.code = v.status, v.code
			return known
		}
	}
	if v.status == 0 {
		v.answer = classifyUnanswered(err, sent)
		return v
	}
	switch s := v.status; {
	case s == http.StatusPreconditionFailed:
		v.answer = conflict
	case s == http.StatusConflict:
		v.answer = retry
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		v.answer, v.throttled = unknown, true
	case s == http.StatusInsufficientStorage:
		v.answer = full
	case s == http.StatusNotImplemented:
		v.answer = fatal
	case s == http.StatusRequestTimeout, s < 300, s >= 500: // of 2xx: the answer was cut off, or is no S3's
		v.answer = unknown
	default: // a 404 too: without one of the codes above it is a stranger's, and must not read as an absent object
		v.answer = fatal
	}
	return v
}

// isHead says that an answer is to a HEAD, and so has no body to tell more.
func isHead(r *smithyhttp.ResponseError) bool {
	return r != nil && r.Response != nil && r.Response.Request != nil && r.Response.Request.Method == http.MethodHead
}

// classifyUnanswered judges a request to which no response came.
func classifyUnanswered(err error, sent bool) answer {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     *smithy.InvalidParamsError
		damaged     *damagedError
	)
	switch {
	case errors.As(err, &damaged):
		return unknown
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return fatal
	case !sent:
		return retry
	}
	return unknown
}

// regionSaid is the region that the store says the bucket is in, or empty.
func regionSaid(err error) string {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		return response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}

// ended says that the caller's context is what ended a request, and not the store or our own patience.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
