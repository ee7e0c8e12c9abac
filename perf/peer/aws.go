package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// AWSServer is ministack: SQS, Glue, Lambda (functions run as processes), CloudWatch, IAM. Its S3 is not for commits.
type AWSServer struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	Region    string
}

var ministack = shared{program: func(t testing.TB) program {
	return program{
		name: "ministack", path: besidePython(t, "ministack"),
		args: func(int, string) []string { return nil },
		env: func(port int, dir string) []string {
			return []string{
				"GATEWAY_PORT=" + strconv.Itoa(port), "BIND_HOST=127.0.0.1", "MINISTACK_HOST=127.0.0.1", "LAMBDA_EXECUTOR=local",
				"MINISTACK_REGION=" + Region, "TMPDIR=" + dir, "STATE_DIR=" + dir + "/state", "S3_DATA_DIR=" + dir + "/s3", "LOG_LEVEL=WARNING",
				"AWS_SECRET_ACCESS_KEY=" + SecretKey, // what it gives to functions as their role's
			}
		},
		ready: func(ctx context.Context, base string) error {
			_, err := call(ctx, base, "sts", http.MethodGet, "/_ministack/health", nil, nil)
			return err
		},
	}
}}

// AWS is ministack, shared by the tests of this binary: queues, databases and functions need names of their own.
func AWS(t testing.TB) *AWSServer {
	t.Helper()
	return &AWSServer{Endpoint: ministack.get(t).base, AccessKey: AccessKey, SecretKey: SecretKey, Region: Region}
}

// OwnAWS is ministack as a process for this test alone; it takes two seconds to start.
func OwnAWS(t testing.TB) *AWSServer {
	t.Helper()
	return &AWSServer{Endpoint: ministack.program(t).own(t).base, AccessKey: AccessKey, SecretKey: SecretKey, Region: Region}
}

// At is the same server, reached through a proxy in front of it.
func (a *AWSServer) At(p *FaultProxy) *AWSServer {
	c := *a
	c.Endpoint = p.URL
	return &c
}

// Env is the environment of a process that uses this server: append it to one without AWS_ variables. S3Server.Env may
// follow or come before; S3 is that server's then.
func (a *AWSServer) Env() []string {
	return append(credentialsEnv(), "AWS_ENDPOINT_URL="+a.Endpoint)
}

// NewFIFO makes a FIFO queue and its dead-letter queue, and returns their URLs: explicit deduplication ids, a message
// is invisible for 30 s after it was received, and moves over after 10 receives.
func (a *AWSServer) NewFIFO(t testing.TB) (url, dlqURL string) {
	t.Helper()
	return a.NewFIFOWith(t, nil)
}

// NewFIFOWith is NewFIFO with some of the queue's attributes overridden; a RedrivePolicy of "" leaves it without.
func (a *AWSServer) NewFIFOWith(t testing.TB, attributes map[string]string) (url, dlqURL string) {
	t.Helper()
	name := "firn-" + unique()
	dlqURL = a.createQueue(t, name+"-dead.fifo", map[string]string{"FifoQueue": "true"})
	// SQS refuses an ARN of another region or account; both servers derive it from the name.
	arn := fmt.Sprintf("arn:aws:sqs:%s:%s:%s-dead.fifo", Region, AccessKey, name)
	merged := map[string]string{
		"FifoQueue": "true", "VisibilityTimeout": "30", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"10"}`, arn),
	}
	for k, v := range attributes {
		if merged[k] = v; v == "" {
			delete(merged, k)
		}
	}
	return a.createQueue(t, name+".fifo", merged), dlqURL
}

func (a *AWSServer) createQueue(t testing.TB, name string, attributes map[string]string) string {
	t.Helper()
	var out struct{ QueueUrl string }
	if err := a.Call("sqs", "AmazonSQS.CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, &out); err != nil {
		t.Fatalf("make queue %s: %v", name, err)
	}
	return out.QueueUrl
}

// Call sends a request of one of AWS's JSON protocols, by other means than the code under test, and decodes the answer
// into out unless that is nil. target is the X-Amz-Target, as AmazonSQS.SendMessage or AWSGlue.GetTable.
func (a *AWSServer) Call(service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", target, err)
	}
	version := "1.1"
	if strings.HasPrefix(target, "AmazonSQS.") {
		version = "1.0"
	}
	header := http.Header{"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-" + version}}
	text, err := call(context.Background(), a.Endpoint, service, http.MethodPost, "/", header, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decode %s's answer: %w", target, err)
	}
	return nil
}

// CallREST is Call for a service whose interface is paths and methods, as Lambda's is.
func (a *AWSServer) CallREST(service, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", method, path, err)
	}
	text, err := call(context.Background(), a.Endpoint, service, method, path, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decode the answer to %s %s: %w", method, path, err)
	}
	return nil
}
