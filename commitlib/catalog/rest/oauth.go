package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxTokenBytes bounds a token endpoint's answer: tokens with many claims are some kilobytes.
const maxTokenBytes = 64 << 10

// fetchToken gets an access token by OAuth2's client credentials grant (RFC 6749, section 4.4).
func (c *Catalog) fetchToken(ctx context.Context) (token string, expires time.Time, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("get a token from %s: %w", c.cfg.OAuthURI, err)
		}
	}()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.cfg.Scope}}
	id, secret, both := strings.Cut(c.cfg.Credential, ":")
	if both {
		form.Set("client_id", id)
	} else {
		secret = id
	}
	form.Set("client_secret", secret)
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.OAuthURI, strings.NewReader(form.Encode()))
	if err != nil {
		return "", time.Time{}, err
	}
	hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "firn")
	began := c.now()
	a, err := c.exchange(hr, maxTokenBytes)
	if err != nil {
		return "", time.Time{}, err
	}
	if !a.ok() {
		return "", time.Time{}, tokenRefused(a)
	}
	var got struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		return "", time.Time{}, fmt.Errorf("read the answer: %w", err)
	}
	if got.AccessToken == "" || !strings.EqualFold(got.TokenType, "bearer") {
		return "", time.Time{}, fmt.Errorf("the answer holds no bearer token but one of type %q", clipped(got.TokenType))
	}
	if got.ExpiresIn > 0 {
		return got.AccessToken, began.Add(time.Duration(got.ExpiresIn) * time.Second), nil
	}
	return got.AccessToken, claimedExpiry(got.AccessToken), nil
}

// tokenRefused tells an OAuth2 error (RFC 6749, section 5.2).
func tokenRefused(a *answer) error {
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.body, &said) != nil || said.Error == "" {
		return fmt.Errorf("%s", problem(a))
	}
	advice := ""
	switch said.Error {
	case "invalid_client", "unauthorized_client":
		advice = " (check the OAuth2 credential)"
	case "invalid_scope":
		advice = " (check the OAuth2 scope)"
	}
	return fmt.Errorf("it answered %d %s: %s%s", a.status, clipped(said.Error), clipped(said.Description), advice)
}

// claimedExpiry is the expiry that a token states itself, if it is a JSON web token; zero: it states none, and holds
// until it is refused. Nobody here relies on its being true: that is the service's business.
func claimedExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expires float64 `json:"exp"` // seconds since the epoch
	}
	if json.Unmarshal(text, &claims) != nil || claims.Expires <= 0 || claims.Expires > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expires), 0)
}
