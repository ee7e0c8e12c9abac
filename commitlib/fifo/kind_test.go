package fifo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"firn/commitlib"
)

func config(url, endpoint string) Config {
	return Config{
		AWS: aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")},
		URL: url, Endpoint: endpoint,
	}
}

// answering is a queue whose every call is answered so; calls counts them.
func answering(t *testing.T, status int, header http.Header, body string) (q *Queue, calls *int) {
	t.Helper()
	calls = new(int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		io.Copy(io.Discard, r.Body)
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	q, err := New(config("https://sqs.eu-west-1.amazonaws.com/1/q.fifo", srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	return q, calls
}

func TestErrorsTellWhatToDo(t *testing.T) {
	// As SQS answers: its JSON protocol names the modelled error, and the header has the older code.
	f := func(status int, code, message string, want Kind, advice string) {
		t.Helper()
		q, calls := answering(t, status, http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			fmt.Sprintf(`{"__type":"com.amazonaws.sqs#%s","message":%q}`, code, message))
		err := q.Send(t.Context(), []commitlib.Message{{ID: "1", Group: "g", Body: []byte("b")}})
		if err == nil || KindOf(err) != want || !strings.Contains(err.Error(), advice) || !strings.Contains(err.Error(), "q.fifo") {
			t.Errorf("%d %s: %v (%v), want %v with %q", status, code, err, KindOf(err), want, advice)
		}
		// Only what may be otherwise a moment later is tried a second time. The SDK corrects its clock and tries again, too.
		if *calls > 2 || *calls > 1 && want == Throttled {
			t.Errorf("%s: %d calls", code, *calls)
		}
	}
	f(400, "QueueDoesNotExist", "The specified queue does not exist.", Misconfigured, "create it, or correct the URL")
	f(400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", Misconfigured, "create it, or correct the URL")
	f(403, "AccessDenied", "Access to the resource is denied.", Misconfigured, "allow sqs:SendMessage")
	f(400, "AccessDeniedException", "User is not authorized", Misconfigured, "allow sqs:SendMessage")
	f(400, "KmsAccessDenied", "The ciphertext refers to a key", Misconfigured, "kms:GenerateDataKey")
	f(403, "ExpiredToken", "The security token included in the request is expired", Misconfigured, "renew")
	f(403, "InvalidClientTokenId", "The security token included in the request is invalid.", Misconfigured, "AWS_ACCESS_KEY_ID")
	f(403, "InvalidSignatureException", "Credential should be scoped to a valid region.", Misconfigured, "another region")
	f(403, "InvalidSignatureException", "Signature expired: 20261123T000000Z is now earlier than", Misconfigured, "clock")
	f(403, "SignatureDoesNotMatch", "The request signature we calculated does not match", Misconfigured, "AWS_SECRET_ACCESS_KEY")
	f(400, "InvalidAddress", "The address is not valid for this endpoint.", Misconfigured, "region and account")
	f(400, "UnsupportedOperation", "", Misconfigured, "endpoint is SQS")
	f(400, "RequestThrottled", "The request was denied due to request throttling.", Throttled, "")
	f(400, "ThrottlingException", "Rate exceeded", Throttled, "")
	f(400, "InvalidMessageContents", "Invalid binary character", BadMessage, "")
	f(500, "InternalFailure", "", Unreachable, "")
	f(503, "ServiceUnavailable", "", Unreachable, "")
	f(400, "SomethingNew", "", Unreachable, "") // trying again is harmless, giving up may not be
}

func TestAnswersThatAreNotSQSsAreTold(t *testing.T) {
	send := func(q *Queue) error {
		return q.Send(t.Context(), []commitlib.Message{{ID: "1", Group: "g", Body: []byte("b")}})
	}
	q, _ := answering(t, 200, nil, "<html>a proxy's page</html>")
	if err := send(q); err == nil || KindOf(err) != Unreachable {
		t.Errorf("a page instead of an answer: %v", err)
	}
	q, _ = answering(t, 403, nil, "Forbidden")
	if err := send(q); err == nil || KindOf(err) != Misconfigured {
		t.Errorf("a bare 403: %v", err)
	}

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	q, err := New(config("https://sqs.eu-west-1.amazonaws.com/1/q.fifo", gone.URL))
	if err != nil {
		t.Fatal(err)
	}
	if err := send(q); err == nil || KindOf(err) != Unreachable || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: %v", err)
	}

	cfg := config("https://sqs.eu-west-1.amazonaws.com/1/q.fifo", gone.URL)
	cfg.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no role on this instance")
	})
	if q, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := send(q); KindOf(err) != Misconfigured || !strings.Contains(err.Error(), "give the process credentials") {
		t.Errorf("no credentials: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	q, _ = answering(t, 200, nil, "{}")
	if err := q.Send(ctx, []commitlib.Message{{ID: "1", Group: "g", Body: []byte("b")}}); !errors.Is(err, context.DeadlineExceeded) || KindOf(err) != Unreachable {
		t.Errorf("a deadline that has passed: %v", err)
	}
}
