package main

import (
	"fmt"
	"strings"
)

// reference explains every setting; it is in the written file and in --help.
func reference(indent string) string {
	var b strings.Builder
	for _, s := range settings {
		if s.hidden {
			continue
		}
		b.WriteString(indent + s.key + "\n")
		if s.doc != "" {
			b.WriteString(wrap(indent+"    ", s.doc))
		}
		env := s.name()
		if s.secret {
			env += ", " + s.name() + "_FILE"
		}
		b.WriteString(indent + "    environment: " + env + "\n")
	}
	return b.String()
}

// writeConfig is the text of a new configuration file. Values given are
// written; all other settings stand in it as comments with their defaults.
func writeConfig(values map[string]string) string {
	var b strings.Builder
	b.WriteString("# Configuration of Sallyport. Unknown keys are errors; `sallyport check-config` says what is wrong.\n" +
		"# Each key can be given in the environment instead, as SALLYPORT_ and its name in capitals (tls.key:\n" +
		"# SALLYPORT_TLS_KEY). Paths are relative to this file.\n")
	section := ""
	for _, s := range settings {
		if s.hidden {
			continue
		}
		if s.doc != "" {
			b.WriteString("\n" + wrap("# ", s.doc))
		}
		mark, value := "# ", s.value
		if v := values[s.key]; v != "" {
			mark, value = "", v
		}
		head, name, nested := strings.Cut(s.key, ".")
		if !nested {
			fmt.Fprintf(&b, "%s%s: %s\n", mark, s.key, value)
			continue
		}
		if head != section {
			fmt.Fprintf(&b, "%s%s:\n", mark, head)
		}
		section = head
		fmt.Fprintf(&b, "%s  %s: %s\n", mark, name, value)
	}
	return b.String()
}

// wrap breaks a text into lines of about 100 characters.
func wrap(indent, s string) string {
	var b strings.Builder
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > 96 {
			b.WriteString(indent + line + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return b.String() + indent + line + "\n"
}
