package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// Windows has no permission bits.
const posix = runtime.GOOS != "windows"

// loader fills a config and keeps going after a problem, so that people see
// all of them at once.
type loader struct {
	c        *config
	problems []problem
	base     string            // folder that relative paths start from; empty: the working directory
	given    map[string]string // key → where it was given
	env      map[string]bool   // keys given by the environment
	readable bool              // others can read the file
}

// problem is one thing that is wrong, and where: file:line:column, or a variable.
type problem struct {
	Where string `json:"where"`
	Text  string `json:"text"`
}

// configError is everything that is wrong with the configuration.
type configError []problem

func (e configError) Error() string {
	var b strings.Builder
	noun := "problems"
	if len(e) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "the configuration has %d %s:", len(e), noun)
	for _, p := range e {
		b.WriteString("\n  " + p.Where + ": " + p.Text)
	}
	return b.String()
}

func (l *loader) problem(where, format string, args ...any) {
	l.problems = append(l.problems, problem{where, fmt.Sprintf(format, args...)})
}

// where a setting was given, or its name.
func (l *loader) where(key string) string {
	if w := l.given[key]; w != "" {
		return w
	}
	return key
}

// apply sets one value. What may be a secret is not repeated in the problem.
func (l *loader) apply(s setting, where, v string) {
	l.given[s.key] = where
	if err := s.set(l, v); err != nil {
		if s.secret || s.list || v == "" {
			l.problem(where, "%s %v", s.key, err)
			return
		}
		l.problem(where, "%s is %q; it %v", s.key, v, err)
	}
}

// readEnv takes SALLYPORT_… of the environment. An unknown name is a problem,
// as an ignored setting is a trap; an empty value counts as not given.
func (l *loader) readEnv(env []string) {
	l.env = map[string]bool{}
	for _, pair := range env {
		name, v, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || v == "" || foreign(name) {
			continue
		}
		l.readVariable(name, v)
	}
}

// readVariable knows keyring_file before keyring: SALLYPORT_KEYRING_FILE is the former.
func (l *loader) readVariable(name, v string) {
	for _, s := range settings {
		switch {
		case name == s.name():
		case s.secret && name == s.name()+"_FILE":
			b, err := os.ReadFile(v)
			if err != nil {
				l.problem(name, "names a file that cannot be read: %v", unwrapPath(err))
				return
			}
			v = strings.TrimSpace(string(b))
		default:
			continue
		}
		l.env[s.key] = true
		if !s.list {
			l.apply(s, name, v)
			return
		}
		s.clear(l.c)
		for item := range strings.SplitSeq(v, ",") {
			l.apply(s, name, strings.TrimSpace(item))
		}
		return
	}
	l.problem(name, "is no setting; %s", nearest(strings.ToLower(strings.TrimPrefix(name, envPrefix)), false))
}

// foreign variables begin like ours and are not: Kubernetes sets them for a
// service that is called sallyport; tests have their own.
func foreign(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "CONFIG" || rest == "PORT" || strings.HasPrefix(rest, "PORT_") ||
		strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "TEST_")
}

// nearest says which setting was probably meant.
func nearest(key string, file bool) string {
	best, at := "", 3
	for _, s := range settings {
		name := s.key
		if !file {
			name = strings.ReplaceAll(name, ".", "_")
		} else if s.hidden {
			continue
		}
		if d := distance(key, name); d < at {
			best, at = name, d
		}
	}
	if best == "" {
		return "`sallyport check-config --help` lists the settings"
	}
	if !file {
		best = envPrefix + strings.ToUpper(best)
	}
	return "did you mean " + best + "?"
}

// distance is the number of letters to change, add or drop (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// unwrapPath drops "open /path" from an error that is printed beside the path.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
