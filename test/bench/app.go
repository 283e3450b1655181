package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The modules of all generated apps, those of the gin framework and of
// github.com/heroku/x. What an app does not import does not cost it anything.
var (
	//go:embed testdata/app.mod
	appMod []byte
	//go:embed testdata/app.sum
	appSum []byte
)

// An app is a generated program, the same files each time.
type app struct {
	name  string
	dir   string
	main  string // the name of its first binary
	files map[string]string
}

// A shape says what app to generate.
type shape struct {
	name     string
	packages int    // besides the standard library, main packages not counted
	framed   bool   // whether it serves with gin, which is 49 of these packages
	mains    int    // programs that serve the same, 0 for the worker
	imports  string // a package to import for its effects, if not empty
	client   bool   // whether the worker has a use for net/http
	probe    bool   // whether it serves what the runtime counts
}

// framework is how many packages github.com/gin-gonic/gin consists of.
const framework = 49

var (
	webApp    = shape{name: "web", packages: framework + 1, framed: true, mains: 1}
	workerApp = shape{name: "worker"}
	probeApp  = shape{name: "probe", packages: 1, mains: 1, probe: true}
)

// byHand is the shape of an app that imports heroku/x/hmetrics.
func (s shape) byHand() shape {
	s.name, s.imports = s.name+"-library", "github.com/heroku/x/hmetrics/onload"
	return s
}

func (s shape) withClient() shape {
	s.name, s.client = s.name+"-client", true
	return s
}

// generate writes an app.
func (l *lab) generate(s shape) (app, error) {
	a := app{name: s.name, dir: filepath.Join(l.tmp, "apps", s.name), files: map[string]string{
		"go.mod": string(appMod),
		"go.sum": string(appSum),
	}}
	if s.mains == 0 {
		a.main = "worker"
		a.files["cmd/worker/main.go"] = workerSource
		if s.client {
			a.files["cmd/worker/client.go"] = clientSource
		}
		if s.imports != "" {
			a.files["cmd/worker/imports.go"] = "package main\n\nimport _ \"" + s.imports + "\"\n"
		}
		return a, a.write()
	}

	own := s.packages
	serve := serveSource
	if s.framed {
		own -= framework
		serve = framedSource
	}
	if own < 1 {
		return a, fmt.Errorf("generating %s: %d packages are not enough", s.name, s.packages)
	}
	for i := 0; i < own; i++ {
		a.files[fmt.Sprintf("internal/p%03d/p%03d.go", i, i)] = packageSource(i, own)
	}
	for i := 1; i <= s.mains; i++ {
		name := fmt.Sprintf("web%02d", i)
		if i == 1 {
			a.main = name
		}
		a.files["cmd/"+name+"/main.go"] = strings.ReplaceAll(serve, "NAME", name)
		if s.imports != "" {
			a.files["cmd/"+name+"/imports.go"] = "package main\n\nimport _ \"" + s.imports + "\"\n"
		}
		if s.probe {
			a.files["cmd/"+name+"/probe.go"] = probeSource
		}
	}
	return a, a.write()
}

func (a app) write() error {
	for name, content := range a.files {
		file := filepath.Join(a.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// edit changes one constant in the first main package. Each n makes another
// program of it.
func (a app) edit(n int) error {
	file := "cmd/" + a.main + "/main.go"
	text := strings.Replace(a.files[file], `const edition = "0"`, fmt.Sprintf(`const edition = "%d"`, n), 1)
	if text == a.files[file] {
		return fmt.Errorf("editing %s: it has no edition", file)
	}
	return os.WriteFile(filepath.Join(a.dir, file), []byte(text), 0o666)
}

// count returns of how many packages the app consists, the standard library
// included.
func (l *lab) count(ctx context.Context, a app) (int, error) {
	out, err := l.output(ctx, a.dir, l.environ, l.gocmd(), "list", "-deps", "-tags", "heroku", "./...")
	return strings.Count(out, "\n"), err
}

// A program that does its work without a network. It ends at once if told so,
// to measure its start.
const workerSource = `// Command worker sorts the words of its input by how often they occur.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

const edition = "0"

type count struct {
	Word  string
	Times int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		return
	}
	start := time.Now()
	times := map[string]int{}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		for _, word := range strings.Fields(in.Text()) {
			times[strings.ToLower(word)]++
		}
	}
	var counts []count
	for word, n := range times {
		counts = append(counts, count{word, n})
	}
	sort.Slice(counts, func(i, j int) bool { return counts[i].Times > counts[j].Times })
	if err := json.NewEncoder(os.Stdout).Encode(counts); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Fprintln(os.Stderr, edition, time.Since(start))
}
`

// What makes it one with a client.
const clientSource = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func init() {
	url := os.Getenv("WORDS_URL")
	if url == "" {
		return
	}
	resp, err := http.Post(url, "text/plain", os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	io.Copy(os.Stdout, resp.Body)
	resp.Body.Close()
}
`

// A program that serves with net/http.
const serveSource = `// Command NAME serves.
package main

import (
	"log"
	"net/http"
	"os"

	"example.com/app/internal/p000"
)

const edition = "0"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		return
	}
	mux := http.NewServeMux()
	p000.Register(mux)
	mux.Handle("/debug/", http.DefaultServeMux)
	log.Println("NAME", edition, "listens on port", os.Getenv("PORT"))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), mux))
}
`

// What makes it tell how often the world was stopped, not for the collector, and
// how many objects were allocated. To tell the latter exactly stops the world.
const probeSource = `package main

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
)

