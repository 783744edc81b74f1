// SPDX-License-Identifier: GPL-3.0-or-later

package filters

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"migration.assistant/engine/internal/wire"
)

// List holds the rules of a job. A nil List leaves nothing out.
type List struct {
	hiding     []rule
	protecting []rule
	encoded    string // as JSON
}

type rule struct {
	decides         bool
	directoriesOnly bool
	expression      *regexp.Regexp
}

// Read reads the rules from a job's parameters; problems are reported to the object.
func Read(parameters *wire.Object, name string) *List {
	list := &List{encoded: string(parameters.Raw(name))}
	for _, object := range parameters.Objects(name) {
		object.Required("action")
		object.Required("regex")
		action := object.Choice("action", "exclude", "include", "hide", "show", "protect", "risk")
		directoriesOnly := object.Bool("directories_only", false)
		object.Path("rule", "")
		// (?:…) keeps an alternation within the anchors.
		expression, err := regexp.Compile(`\A(?:` + visible(string(object.Path("regex", ""))) + `)\z`)
		if err != nil {
			object.Report("regex", "is no regular expression: %w", err)
			continue
		}
		if action != "protect" && action != "risk" {
			list.hiding = append(list.hiding, rule{action == "exclude" || action == "hide", directoriesOnly, expression})
		}
		if action != "hide" && action != "show" {
			list.protecting = append(list.protecting, rule{action == "exclude" || action == "protect", directoriesOnly, expression})
		}
	}
	if len(list.hiding)+len(list.protecting) == 0 {
		return nil
	}
	return list
}

// Encoded gives the rules as JSON, "" for none.
func (l *List) Encoded() string {
	if l == nil {
		return ""
	}
	return l.encoded
}

// Decode reads what Encoded gave.
func Decode(encoded string) (*List, error) {
	if encoded == "" {
		return nil, nil
	}
	object, err := wire.DecodeObject("filters", []byte(`{"rules": `+encoded+`}`))
	if err != nil {
		return nil, err
	}
	list := Read(object, "rules")
	return list, object.Err()
}

// Hides tells whether the source's entry at the path, relative to the root, is not transferred.
func (l *List) Hides(path string, directory bool) bool {
	return l != nil && firstMatch(l.hiding, path, directory)
}

// Protects tells whether the destination's entry at the path is not deleted.
func (l *List) Protects(path string, directory bool) bool {
	return l != nil && firstMatch(l.protecting, path, directory)
}

func firstMatch(rules []rule, path string, directory bool) bool {
	if len(rules) == 0 {
		return false
	}
	path = visible(path)
	for _, rule := range rules {
		if (directory || !rule.directoriesOnly) && rule.expression.MatchString(path) {
			return rule.decides
		}
	}
	return false
}

// visible maps bytes that are not part of valid UTF-8 to characters for private use, one each, since regular
// expressions see all of them as the same character otherwise.
func visible(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var mapped strings.Builder
	for len(text) > 0 {
		r, width := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && width == 1 {
			r = 0x10ff00 + rune(text[0])
		}
		mapped.WriteRune(r)
		text = text[width:]
	}
	return mapped.String()
}
