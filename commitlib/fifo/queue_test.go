package fifo

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
)

func TestQueueIsCheckedBeforeItIsAsked(t *testing.T) {
	f := func(url, region string, wants ...string) {
		t.Helper()
		cfg := config(url, "")
		cfg.AWS.Region = region
		_, err := New(cfg)
		if len(wants) == 0 && err != nil {
			t.Errorf("%s in %s: %v", url, region, err)
		}
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s in %q: %v, want %q", url, region, err, want)
			}
		}
	}
	f("https://sqs.eu-west-1.amazonaws.com/123/q.fifo", "eu-west-1")
	f("https://sqs.cn-north-1.amazonaws.com.cn/123/q.fifo", "cn-north-1")
	f("https://vpce-0a-b.sqs.us-gov-west-1.vpce.amazonaws.com/123/q.fifo", "us-gov-west-1")
	f("https://queue.amazonaws.com/123/q.fifo", "us-east-1")
	f("http://127.0.0.1:4566/123/q.fifo", "eu-west-1")
	f("https://sqs.eu-west-1.amazonaws.com/123/q.fifo", "us-east-1", "lies in region eu-west-1", "set AWS_REGION=eu-west-1")
	f("https://sqs-fips.us-east-2.amazonaws.com/123/q.fifo", "us-east-1", "lies in region us-east-2")
	f("https://eu-central-1.queue.amazonaws.com/123/q.fifo", "eu-west-1", "lies in region eu-central-1")
	f("https://sqs.ap-southeast-2.api.aws/123/q.fifo", "eu-west-1", "lies in region ap-southeast-2")
	f("https://sqs.eu-west-1.amazonaws.com/123/q", "", "not FIFO", "set AWS_REGION") // all violations at once
	f("", "eu-west-1", "URL is empty")
	f("q.fifo", "eu-west-1", "not a name or an ARN")
	f("arn:aws:sqs:eu-west-1:123:q.fifo", "eu-west-1", "not a name or an ARN")
	f("https://sqs.eu-west-1.amazonaws.com", "eu-west-1", "not a name or an ARN")
	f("https://sqs.eu-west-1.amazonaws.com/\x7f", "eu-west-1", "queue URL")
}

func TestAttributesAreRead(t *testing.T) {
	got, err := parseAttributes(map[string]string{
		"FifoQueue": "true", "MaximumMessageSize": "1048576", "VisibilityTimeout": "180", "MessageRetentionPeriod": "345600",
		"RedrivePolicy":               `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead.fifo","maxReceiveCount":5}`,
		"FifoThroughputLimit":         "perMessageGroupId",
		"ApproximateNumberOfMessages": "7", "ApproximateNumberOfMessagesNotVisible": "2", "Policy": "{}",
	})
	want := Attributes{
		MaxBytes: 1 << 20, Visibility: 3 * time.Minute, Retention: 96 * time.Hour,
		DeadLetterARN: "arn:aws:sqs:eu-west-1:1:dead.fifo", MaxReceives: 5, PerGroup: true, Depth: Depth{7, 2},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err = parseAttributes(map[string]string{"FifoQueue": "true", "RedrivePolicy": `{"maxReceiveCount":"3"}`}); err != nil || got.MaxReceives != 3 || got.MaxBytes != defaultMaxBytes {
		t.Errorf("got %+v, %v", got, err)
	}
	f := func(want string, m map[string]string) {
		t.Helper()
		if _, err := parseAttributes(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", m, err, want)
		}
	}
	f("it is not FIFO", map[string]string{"MaximumMessageSize": "1024"})
	f("MaximumMessageSize", map[string]string{"FifoQueue": "true", "MaximumMessageSize": "a lot"})
	f("RedrivePolicy", map[string]string{"FifoQueue": "true", "RedrivePolicy": "{"})
}

// A call takes ten messages, and no more bytes than the queue takes of one message.
func TestBatchesKeepToTheQueuesBounds(t *testing.T) {
	q := &Queue{}
	q.attrs.Store(&Attributes{MaxBytes: 1000})
	f := func(calls int, sizes ...int) {
		t.Helper()
		var msgs []commitlib.Message
		for _, n := range sizes {
			msgs = append(msgs, commitlib.Message{Body: make([]byte, n)})
		}
		if got := q.Calls(msgs); got != calls {
			t.Errorf("%v: %d calls, want %d", sizes, got, calls)
		}
	}
	f(0)
	f(1, 1000)
	f(0, 1001)
	f(2, 1000, 1001, 1000)
	f(2, 500, 501)
	f(1, 500, 500)
	f(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	f(2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	f(3, 400, 400, 400, 400, 400)
}

// A message that SQS blames its sender for can never be sent, whatever the code: tried again without end it would keep
// back those of all other groups.
func TestRefusalOfOneMessage(t *testing.T) {
	f := func(code string, senderFault bool, want Kind) {
		t.Helper()
		q, calls := answering(t, 200, http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			fmt.Sprintf(`{"Successful":[],"Failed":[{"Id":"0","SenderFault":%v,"Code":%q,"Message":"m"}]}`, senderFault, code))
		err := q.Send(t.Context(), []commitlib.Message{{ID: "1", Group: "g", Body: []byte("b")}})
		if err == nil || KindOf(err) != want || !strings.Contains(err.Error(), code) || *calls != 1 {
			t.Errorf("%s, sender's fault %v: %v (%v) after %d calls, want %v after one", code, senderFault, err, KindOf(err), *calls, want)
		}
	}
	f("SomethingNew", true, BadMessage)
	f("SomethingNew", false, Unreachable)
	f("InternalError", false, Unreachable)
	f("RequestThrottled", true, Throttled)
	f("KmsAccessDenied", true, Misconfigured)
	f("InvalidMessageContents", true, BadMessage)
}

func TestReasonBecomesAnAttributeThatSQSTakes(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := attribute(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	f("plain — ok\n", "plain — ok\n")
	f("a\x00b\ufffec\xff", "a b c?")
	f("", "no reason was given")
	f("\x01", "no reason was given")
	f(strings.Repeat("é", 600), strings.Repeat("é", 500))
	f("x"+strings.Repeat("é", 600), "x"+strings.Repeat("é", 499)) // not in the midst of a character
}
