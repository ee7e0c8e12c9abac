package maintain

import (
	"context"
	"fmt"
	"log/slog"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// Verifier is the task that checks tables, and changes nothing: for whoever wants to know whether a table, a restored one
// say, has all that it needs. Its memory grows with the table's objects (Check).
type Verifier struct {
	Catalog catalog.Catalog
	Store   objstore.Store
}

// ErrNotWhole is an error of Verifier: the table needs objects that are missing or damaged. The verification lists them.
var ErrNotWhole = fmt.Errorf("verify: %w", ErrDamaged)

// maxFindings bounds what one verification lists of each kind.
const maxFindings = 100

// Verification is what Verifier reports: counts, and the first of each.
type Verification struct {
	Table    string    `json:"table"`
	Needed   int       `json:"needed"` // objects
	Missing  int       `json:"missing"`
	Damaged  int       `json:"damaged"`
	LeftOver int       `json:"left_over"` // what nothing needs; not all of it may be removed yet
	Findings []Finding `json:"findings,omitempty"`
	Examples []string  `json:"left_over_examples,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Name implements Task.
func (Verifier) Name() string { return "verify" }

// Run implements Task.
func (v Verifier) Run(ctx context.Context, id catalog.Ident, _ Options) (Outcome, error) {
	out := &Verification{Table: id.String()}
	err := v.verify(ctx, id, out)
	if err != nil {
		out.Error = err.Error()
	}
	return out, err
}

func (v Verifier) verify(ctx context.Context, id catalog.Ident, out *Verification) error {
	t, err := v.Catalog.Load(ctx, id)
	if err != nil {
		return err
	}
	in, err := Check(ctx, v.Store, t)
	if err != nil {
		return err
	}
	out.Needed, out.Missing, out.Damaged, out.LeftOver = in.Needed, len(in.Missing), len(in.Damaged), len(in.LeftOver)
	for _, findings := range [][]Finding{in.Missing, in.Damaged} {
		out.Findings = append(out.Findings, findings[:min(len(findings), maxFindings)]...)
	}
	out.Examples = in.LeftOver[:min(len(in.LeftOver), maxExamples)]
	if out.Missing+out.Damaged > 0 {
		return ErrNotWhole
	}
	return nil
}

// Did implements Outcome.
func (v *Verification) Did() bool { return true }

// Idle implements Outcome.
func (v *Verification) Idle() bool { return true }

// Attrs implements Outcome.
func (v *Verification) Attrs() []slog.Attr {
	return []slog.Attr{slog.String("table", v.Table), slog.Int("needed", v.Needed), slog.Int("missing", v.Missing), slog.Int("damaged", v.Damaged),
		slog.Int("left_over", v.LeftOver), slog.String("error", v.Error)}
}
