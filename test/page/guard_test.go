package page

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Only this page can press its buttons, and nobody can lead a name of theirs here.
func TestGuard(t *testing.T) {
	s, p := start(t, "web")
	origin := strings.TrimSuffix(p.URL(), "/")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(origin, "http://"))
	press := func(host, fault string, header ...string) int {
		t.Helper()
		req, err := http.NewRequest("POST", p.URL()+"fault", strings.NewReader(url.Values{"fault": {fault}, "span": {"all"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for name, status := range map[string]int{
		"no origin":         press("", "503"),
		"another origin":    press("", "503", "Origin", "http://evil.example"),
		"another port":      press("", "503", "Origin", "http://127.0.0.1:1"),
		"opaque origin":     press("", "503", "Origin", "null"),
		"https":             press("", "503", "Origin", "https"+strings.TrimPrefix(origin, "http")),
		"cross-site":        press("", "503", "Origin", origin, "Sec-Fetch-Site", "cross-site"),
		"same-site":         press("", "503", "Origin", origin, "Sec-Fetch-Site", "same-site"),
		"a rebound name":    press("evil.example:"+port, "503", "Origin", "http://evil.example:"+port, "Sec-Fetch-Site", "same-origin"),
		"localhost as part": press("localhost.evil.example", "503", "Origin", "http://localhost.evil.example"),
	} {
		if status != http.StatusForbidden && status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status := press("", "500", "Origin", origin); status != http.StatusBadRequest {
		t.Errorf("a fault that there is not: %d", status)
	}
	if status, _ := report(t, s.URL("web"), good); status != 200 {
		t.Fatalf("somebody has switched a fault on: %d", status)
	}
	for host, name := range map[string]string{"": origin, "localhost:" + port: "http://localhost:" + port, "[::1]:" + port: "http://[::1]:" + port} {
		if status := press(host, "503", "Origin", name, "Sec-Fetch-Site", "same-origin"); status != http.StatusSeeOther {
			t.Errorf("as %s: %d", name, status)
		}
	}
	if status, _ := report(t, s.URL("web"), good); status != 503 {
		t.Errorf("the fault is on, and the endpoint answers %d", status)
	}
	press("", "none", "Origin", origin)
	if status, _ := report(t, s.URL("web"), good); status != 200 {
		t.Errorf("the fault is off, and the endpoint answers %d", status)
	}
	req, _ := http.NewRequest("GET", p.URL(), nil)
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a name that leads here reads the page: %d", resp.StatusCode)
	}
}
