package reporter

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var proxyVariables = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"}

var proxyTargets = []string{
	"http://example.com/", "https://example.com/", "http://example.com:8080/", "http://www.example.com/", "http://www.Example.com/", "http://notexample.com/",
	"http://localhost/", "http://127.0.0.1/", "http://[::1]:80/", "http://10.1.2.3/", "https://10.1.2.3:8443/", "http://[2001:db8::1]/", "http://192.0.2.7/",
}

// proxies returns what f says of each target.
func proxies(f func(*http.Request) (*url.URL, error)) string {
	var lines []string
	for _, target := range proxyTargets {
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			panic(err)
		}
		proxy, err := f(r)
		lines = append(lines, fmt.Sprintf("%s: %v, error %v", target, proxy, err != nil))
	}
	return strings.Join(lines, "\n")
}

// For every environment, the proxy is the one that net/http uses. A process of its own asks
// net/http.
func TestProxyFromEnvironment(t *testing.T) {
	const proxy = "HTTP_PROXY=http://user:pass@proxy:3128"
	for _, env := range []string{
		"", proxy, "http_proxy=proxy:3128", "HTTP_PROXY= http_proxy=proxy", "HTTPS_PROXY=https://proxy", "https_proxy=socks5://proxy:1080", "HTTP_PROXY=%zz", "HTTP_PROXY=http://%zz", "HTTP_PROXY=:", "HTTP_PROXY=1:2:3",
		proxy + " NO_PROXY=*", proxy + " no_proxy=example.com", proxy + " NO_PROXY=.example.com", proxy + " NO_PROXY=*.example.com", proxy + " NO_PROXY=EXAMPLE.com:80",
		proxy + " NO_PROXY=example.com:8080", proxy + " NO_PROXY=com,,:80", proxy + " NO_PROXY=10.0.0.0/8,[2001:db8::1]:80", proxy + " NO_PROXY=10.1.2.3:81,2001:db8::1", proxy + " NO_PROXY=2001:db8::/32,192.0.2.7",
		proxy + " NO_PROXY=[2001:db8::1]", proxy + " NO_PROXY=10.1.2", proxy + " NO_PROXY=*.", proxy + " NO_PROXY=.", proxy + " NO_PROXY=*com", proxy + " NO_PROXY=1.2.3.4/99",
	} {
		for _, name := range proxyVariables {
			os.Unsetenv(name)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PRINT_PROXIES=1")
		for _, set := range strings.Fields(env) {
			name, value, _ := strings.Cut(set, "=")
			t.Setenv(name, value)
			cmd.Env = append(cmd.Env, set)
		}
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := proxies(proxyFromEnvironment); got != string(want) {
			t.Errorf("with %q\n%s\nnet/http\n%s", env, got, want)
		}
	}
}
