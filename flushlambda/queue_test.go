package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/perf/peer"
	"firn/perf/spawn"
	"firn/perf/tier"
)

// send puts a message into the queue, by other means than the code under test.
func send(t testing.TB, a *peer.AWSServer, url, group, body string) {
	t.Helper()
	in := map[string]string{"QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": uuid.NewString()}
	if err := a.Call("sqs", "AmazonSQS.SendMessage", in, nil); err != nil {
		t.Fatal(err)
	}
}

// depth is how many messages the queue holds: waiting, and handed out.
func depth(t testing.TB, a *peer.AWSServer, url string) (waiting, handedOut string) {
	t.Helper()
	var out struct{ Attributes map[string]string }
	if err := a.Call("sqs", "AmazonSQS.GetQueueAttributes", map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}}, &out); err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// await asks until ok says yes, or the test has waited too long.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it was waited in vain: %s", what)
		}
	}
}

// traffic puts into the queue what a daemon and the queue between them may send: five requests of one log in order, each
// of them twice, a message that is no request, and one behind it. It returns how far the log is then, and the bad body.
func traffic(t testing.TB, l *lake, a *peer.AWSServer, url string) (last commitlib.Seq, bad string) {
	t.Helper()
	for i := range commitlib.Seq(5) {
		body := l.request(i*10+1, i*10+10)
		send(t, a, url, tableID.String(), body)
		send(t, a, url, tableID.String(), body)
		if i == 3 {
			bad = "this is no commit request"
			send(t, a, url, tableID.String(), bad)
		}
	}
	return 50, bad
}

func checkTraffic(t testing.TB, l *lake, a *peer.AWSServer, url, dead string, last commitlib.Seq, bad string) {
	t.Helper()
	await(t, "the log's watermark", func() bool {
		mark, _ := l.state()
		return mark == last
	})
	await(t, "an empty queue", func() bool {
		waiting, handedOut := depth(t, a, url)
		return waiting == "0" && handedOut == "0"
	})
	if _, rows := l.state(); rows != fmt.Sprint(last) {
		t.Errorf("%s rows, want %d", rows, last)
	}
	if letters := receiveAll(t, a, dead, 1); letters[0].body != bad || !strings.Contains(letters[0].reason, "decode commit request") {
		t.Errorf("dead letters %+v", letters)
	}
}

// The built function as a Lambda function with an SQS FIFO queue as its event source: an outage of the store in between
// sends messages back to the queue, which brings them again.
func TestFunctionWithItsEventSource(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s, a := peer.S3(t), peer.AWS(t)
	url, dead := a.NewFIFOWith(t, map[string]string{"VisibilityTimeout": "4"})
	proxy := peer.Proxy(t, s.Endpoint)
	l := s3Lake(t, s)
	var answers atomic.Int32
	proxy.Hook(func(r *peer.Request) peer.Fault { // out for the first delivery, and for a while of the second
		if answers.Add(1) > 20 {
			return peer.Fault{}
		}
		return peer.Fault{Answer: &peer.Answer{Status: 503, Body: `<Error><Code>SlowDown</Code></Error>`}}
	})
	last, bad := traffic(t, l, a, url)
	createFunction(t, a, url, map[string]string{
		"FIRN_WAREHOUSE": s.Root() + "/lake", "FIRN_DEAD_LETTER_QUEUE": dead,
		"AWS_ENDPOINT_URL_S3": proxy.URL, "AWS_ENDPOINT_URL_SQS": a.Endpoint,
	})
	checkTraffic(t, l, a, url, dead, last, bad)
	if n := answers.Load(); n <= 20 {
		t.Errorf("the store was asked %d times: its outage was not met", n)
	}
}

