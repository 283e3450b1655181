package reporter

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// proxyFromEnvironment does what http.ProxyFromEnvironment does, except for CGI programs
// and host names that are not ASCII. The standard function reads the environment once per
// process, so variables that an app sets after the agent's first report would have no
// effect. This one reads it for each request.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	env := func(name string) string {
		if value := os.Getenv(name); value != "" {
			return value
		}
		return os.Getenv(strings.ToLower(name))
	}
	value := env(strings.ToUpper(r.URL.Scheme) + "_PROXY")
	if value == "" || direct(r.URL, env("NO_PROXY")) {
		return nil, nil
	}
	proxy, err := url.Parse(value)
	if err != nil || proxy.Scheme == "" || proxy.Host == "" {
		proxy, _ = url.Parse("http://" + value) // nil if it cannot be
	}
	return proxy, nil
}

// direct reports whether u is reached without a proxy: because it is on this machine, or
// because noProxy has it, a list of addresses, networks and domains.
func direct(u *url.URL, noProxy string) bool {
	host, port := strings.ToLower(u.Hostname()), portOf(u)
	ip := net.ParseIP(host)
	if host == "localhost" || ip.IsLoopback() {
		return true
	}
	for _, entry := range strings.Split(strings.ToLower(noProxy), ",") {
		entry = strings.TrimSpace(entry)
		if _, network, err := net.ParseCIDR(entry); err == nil && network.Contains(ip) {
			return true
		}
		name, only, err := net.SplitHostPort(entry)
		if err != nil {
			name, only = entry, ""
		}
		if strings.HasPrefix(name, "*.") {
			name = name[1:]
		}
		named := host == name || strings.HasSuffix(host, "."+strings.TrimPrefix(name, "."))
		if ip != nil {
			named = ip.Equal(net.ParseIP(name))
		}
		if entry == "*" || named && name != "" && (only == "" || only == port) {
			return true
		}
	}
	return false
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
