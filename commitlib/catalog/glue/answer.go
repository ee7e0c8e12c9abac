package glue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// kind is what an answer other than success means for its caller.
type kind int

const (
	unclear   kind = iota // a 5xx, or what this package does not know: it may have been carried out
	throttled             // not carried out: too many requests; HTTP 400 as often as 429
	notFound              // the database or the table does not exist, or is hidden from the caller
	exists                // the database or the table exists already
	changed               // the entry does not have the version id that the request states
	invalid               // the service will never take this request
	denied                // the caller may not do this
	expired               // the credentials were valid once
	skewed                // the signature's time is too far from the service's
)

// kinds knows the codes by which Glue, Lake Formation and AWS's front door name them.
var kinds = map[string]kind{
	"ThrottlingException": throttled, "ThrottledException": throttled, "Throttling": throttled, "TooManyRequestsException": throttled,
	"RequestLimitExceeded": throttled, "RequestThrottled": throttled, "RequestThrottledException": throttled, "SlowDown": throttled,
	"ProvisionedThroughputExceededException": throttled, "BandwidthLimitExceeded": throttled,

	"EntityNotFoundException": notFound,
	"AlreadyExistsException":  exists,

	"ConcurrentModificationException": changed, "VersionMismatchException": changed,

	"InvalidInputException": invalid, "ValidationException": invalid, "SerializationException": invalid, "EntityTooLargeException": invalid,
	"UnknownOperationException": invalid,

	"AccessDeniedException": denied, "AccessDenied": denied, "UnrecognizedClientException": denied, "InvalidClientTokenId": denied,
	"MissingAuthenticationTokenException": denied, "IncompleteSignatureException": denied, "OptInRequired": denied,
	"NotAuthorized": denied, "PermissionTypeMismatchException": denied, "GlueEncryptionException": denied,

	"ExpiredTokenException": expired, "ExpiredToken": expired, "TokenRefreshRequired": expired,

	"RequestTimeTooSkewed": skewed, "RequestExpired": skewed, "RequestInTheFuture": skewed,
}

// answer is what the service said instead of success.
type answer struct {
	kind      kind
	status    int
	code      string
	message   string
	requestID string
	advice    string
}

func (a *answer) Error() string {
	text := fmt.Sprintf("%s (HTTP %d", a.code, a.status)
	if a.requestID != "" {
		text += ", request " + a.requestID
	}
	text += ")"
	if a.message != "" {
		text += ": " + a.message
	}
	if a.advice != "" {
		text += "; " + a.advice
	}
	return text
}

// isKind says whether err is an answer of that kind.
func isKind(err error, k kind) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.kind == k
}

// newAnswer classifies an answer by its code, which is in the body, or in a header where a front door answered. The
// status tells little: Glue answers nearly everything with 400, its throttling too.
func newAnswer(op string, resp *http.Response, body []byte, now time.Time) *answer {
	var said struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // decoded without regard to case: Glue writes Message
	}
	_ = json.Unmarshal(body, &said) // a front door answers in HTML or XML: then the status has to do
	a := &answer{status: resp.StatusCode, message: said.Message, requestID: resp.Header.Get("X-Amzn-Requestid")}
	for _, code := range []string{said.Type, resp.Header.Get("X-Amzn-Errortype"), said.Code} {
		if code = bareCode(code); code != "" {
			a.code = code
			break
		}
	}
	known := false
	a.kind, known = kinds[a.code]
	switch {
	case a.code == "InvalidSignatureException":
		// The one code for a clock that is off and for a wrong secret; the text tells which.
		a.kind = denied
		if strings.Contains(a.message, "Signature expired") || strings.Contains(a.message, "Signature not yet current") {
			a.kind = skewed
		}
	case known:
	case resp.StatusCode == http.StatusTooManyRequests:
		a.kind = throttled
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized:
		a.kind = denied
	}
	if a.code == "" {
		a.code = "no error code"
		a.message = fmt.Sprintf("%.200q", body)
	}
	a.advice = adviceFor(a, op, resp.Header, now)
	return a
}

// bareCode takes the name out of "com.amazonaws.glue#Name:http://…".
func bareCode(code string) string {
	code, _, _ = strings.Cut(code, ":")
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	return strings.TrimSpace(code)
}

// adviceFor says what the operator can do about an answer that no program can mend.
func adviceFor(a *answer, op string, header http.Header, now time.Time) string {
	switch a.kind {
	case denied:
		switch a.code {
		case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationTokenException", "IncompleteSignatureException":
			return "correct the access key, its secret and its session token, or the host's role"
		case "GlueEncryptionException":
			return "let the role use the KMS key that encrypts the Data Catalog"
		}
		return "allow the role glue:" + op + " on the catalog, the database and the table, and where Lake Formation governs them its permissions too"
	case expired:
		return "renew the credentials: a session token in the environment is not renewed by itself, a role's is"
	case skewed:
		if theirs, err := http.ParseTime(header.Get("Date")); err == nil {
			return fmt.Sprintf("set this host's clock: it is %s off", now.Sub(theirs).Round(time.Second))
		}
		return "set this host's clock"
	}
	return ""
}
