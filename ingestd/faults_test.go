package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/perf/peer"
	"firn/perf/tier"
)

// refusal is an answer that S3 gives to what only an operator can mend.
func refusal(status int, code, message string) *peer.Answer {
	return &peer.Answer{
		Status: status,
		Header: http.Header{"Content-Type": {"application/xml"}, "Date": {time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat)}},
		Body:   fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message),
	}
}

// with replaces a variable of an environment.
func with(environ []string, name, value string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, name+"=") {
			out = append(out, e)
		}
	}
	return append(out, name+"="+value)
}

// TestStartWithMistakes starts daemons that have nothing to keep: each mistake ends the start with one clear error that
// says what to do, and -check says the same.
func TestStartWithMistakes(t *testing.T) {
	tier.Need(t, tier.CI)
	s3, aws := peer.S3(t), peer.AWS(t)
	proxy := peer.Proxy(t, s3.Endpoint)
	good := append(aws.Env(), s3.Env()...)
	queue, _ := aws.NewFIFO(t)
	f := func(name, want string, answer *peer.Answer, environ []string, args ...string) {
		t.Helper()
		proxy.Hook(nil)
		if answer != nil {
			environ = append(aws.Env(), s3.At(proxy).Env()...)
			proxy.Hook(func(*peer.Request) peer.Fault { return peer.Fault{Answer: answer} })
		}
		data := t.TempDir()
		var stdout, stderr strings.Builder
		flags := append([]string{"-listen", "127.0.0.1:0", "-data", data}, args...)
		if status := command(append(flags, "-check"), environ, &stdout, &stderr); status != 2 || strings.Count(stderr.String(), want) != 1 {
			t.Errorf("%s: -check ends with %d, and says\n%swant %q", name, status, stderr.String(), want)
		}
		n := launch(t, data, environ, args...)
		select {
		case err := <-n.done:
			n.done <- err
			if err == nil || strings.Count(err.Error(), want) != 1 {
				t.Errorf("%s: the start ends with %v, want %q", name, err, want)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the daemon starts, want %q\n%s", name, want, n.logs)
		}
	}
	lake := []string{"-warehouse", s3.Root() + "/events"}
	// By the servers themselves.
	f("no such bucket", "make the bucket firn-there-is-none", nil, good, "-warehouse", "s3://firn-there-is-none/x")
	f("wrong key", "check AWS_ACCESS_KEY_ID", nil, with(good, "AWS_ACCESS_KEY_ID", "999988887777"), lake...)
	f("wrong secret", "check AWS_SECRET_ACCESS_KEY", nil, with(good, "AWS_SECRET_ACCESS_KEY", "not-the-secret"), lake...)
	f("another region", "AWS_REGION", nil, with(good, "AWS_REGION", "eu-west-1"), lake...)
	f("no such queue", "create it, or correct the URL", nil, good, append(lake, "-queue", strings.Replace(queue, "firn-", "none-", 1))...)
	// By what Amazon S3 answers, which the servers at hand can't be brought to.
	f("expired credentials", "give the process new ones", refusal(400, "ExpiredToken", "The provided token has expired."), nil, lake...)
	f("clock", "run chrony", refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."), nil, lake...)
	f("no permission", "allow s3:", refusal(403, "AccessDenied", "Access Denied"), nil, lake...)
	f("region, by Amazon S3", "set AWS_REGION=eu-central-1", refusal(400, "AuthorizationHeaderMalformed",
		"The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'"), nil, lake...)
}

// TestTroubleWhileRunning takes the store away from a running daemon, in each of the ways that need somebody: it goes on
// acking for tables that it knows, says at /health/ready what to do, alarms once, and ships all of it afterwards.
func TestTroubleWhileRunning(t *testing.T) {
	tier.Need(t, tier.CI)
	s3 := peer.S3(t)
	f := func(name, want string, fatal bool, trouble func(*peer.FaultProxy)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := peer.Proxy(t, s3.Endpoint)
			root := s3.Root() + "/" + strings.ReplaceAll(name, " ", "-")
			data, environ := t.TempDir(), s3.At(proxy).Env()
			n := start(t, data, environ, "-warehouse", root, "-cut-interval", "200ms")
			for _, table := range []string{"clicks", "views"} {
				n.post(table, 10)
				n.ok("POST", "/tables/"+table+"/commit", "", nil)
			}
			trouble(proxy)
			n.post("clicks", 10)
			n.post("views", 10)
			n.within(40*time.Second, "unready, and it says what to do", func() bool {
				status, text := n.do("GET", "/health/ready", "")
				return status == 503 && strings.Contains(text, want)
			})
			if status, text := n.do("POST", "/tables/unseen", "x"); status != 503 || !strings.Contains(text, "catalog_unavailable") {
				t.Errorf("a table that is not known: %d %s", status, text)
			}
			n.post("clicks", 10)
			time.Sleep(3 * time.Second) // several rounds of retrying
			least := slog.LevelWarn
			if fatal {
				least = slog.LevelError
			}
			if lines := n.logs.at(least, "does not work"); len(lines) != 1 {
				t.Errorf("alarmed %d times:\n%s", len(lines), strings.Join(lines, "\n"))
			}
			// A restart finds its events, and starts, though the store refuses it.
			if err := n.close(); err != nil {
				t.Errorf("stop: %v", err)
			}
			n = start(t, data, environ, "-warehouse", root, "-cut-interval", "200ms")
			n.post("views", 10)
			if lines := n.logs.at(slog.LevelError, "nothing can be shipped yet"); len(lines) != 1 || fatal && !strings.Contains(lines[0], want) {
				t.Errorf("the restart says it %d times:\n%s", len(lines), strings.Join(lines, "\n"))
			}
			proxy.Up()
			proxy.Hook(nil)
			n.within(time.Minute, "ready again", func() bool { s, _ := n.do("GET", "/health/ready", ""); return s == 200 })
			for table, want := range map[string]int{"clicks": 30, "views": 30} {
				n.within(time.Minute, "all of "+table+" is committed", func() bool { return n.backlog(table) == 0 })
				if got := rows(t, s3.Env(), root, table); got != want {
					t.Errorf("%s has %d rows, want %d", table, got, want)
				}
			}
		})
	}
	answer := func(a *peer.Answer) func(*peer.FaultProxy) {
		return func(p *peer.FaultProxy) { p.Hook(func(*peer.Request) peer.Fault { return peer.Fault{Answer: a} }) }
	}
	f("expired credentials", "give the process new ones", true, answer(refusal(400, "ExpiredToken", "The provided token has expired.")))
	f("permission withdrawn", "allow s3:", true, answer(refusal(403, "AccessDenied", "Access Denied")))
	f("clock steps", "run chrony", true, answer(refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")))
	f("bucket removed", "make the bucket", true, answer(refusal(404, "NoSuchBucket", "The specified bucket does not exist")))
	f("no answer", "warehouse", false, func(p *peer.FaultProxy) { p.Down() })
}

// TestReadyOnceProven starts a daemon with events to keep on a store that it may read and not write: nothing is shipped,
// and readiness says so and why, though what it asks of the store by itself is granted.
func TestReadyOnceProven(t *testing.T) {
	tier.Need(t, tier.CI)
	s3 := peer.S3(t)
	proxy := peer.Proxy(t, s3.Endpoint)
	data, environ, root := t.TempDir(), s3.At(proxy).Env(), s3.Root()+"/proven"
	n := start(t, data, environ, "-warehouse", root)
	n.post("clicks", 10)
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation != "PutObject" {
			return peer.Fault{}
		}
		return peer.Fault{Answer: refusal(403, "AccessDenied", "Access Denied")}
	})
	n = start(t, data, environ, "-warehouse", root)
	for range 3 {
		if status, text := n.do("GET", "/health/ready", ""); status != 503 || !strings.Contains(text, "allow s3:PutObject") {
			t.Errorf("it ships nothing, and readiness says %d %s", status, text)
		}
	}
	proxy.Hook(nil)
	n.within(time.Minute, "ready", func() bool { s, _ := n.do("GET", "/health/ready", ""); return s == 200 })
}