// createFunction makes a Lambda function of the built file, with the queue as its event source.
func createFunction(t testing.TB, a *peer.AWSServer, queue string, env map[string]string) {
	t.Helper()
	program, err := os.ReadFile(bootstrap(t))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(program)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("zipped, the function has %.1f MB", float64(file.Len())/1e6)
	name := "firn-" + uuid.NewString()[:8]
	err = a.CallREST("lambda", http.MethodPost, "/2015-03-31/functions", map[string]any{
		"FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 4, "MemorySize": 256,
		"Role":        fmt.Sprintf("arn:aws:iam::%s:role/firn", peer.AccessKey),
		"Code":        map[string]string{"ZipFile": base64.StdEncoding.EncodeToString(file.Bytes())},
		"Environment": map[string]any{"Variables": env},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mapping struct{ UUID string }
	err = a.CallREST("lambda", http.MethodPost, "/2015-03-31/event-source-mappings", map[string]any{
		"FunctionName": name, "BatchSize": 10, "FunctionResponseTypes": []string{"ReportBatchItemFailures"},
		"EventSourceArn": fmt.Sprintf("arn:aws:sqs:%s:%s:%s", peer.Region, peer.AccessKey, path.Base(queue)),
	}, &mapping)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range []string{"/2015-03-31/event-source-mappings/" + mapping.UUID, "/2015-03-31/functions/" + name} {
			if err := a.CallREST("lambda", http.MethodDelete, p, nil, nil); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
}

// polling is flushlambda -poll as a process.
type polling struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

func startPolling(t testing.TB, env ...string) *polling {
	t.Helper()
	p := &polling{cmd: exec.Command(bootstrap(t), "-poll"), log: filepath.Join(t.TempDir(), "log"), done: make(chan error, 1)}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, out
	if err := spawn.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		p.done <- p.cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // an error says that it is gone
		<-exited
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("the process's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return p
}

// stop asks the process to end and returns how it ended.
func (p *polling) stop(t testing.TB) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second): // what most supervisors give
		t.Fatal("the process does not stop")
		return nil
	}
}

// Processes with -poll share a queue, reject what is bad, end on SIGTERM, and hand back at once what they could not finish.
func TestPollTheRealQueue(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s, a := peer.S3(t), peer.AWS(t)
	// Long enough that what is not handed back would not come again within this test.
	url, dead := a.NewFIFOWith(t, map[string]string{"VisibilityTimeout": "600"})
	l := s3Lake(t, s)
	proxy := peer.Proxy(t, s.Endpoint)
	env := append(a.Env(), s.Env()...)
	env = append(env, "FIRN_QUEUE="+url, "FIRN_DEAD_LETTER_QUEUE="+dead, "FIRN_WAREHOUSE="+s.Root()+"/lake")
	last, bad := traffic(t, l, a, url)
	two := []*polling{startPolling(t, env...), startPolling(t, env...)}
	checkTraffic(t, l, a, url, dead, last, bad)
	sums := map[string]float64{}
	for _, p := range two {
		if err := p.stop(t); err != nil {
			t.Errorf("stopped with %v", err)
		}
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		addMetrics(sums, string(text))
	}
	// The table's messages kept their order: none was a gap.
	if sums["Applied"] != 5 || sums["Dropped"] != 0 || sums["Messages"] < 11 || sums["ColdStarts"] > 2 {
		t.Errorf("metrics of both processes: %v", sums)
	}

	// Another process meets a store that never answers; when it is stopped the messages are there at once for the next.
	met := make(chan struct{}, 1)
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "PutObject" {
			select {
			case met <- struct{}{}:
			default:
			}
			return peer.Fault{Hang: true}
		}
		return peer.Fault{}
	})
	send(t, a, url, tableID.String(), l.request(last+1, last+5))
	p := startPolling(t, append(env, "AWS_ENDPOINT_URL_S3="+proxy.URL)...)
	<-met
	if err := p.stop(t); err != nil {
		t.Errorf("stopped amid a batch with %v", err)
	}
	if waiting, handedOut := depth(t, a, url); waiting != "1" || handedOut != "0" {
		t.Errorf("after the stop %s messages wait and %s are handed out, want 1 and 0", waiting, handedOut)
	}
	startPolling(t, env...)
	await(t, "the message that was handed back", func() bool {
		mark, rows := l.state()
		return mark == last+5 && rows == fmt.Sprint(last+5)
	})
}

// A queue that cannot be used ends the process with what to do; one that does not answer is waited for.
func TestPollAQueueThatIsNotThere(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s, a := peer.S3(t), peer.AWS(t)
	l := s3Lake(t, s)
	url, dead := a.NewFIFO(t)
	env := append(a.Env(), s.Env()...)
	env = append(env, "FIRN_DEAD_LETTER_QUEUE="+dead, "FIRN_WAREHOUSE="+s.Root()+"/lake")

	p := startPolling(t, append(env, "FIRN_QUEUE="+strings.Replace(url, ".fifo", "-missing.fifo", 1))...)
	select {
	case err := <-p.done:
		if text, _ := os.ReadFile(p.log); err == nil || !bytes.Contains(text, []byte("create it, or correct the URL")) {
			t.Errorf("ended with %v and logged %s", err, text)
		}
	case <-time.After(30 * time.Second):
		t.Error("the process goes on with a queue that does not exist")
	}

	proxy := peer.Proxy(t, a.Endpoint)
	proxy.Down()
	send(t, a, url, tableID.String(), l.request(1, 5))
	p = startPolling(t, append(env, "FIRN_QUEUE="+url, "AWS_ENDPOINT_URL_SQS="+proxy.URL)...)
	await(t, "a line about the silent queue", func() bool {
		text, _ := os.ReadFile(p.log)
		return bytes.Contains(text, []byte("does not answer"))
	})
	proxy.Up()
	await(t, "the watermark after the outage", func() bool {
		mark, _ := l.state()
		return mark == 5
	})
}