func init() {
	http.HandleFunc("/debug/stops", func(w http.ResponseWriter, r *http.Request) {
		read := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
		metrics.Read(read)
		stops := uint64(0)
		for _, n := range read[0].Value.Float64Histogram().Counts {
			stops += n
		}
		fmt.Fprintln(w, stops)
	})
	http.HandleFunc("/debug/objects", func(w http.ResponseWriter, r *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintln(w, m.Mallocs)
	})
}
`

// A program that serves with a framework.
const framedSource = `// Command NAME serves.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"example.com/app/internal/p000"
)

const edition = "0"

type order struct {
	ID    int      ` + "`json:\"id\" binding:\"required\"`" + `
	Items []string ` + "`json:\"items\"`" + `
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		return
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.GET("/orders", func(c *gin.Context) { c.JSON(http.StatusOK, orders(50)) })
	r.POST("/orders", func(c *gin.Context) {
		var o order
		if err := c.ShouldBindJSON(&o); err != nil {
			c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		c.JSON(http.StatusCreated, o)
	})
	mux := http.NewServeMux()
	p000.Register(mux)
	r.NoRoute(gin.WrapH(mux))
	log.Println("NAME", edition, "listens on port", os.Getenv("PORT"))
	log.Fatal(r.Run("127.0.0.1:" + os.Getenv("PORT")))
}

func orders(n int) []order {
	list := make([]order, n)
	for i := range list {
		list[i] = order{ID: i + 1, Items: []string{"tea", "coffee", fmt.Sprint("cake ", i)}}
	}
	return list
}
`

// packageSource returns package i of own: a store of records with handlers, and
// the two packages below it in a binary tree, as apps are layered.
func packageSource(i, own int) string {
	imports, register := "", ""
	for _, child := range []int{2*i + 1, 2*i + 2} {
		if child < own {
			imports += fmt.Sprintf("\t\"example.com/app/internal/p%03d\"\n", child)
			register += fmt.Sprintf("\tp%03d.Register(mux)\n", child)
		}
	}
	if imports != "" {
		imports = "\n" + imports
	}
	return strings.NewReplacer("IMPORTS", imports, "REGISTER", register, "NNN", fmt.Sprintf("%03d", i)).Replace(storeSource)
}

const storeSource = `// Package pNNN keeps records of kind NNN.
package pNNN

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
IMPORTS)

// ErrMissing is returned for an ID that no record has.
var ErrMissing = errors.New("kind NNN: no such record")

// A Record is one entry.
type Record struct {
	ID      int               ` + "`json:\"id\"`" + `
	Title   string            ` + "`json:\"title\"`" + `
	Tags    []string          ` + "`json:\"tags,omitempty\"`" + `
	Fields  map[string]string ` + "`json:\"fields,omitempty\"`" + `
	Changed time.Time         ` + "`json:\"changed\"`" + `
}

// A Store keeps records in memory. The zero value is empty.
type Store struct {
	mu      sync.RWMutex
	records map[int]Record
	next    int
}

// Put keeps a record, a new one if its ID is 0.
func (s *Store) Put(r Record) (Record, error) {
	if strings.TrimSpace(r.Title) == "" {
		return r, fmt.Errorf("kind NNN: record %d has no title", r.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = make(map[int]Record)
	}
	if r.ID == 0 {
		s.next++
		r.ID = s.next
	} else if _, ok := s.records[r.ID]; !ok {
		return r, ErrMissing
	}
	r.Changed = time.Now()
	s.records[r.ID] = r
	return r, nil
}

// Get returns a record.
func (s *Store) Get(id int) (Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.records[id]
	if !ok {
		return Record{}, ErrMissing
	}
	return r, nil
}

// Tagged returns the records that have the tag, the newest first.
func (s *Store) Tagged(tag string) []Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []Record
	for _, r := range s.records {
		for _, t := range r.Tags {
			if strings.EqualFold(t, tag) {
				found = append(found, r)
				break
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Changed.After(found[j].Changed) })
	return found
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		if tag := r.URL.Query().Get("tag"); tag != "" {
			answer(w, s.Tagged(tag), nil)
			return
		}
		id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/kNNN/"))
		if err != nil {
			http.Error(w, "kind NNN: an ID is a number", http.StatusBadRequest)
			return
		}
		record, err := s.Get(id)
		answer(w, record, err)
	case http.MethodPost, http.MethodPut:
		var record Record
		if err := json.NewDecoder(r.Body).Decode(&record); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		record, err := s.Put(record)
		answer(w, record, err)
	default:
		http.Error(w, "kind NNN: "+r.Method+" does not work", http.StatusMethodNotAllowed)
	}
}

func answer(w http.ResponseWriter, v interface{}, err error) {
	switch {
	case errors.Is(err, ErrMissing):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Register serves the records of this kind, and of those below it.
func Register(mux *http.ServeMux) {
	mux.HandleFunc("/kNNN/", new(Store).serve)
REGISTER}
`