// TestQueueRemoved takes the queue away under a running daemon, and puts it back.
func TestQueueRemoved(t *testing.T) {
	tier.Need(t, tier.CI)
	s3, aws := peer.S3(t), peer.AWS(t)
	url, _ := aws.NewFIFO(t)
	name := url[strings.LastIndex(url, "/")+1:]
	n := start(t, t.TempDir(), append(aws.Env(), s3.Env()...), "-warehouse", s3.Root()+"/unqueued", "-queue", url, "-cut-interval", "200ms", "-reply-within", "1s")
	n.ok("PUT", "/tables/clicks", "", nil)
	call := func(action string, in, out any) {
		t.Helper()
		if err := aws.Call("sqs", "AmazonSQS."+action, in, out); err != nil {
			t.Fatal(err)
		}
	}
	call("DeleteQueue", map[string]any{"QueueUrl": url}, nil)
	n.post("clicks", 10)
	n.within(40*time.Second, "unready, and it says what to do", func() bool {
		status, text := n.do("GET", "/health/ready", "")
		return status == 503 && strings.Contains(text, `"queue"`) && strings.Contains(text, "create it, or correct the URL")
	})
	n.post("clicks", 10)
	alarms := func() []string { return n.logs.at(slog.LevelError, "no commit request can be sent") }
	n.within(40*time.Second, "an alarm", func() bool { return len(alarms()) > 0 })
	call("CreateQueue", map[string]any{"QueueName": name, "Attributes": map[string]string{"FifoQueue": "true"}}, nil)
	var out struct{ Messages []struct{ Body string } }
	n.within(40*time.Second, "the request comes", func() bool {
		n.do("POST", "/tables/clicks/commit", "")
		call("ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10}, &out)
		return len(out.Messages) > 0
	})
	n.within(40*time.Second, "ready", func() bool { s, _ := n.do("GET", "/health/ready", ""); return s == 200 })
	if lines := alarms(); len(lines) != 1 {
		t.Errorf("alarmed %d times:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}
