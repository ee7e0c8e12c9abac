package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// ByteSize is a number of bytes that is written with a binary unit: 512, 64KiB, 8GiB.
type ByteSize int64

var byteUnits = []struct {
	name string
	size ByteSize
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (b ByteSize) String() string {
	for _, u := range byteUnits {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Set parses a size; it is flag.Value's.
func (b *ByteSize) Set(s string) error {
	factor := ByteSize(1)
	digits := s
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			factor, digits = u.size, rest
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || ByteSize(n) > (1<<62)/factor {
		return errors.New("write a size as 1048576, 64KiB, 32MiB, 8GiB or 1TiB")
	}
	*b = ByteSize(n) * factor
	return nil
}

// period is a duration whose error says what to write.
type period time.Duration

func (p *period) String() string { return time.Duration(*p).String() }

// Set parses a duration; it is flag.Value's.
func (p *period) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err == nil {
		*p = period(d)
		return nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("it has no unit: write %ss for seconds, %sms for milliseconds", s, s)
	}
	return errors.New("write a time as 500ms, 10s, 5m or 1h30m")
}

// level is a log level whose error says what to write.
type level slog.Level

func (l *level) String() string { return slog.Level(*l).String() }

// Set parses a level; it is flag.Value's.
func (l *level) Set(s string) error {
	var v slog.Level
	if v.UnmarshalText([]byte(s)) != nil {
		return errors.New("write DEBUG, INFO, WARN or ERROR")
	}
	*l = level(v)
	return nil
}
