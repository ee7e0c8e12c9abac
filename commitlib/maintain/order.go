package maintain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// The sources of the events that EventBridge's rules and schedules send where nothing else is set.
const (
	ruleSource      = "aws.events"
	schedulerSource = "aws.scheduler"
)

const orderForm = `send {"maintain":{}}, with "dry_run":true, "scope":"whole" (or "metadata") or "force":true in it, or EventBridge's own event`

// ReadOrder reads the event by which a schedule, or a person, has a function maintain tables: EventBridge's own, or
//
//	{"maintain":{"dry_run":true,"scope":"whole","force":true}}
//
// with any of these members or none. It is closed: what was meant to change nothing must not be taken for a run because
// of where a member stands or how it is spelt.
func ReadOrder(event []byte) (opts Options, err error) {
	members, err := object(event)
	if err != nil {
		return opts, fmt.Errorf("read event: %w: %s", err, orderForm)
	}
	var source string
	_ = json.Unmarshal(members["source"], &source)
	order, ordered := members["maintain"]
	scheduled := source == ruleSource || source == schedulerSource
	switch {
	case !ordered && scheduled:
		return opts, nil
	case !ordered:
		return opts, errors.New("event has no member \"maintain\": " + orderForm)
	case len(members) > 1 && !scheduled:
		return opts, errors.New("event has members beside \"maintain\": " + orderForm)
	}
	if members, err = object(order); err != nil {
		return opts, fmt.Errorf("read member \"maintain\": %w: %s", err, orderForm)
	}
	for name, value := range members {
		var into any
		switch name {
		case "dry_run":
			into = &opts.DryRun
		case "scope":
			into = &opts.Scope
		case "force":
			into = &opts.Force
		default:
			return opts, fmt.Errorf("\"maintain\" has no member %q: %s", name, orderForm)
		}
		if err := json.Unmarshal(value, into); err != nil || string(value) == "null" {
			return opts, fmt.Errorf("member %q of \"maintain\" is %s: %s", name, value, orderForm)
		}
	}
	switch opts.Scope {
	case Due, Metadata, Whole:
		return opts, nil
	}
	return opts, fmt.Errorf("scope is %q: write metadata or whole, or leave it out", opts.Scope)
}

// object reads a JSON object's members.
func object(text []byte) (members map[string]json.RawMessage, err error) {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return nil, errors.New("it is no JSON object")
	}
	return members, json.Unmarshal(text, &members)
}
