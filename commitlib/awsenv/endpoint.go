package awsenv

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// services are those that Firn calls, by the names that their endpoint variables have.
var services = []string{"", "S3", "SQS", "GLUE", "S3TABLES"}

// Endpoint is the base URL that the environment sets for a service ("s3", "sqs", "glue"; "" for all), or empty: then the
// service's own in its region is meant.
func Endpoint(getenv func(string) string, service string) string {
	if strings.EqualFold(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return ""
	}
	if service != "" {
		if own := getenv(endpointVariable(service)); own != "" {
			return own
		}
	}
	return getenv(endpointVariable(""))
}

func endpointVariable(service string) string {
	if service == "" {
		return "AWS_ENDPOINT_URL"
	}
	return "AWS_ENDPOINT_URL_" + strings.ToUpper(service)
}

func checkEndpoints(getenv func(string) string) error {
	var wrong []error
	for _, service := range services {
		name := endpointVariable(service)
		if value := getenv(name); value != "" {
			if err := CheckEndpoint(value); err != nil {
				wrong = append(wrong, fmt.Errorf("%s %w", name, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// CheckEndpoint says what is wrong with the base URL of a service, or nil.
func CheckEndpoint(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil: // which repeats the whole of it, a password included
		return errors.New("is no URL: write it as in https://s3.example.com:9000")
	case strings.Contains(value, "@"):
		return errors.New("has a user or password in it: give the keys by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%q is no base URL: write it as in https://s3.example.com:9000", value)
	case u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("has a query or a fragment, which begins after %q: give scheme, host and port", u.Scheme+"://"+u.Host+u.Path)
	}
	return nil
}
