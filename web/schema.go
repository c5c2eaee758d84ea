package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/docs"
)

// field describes a schema. stack has the names of the schemas around it: a shape
// that holds itself is named, not drawn again.
func (b *referenceBuilder) field(name string, s *schema, stack []string) field {
	f := field{Name: name}
	if s.Ref != "" {
		if slices.Contains(stack, s.Ref) {
			f.Type = refName(s.Ref)
			return f
		}
		stack = append(slices.Clone(stack), s.Ref)
	}
	s = b.doc.schema(s)
	f.Type, f.Text, f.Deprecated = b.typeName(s), b.prose(s.Description), s.Deprecated
	f.Rules = b.rules(s)
	inner := s
	for len(inner.Type) > 0 && inner.Type[0] == "array" && inner.Items != nil {
		if inner.Items.Ref != "" {
			if slices.Contains(stack, inner.Items.Ref) {
				return f
			}
			stack = append(slices.Clone(stack), inner.Items.Ref)
		}
		inner = b.doc.schema(inner.Items)
		f.Rules = append(f.Rules, b.rules(inner)...)
		if f.Text == nil {
			f.Text = b.prose(inner.Description)
		}
	}
	b.members(&f, inner, stack)
	return f
}

func (b *referenceBuilder) members(f *field, s *schema, stack []string) {
	for _, name := range s.Required {
		if _, ok := s.Properties.find(name); !ok && len(s.AllOf) == 0 && len(s.Properties) > 0 {
			b.fail("%q is required, and not described", name)
		}
	}
	for _, p := range s.Properties {
		m := b.field(p.Name, p.Value, stack)
		m.Required = slices.Contains(s.Required, p.Name)
		f.Fields = append(f.Fields, m)
	}
	for _, part := range s.AllOf {
		whole := b.field("", part, stack)
		f.Fields = append(f.Fields, whole.Fields...)
	}
	for i := range f.Fields {
		f.Fields[i].Required = f.Fields[i].Required || slices.Contains(s.Required, f.Fields[i].Name)
	}
	for _, choice := range append(slices.Clone(s.OneOf), s.AnyOf...) {
		c := b.field("", choice, stack)
		if c.Name = choice.Title; choice.Ref != "" {
			c.Name = refName(choice.Ref)
		}
		f.Choices = append(f.Choices, c)
	}
	if len(s.AdditionalProperties) > 0 && s.AdditionalProperties[0] == '{' {
		var value schema
		if err := json.Unmarshal(s.AdditionalProperties, &value); err != nil {
			b.fail("additionalProperties: %w", err)
			return
		}
		f.Fields = append(f.Fields, b.field("any name", &value, stack))
	}
}

func (b *referenceBuilder) typeName(s *schema) string {
	var names []string
	for _, t := range s.Type {
		switch {
		case t == "array" && s.Items != nil && s.Items.Ref != "" && slices.Contains(b.doc.schema(s.Items).Type, "array"):
			t = "array of " + refName(s.Items.Ref) // which may hold itself
		case t == "array" && s.Items != nil:
			t = "array of " + b.typeName(b.doc.schema(s.Items))
		case t == "string" && s.Format != "":
			t = "string, " + s.Format
		}
		names = append(names, t)
	}
	switch {
	case len(names) > 0:
		return strings.Join(names, " or ")
	case len(s.OneOf)+len(s.AnyOf) > 0:
		return "one of several shapes"
	case s.Const != nil:
		return "constant"
	case len(s.Properties)+len(s.AllOf) > 0:
		return "object"
	}
	return "any"
}

// rules are what a value must keep to.
func (b *referenceBuilder) rules(s *schema) []docs.Span {
	var out []docs.Span
	add := func(before, code, after string) {
		if len(out) > 0 {
			out = append(out, docs.Span{Text: " "})
		}
		out = append(out, docs.Span{Text: before})
		if code != "" {
			out = append(out, docs.Span{Text: code, Code: true})
		}
		out = append(out, docs.Span{Text: after})
	}
	if s.Const != nil {
		add("Always ", strings.Trim(string(s.Const), `"`), ".")
	}
	for i, v := range s.Enum {
		switch i {
		case 0:
			add("One of ", fmt.Sprint(v), "")
		default:
			out = append(out, docs.Span{Text: ", "}, docs.Span{Text: fmt.Sprint(v), Code: true})
		}
	}
	if len(s.Enum) > 0 {
		out = append(out, docs.Span{Text: "."})
	}
	between := func(low, high *int, what string) {
		switch {
		case low != nil && high != nil && *low == *high:
			add(fmt.Sprintf("Exactly %d %s.", *low, what), "", "")
		case low != nil && high != nil:
			add(fmt.Sprintf("%d to %d %s.", *low, *high, what), "", "")
		case low != nil:
			add(fmt.Sprintf("At least %d %s.", *low, what), "", "")
		case high != nil:
			add(fmt.Sprintf("At most %d %s.", *high, what), "", "")
		}
	}
	between(s.MinLength, s.MaxLength, "characters")
	between(s.MinItems, s.MaxItems, "items")
	between(s.MinProperties, s.MaxProperties, "members")
	for _, n := range []struct {
		what  string
		value *json.Number
	}{{"At least ", s.Minimum}, {"At most ", s.Maximum}, {"More than ", s.ExclusiveMinimum}, {"Less than ", s.ExclusiveMaximum}} {
		if n.value != nil {
			add(n.what+n.value.String()+".", "", "")
		}
	}
	if s.UniqueItems {
		add("Each at most once.", "", "")
	}
	if s.Pattern != "" {
		add("Matches ", s.Pattern, ".")
	}
	if s.Default != nil {
		add("If left out: ", string(s.Default), ".")
	}
	return out
}
