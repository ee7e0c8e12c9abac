package fifo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Kind is what a caller may do about an error.
type Kind int

const (
	// Unreachable: no answer, a broken one, or a 5xx. The call may have been carried out. Try again later.
	Unreachable Kind = iota
	// Throttled: the queue or the account takes no more now. Try again later, and slower.
	Throttled
	// BadMessage: this message can never be sent; others can.
	BadMessage
	// Misconfigured: an operator has to act. Trying again now and then finds out when that is done.
	Misconfigured
)

func (k Kind) String() string {
	if k < Unreachable || k > Misconfigured {
		return "kind out of range"
	}
	return [...]string{"unreachable", "throttled", "bad message", "misconfigured"}[k]
}

// Error is any error of a call to SQS.
type Error struct {
	Kind Kind
	Code string // SQS's, or empty
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// KindOf tells the kind of an error that this package returned; of any other it is Unreachable.
func KindOf(err error) Kind {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Kind
	}
	return Unreachable
}

// failed wraps what a call returned; action is the permission that it needs.
func (q *Queue) failed(doing, action string, err error) error {
	kind, code, advice := classify(err, action)
	if advice != "" {
		err = fmt.Errorf("%s queue %s: %w: %s", doing, q.url, err, advice)
	} else {
		err = fmt.Errorf("%s queue %s: %w", doing, q.url, err)
	}
	return &Error{Kind: kind, Code: code, Err: err}
}

// classify tells a call's error apart. Codes come as SQS's JSON protocol has them, as its older XML protocol does
// (AWS.SimpleQueueService.X), and from the layer before it that checks signatures.
func classify(err error, action string) (kind Kind, code, advice string) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unreachable, "", ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		var answer *smithyhttp.ResponseError
		if errors.As(err, &answer) && answer.HTTPStatusCode() == 403 {
			return Misconfigured, "", forbidden(action)
		}
		return unanswered(err)
	}
	kind, advice = judge(api.ErrorCode(), api.ErrorMessage(), action)
	return kind, api.ErrorCode(), advice
}

// unanswered is an error that is not SQS's: the network's, or that there are no credentials to ask with.
func unanswered(err error) (kind Kind, code, advice string) {
	text := err.Error()
	switch {
	case strings.Contains(text, "credentials"):
		return Misconfigured, "", "give the process credentials: a role for its instance or function, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case strings.Contains(text, "no such host"):
		return Unreachable, "", "check the host in the queue's URL, and that this network resolves it"
	case strings.Contains(text, "x509:"):
		return Misconfigured, "", "the server's certificate is not trusted: check the endpoint, and the CA certificates of this host"
	}
	return Unreachable, "", ""
}

// codes that mean one thing each.
var (
	throttles = []string{"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "OverLimit", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
	missing   = []string{"QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"}
	denied    = []string{"AccessDenied", "AccessDeniedException", "KmsAccessDenied", "KmsDisabled", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired", "KmsInvalidKeyUsage", "OptInRequired"}
	stale     = []string{"ExpiredToken", "ExpiredTokenException"}
	nobody    = []string{"InvalidClientTokenId", "UnrecognizedClientException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidSecurity", "IncompleteSignature"}
	signature = []string{"SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"}
	content   = []string{"InvalidMessageContents", "BatchRequestTooLong", "InvalidParameterValue", "MissingParameter", "BatchEntryIdsNotDistinct", "InvalidBatchEntryId", "InvalidAttributeValue", "TooManyEntriesInBatchRequest", "EmptyBatchRequest", "ReceiptHandleIsInvalid", "MessageNotInflight"}
)

// judge tells a code apart; an unknown one is worth another try.
func judge(code, message, action string) (kind Kind, advice string) {
	code = code[strings.LastIndexByte(code, '.')+1:]
	in := func(set []string) bool { return slices.Contains(set, code) }
	switch {
	case in(throttles):
		return Throttled, ""
	case in(missing):
		return Misconfigured, "no such queue, or none that this account may see: create it, or correct the URL"
	case code == "InvalidAddress":
		return Misconfigured, "the queue is not at this endpoint: check region and account in its URL"
	case in(denied):
		return Misconfigured, forbidden(action)
	case in(stale):
		return Misconfigured, "the credentials have expired: renew them; a role's are renewed by themselves"
	case in(signature) && (strings.Contains(message, "scoped to") || strings.Contains(message, "region")):
		return Misconfigured, "the queue lies in another region: set AWS_REGION to the one in its URL"
	case in(signature) && (code == "RequestExpired" || code == "RequestTimeTooSkewed" || strings.Contains(message, "expired") || strings.Contains(message, "not yet current")):
		return Misconfigured, "this host's clock differs from AWS's by more than 5 minutes: set it right, and keep it so with a time service"
	case in(signature):
		return Misconfigured, "the secret key does not belong to the access key: correct AWS_SECRET_ACCESS_KEY"
	case in(nobody):
		return Misconfigured, "AWS does not know these credentials: correct AWS_ACCESS_KEY_ID, and AWS_SESSION_TOKEN where they are temporary"
	case code == "UnsupportedOperation":
		return Misconfigured, "the server cannot do this: check that the endpoint is SQS"
	case in(content):
		return BadMessage, ""
	}
	return Unreachable, ""
}

func forbidden(action string) string {
	return "no permission: allow " + action + " on the queue (and kms:GenerateDataKey and kms:Decrypt on its key if it has one) to this role"
}
