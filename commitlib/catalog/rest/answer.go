package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"firn/commitlib/catalog"
)

// statusTokenExpired is the specification's AuthenticationTimeoutResponse: HTTP has no name for it.
const statusTokenExpired = 419

// kind is what a request was for: the same status means different things.
type kind int

const (
	loading    kind = iota // a table
	asking                 // for the configuration, a list, credentials
	creating               // a table
	naming                 // making a namespace
	committing             // the swap
)

func (k kind) reads() bool { return k == loading || k == asking }

// answered turns what came back into one of the port's answers; nil is success. err is what came in place of an answer.
//
// Asking is like loading but for the last row; naming is like creating, but what is in doubt is no table: plain.
//
//	                      loading      creating         committing
//	2xx                   nil          nil              nil
//	304                   nil          –                –
//	404, the service's    ErrNoTable   errNoNamespace   ErrConflict: the table is gone, a load says so
//	409                   –            ErrTableExists   ErrConflict
//	400 sequence number   –            –                ErrConflict: a rival's snapshot came, and was rolled back
//	400, 406, 422 others  plain        ErrRejected      ErrRejected
//	401, 403, 419, 429    plain        plain            ErrUnknown *
//	5xx                   plain        ErrUnknown       ErrUnknown
//	any other             plain        ErrUnknown       ErrUnknown
//	none, or cut off      plain        ErrUnknown       ErrUnknown
//	too large             ErrRejected  ErrUnknown       ErrUnknown
//
// * It was not carried out. Still it is neither a conflict, nor can it never succeed: a permission may be granted, and
// the events wait meanwhile. ErrUnknown has the committer look and try again, which is right.
func answered(k kind, a *answer, err error) error {
	if err != nil {
		return unanswered(k, err)
	}
	if a.ok() || a.status == http.StatusNotModified && k == loading {
		return nil
	}
	why := errors.New(problem(a))
	said, theirs := a.model()
	switch {
	case a.status == http.StatusNotFound && theirs:
		if answer := map[kind]error{loading: catalog.ErrNoTable, asking: catalog.ErrNoTable, creating: errNoNamespace, committing: catalog.ErrConflict}[k]; answer != nil {
			return fmt.Errorf("%w: %w", answer, why)
		}
	case a.status == http.StatusConflict && k == committing:
		return fmt.Errorf("%w: %w", catalog.ErrConflict, why)
	case a.status == http.StatusConflict && !k.reads():
		return fmt.Errorf("%w: %w", catalog.ErrTableExists, why)
	case a.status == http.StatusBadRequest && k == committing && outrun(said.Message):
		return fmt.Errorf("%w: %w", catalog.ErrConflict, why)
	case !k.reads() && (a.status == http.StatusBadRequest || a.status == http.StatusNotAcceptable || a.status == http.StatusUnprocessableEntity):
		return fmt.Errorf("%w: %w", catalog.ErrRejected, why)
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, statusTokenExpired, http.StatusTooManyRequests:
		if k != committing {
			return why
		}
	}
	if k.reads() || k == naming {
		return why
	}
	return fmt.Errorf("%w: %w", catalog.ErrUnknown, why)
}

func unanswered(k kind, err error) error {
	switch {
	case errors.Is(err, catalog.ErrRejected): // it could not be encoded
		return err
	case errors.Is(err, errTooLarge) && k == loading && !errors.Is(err, errNotSent):
		return fmt.Errorf("%w: %w; expire snapshots with the engine that wrote it", catalog.ErrRejected, err)
	case k.reads(), k == naming, errors.Is(err, errNotSent) && k != committing:
		return err
	}
	return fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
}

// errNoNamespace is the answer to creating a table in a namespace that is not there.
var errNoNamespace = errors.New("namespace does not exist")

// outrun recognises the refusal of a snapshot whose sequence number has been used, which the reference implementation
// answers with 400: a rival's commit came and was taken back by a roll-back, so that main is where it was.
func outrun(message string) bool {
	return strings.Contains(message, "sequence number") && strings.Contains(message, "older than last")
}

// errorModel is the specification's ErrorModel.
type errorModel struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    int    `json:"code"`
}

// model returns the error that the service itself describes, and whether it does.
func (a *answer) model() (errorModel, bool) {
	var said struct {
		Error errorModel `json:"error"`
	}
	err := json.Unmarshal(a.body, &said)
	return said.Error, err == nil && (said.Error.Code == a.status || said.Error.Type != "")
}

// maxMessage bounds what an error repeats of an answer, in bytes: services put stack traces and HTML into them.
const maxMessage = 500

// problem tells what is wrong, and what to do about it.
func problem(a *answer) string {
	said, theirs := a.model()
	text := fmt.Sprintf("the catalog answered %d", a.status)
	if said.Type != "" {
		text += " " + clipped(said.Type)
	} else if name := http.StatusText(a.status); name != "" {
		text += " " + name
	}
	if said.Message == "" {
		said.Message = string(a.body)
	}
	if said.Message != "" {
		text += ": " + clipped(said.Message)
	}
	if advice := advice(a, theirs); advice != "" {
		text += " (" + advice + ")"
	}
	return text
}

func advice(a *answer, theirs bool) string {
	body := string(a.body)
	clock := strings.Contains(body, "Signature expired") || strings.Contains(body, "Signature not yet current") || strings.Contains(body, "RequestTimeTooSkewed")
	switch {
	case clock:
		return "is this machine's clock right? The signature's time is too far from the service's"
	case strings.Contains(body, "ExpiredToken") || strings.Contains(body, "security token included in the request is expired"):
		return "the AWS credentials have expired: renew them"
	case strings.Contains(body, "SignatureDoesNotMatch"):
		return "check the AWS secret key, the region, and the service that requests are signed for"
	}
	switch a.status {
	case http.StatusUnauthorized, statusTokenExpired:
		return "check the token, the OAuth2 credential or the AWS credentials that requests carry"
	case http.StatusForbidden:
		return "grant the principal that requests are signed in as the right to do this on the table, its namespace and the warehouse"
	case http.StatusTooManyRequests:
		return "the service throttles: it is tried again later"
	case http.StatusNotFound:
		if !theirs {
			return "no Iceberg REST service answers there: is the URI right? It is written without /v1"
		}
	}
	if a.status >= 300 && a.status <= 399 {
		return "redirects are not followed: configure the URI that it names, " + clipped(a.header.Get("Location"))
	}
	return ""
}

// clipped is text as one line of bounded length.
func clipped(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		cut := maxMessage
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
