package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// initErrorTime bounds the report: the Runtime API is on this machine.
const initErrorTime = 2 * time.Second

// initErrorType tells a wrong environment from a process that died: it is in Lambda's platform log.
const initErrorType = "Firn.CannotStart"

// reportInitError tells the Runtime API why the function cannot start, so that whoever invokes it reads the reason in
// place of "exited with status 1". The process must end afterwards; Lambda starts another at the next invocation.
func reportInitError(runtimeAPI string, cause error) error {
	body, err := json.Marshal(map[string]any{"errorType": initErrorType, "errorMessage": cause.Error(), "stackTrace": []string{}})
	if err != nil {
		return fmt.Errorf("report init error: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), initErrorTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+runtimeAPI+"/2018-06-01/runtime/init/error", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("report init error: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Lambda-Runtime-Function-Error-Type", initErrorType)
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: nil}}).Do(req)
	if err != nil {
		return fmt.Errorf("report init error: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("report init error: %s", resp.Status)
	}
	return nil
}
