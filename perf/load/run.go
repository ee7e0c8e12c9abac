package load

import "time"

// NewResult describes the machine, the server and its disk, for steps to be added.
func NewResult(scenario string, t *Target) (*Result, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	r := &Result{Version: ResultVersion, Scenario: scenario, Began: time.Now().UTC().Truncate(time.Millisecond), Machine: thisMachine(), Generator: thisProgram()}
	var err error
	if r.Server, err = t.describe(); err != nil {
		return nil, err
	}
	if t.Data != "" {
		r.Disk, err = inspectDisk(t.Data)
	}
	return r, err
}
