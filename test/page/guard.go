package page

import (
	"net"
	"net/http"
	"strings"
)

// guard lets only those requests pass that were meant for this page.
//
// A host's name can be made to lead here by whoever owns the name, so that their
// page could read this one: only addresses, which nobody owns, and localhost are
// served. Only this page itself can post: a browser says where a form comes from.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		if net.ParseIP(host) == nil && host != "localhost" {
			http.Error(w, "This page has no name: open it by its address, or as localhost.", http.StatusMisdirectedRequest)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
			if origin != "http://"+r.Host || site != "" && site != "same-origin" {
				http.Error(w, "Only a form of this page itself can be sent here.", http.StatusForbidden)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
