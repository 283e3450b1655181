package page

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Open shows url in the user's browser.
func Open(url string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	cmd := exec.Command(name, url)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("opening a browser: %w; open %s yourself", err, url)
	}
	go cmd.Wait()
	return nil
}
