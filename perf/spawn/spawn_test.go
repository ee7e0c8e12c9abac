package spawn

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A process that is killed takes along what it started.
func TestChildGoesWithItsParent(t *testing.T) {
	if os.Getenv("SPAWN_PARENT") != "" {
		child := exec.Command("sleep", "60")
		if err := Start(child); err != nil {
			t.Fatal(err)
		}
		fmt.Println("child", child.Process.Pid)
		child.Wait()
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestChildGoesWithItsParent$")
	parent.Env = append(os.Environ(), "SPAWN_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := Start(parent); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "child %d", &pid)
	}
	parent.Process.Kill()
	parent.Wait() // an error says that it was killed
	if pid == 0 {
		t.Fatal("the parent told of no child")
	}
	for deadline := time.Now().Add(10 * time.Second); lives(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("child %d lives on after its parent was killed", pid)
		}
	}
}

// lives says whether a process is there and has not ended: a zombie that nobody has waited for yet has.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
