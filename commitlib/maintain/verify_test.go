package maintain

import (
	"context"
	"errors"
	"testing"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	lived(w)
	v := Verifier{w.cat, w.store}
	out, err := v.Run(context.Background(), w.id, Options{})
	got := out.(*Verification)
	if err != nil || got.Needed < 20 || got.Missing+got.Damaged+len(got.Findings) > 0 || got.LeftOver == 0 || len(got.Examples) == 0 {
		t.Errorf("a whole table: %+v, %v", got, err)
	}
	lost := w.keys("data/", "-1-5-0.parquet")[0]
	w.must(w.store.Delete(context.Background(), lost))
	out, err = v.Run(context.Background(), w.id, Options{})
	got = out.(*Verification)
	if !errors.Is(err, ErrDamaged) || got.Missing != 1 || len(got.Findings) != 1 || got.Findings[0].Key != lost || got.Error == "" {
		t.Errorf("a table without %s: %+v, %v", lost, got, err)
	}
}
