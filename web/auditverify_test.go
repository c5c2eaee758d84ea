package web_test

import (
	"database/sql"
	"regexp"
	"strings"
	"testing"
)

var aHead = regexp.MustCompile(`^[0-9]+:[0-9a-f]{64}$`)

// rul-40: the page checks the chain as the command does, and says what is whole, what
// nothing protects yet, and the head; a part that was checked is gone on after.
func TestAuditVerifyPage_S34_rul40(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s)
	b.signIn(priya)
	if _, err := s.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.AddUser(t, s.Company, "maya", false) // is not in the chain yet
	b.get(auditPage).want(200, auditPage)
	b.submit("#verify").want(200, auditPage)
	says := b.doc.one(t, "#verdict").words()
	head := b.doc.one(t, "#head-is").words()
	if !strings.Contains(says, "whole") || !aHead.MatchString(head) || !strings.Contains(b.doc.one(t, "section[aria-labelledby=chain]").words(), "1 event is not in the chain yet") {
		t.Errorf("%s; %s: %s", says, head, b.doc.words())
	}
	// Going on after a part, with a value from outside; and what is no such value.
	b.submit("#verify", "head", "x").want(422, auditPage)
	b.doc.one(t, "#head-err")
	b.submit("#verify", "head", head).want(200, auditPage)
	if !strings.Contains(b.doc.one(t, "#verdict").words(), "whole") {
		t.Error(b.doc.words())
	}
	number, hash, _ := strings.Cut(head, ":")
	b.submit("#verify", "head", "9"+number+":"+hash).want(200, auditPage)
	if !strings.Contains(b.doc.one(t, "#verdict").words(), "were taken away") {
		t.Error(b.doc.words())
	}
	// An event that was changed in the database.
	db, err := sql.Open("sqlite", s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE events SET type = 'user.tidied' WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	b.get(auditPage).want(200, auditPage)
	b.submit("#verify").want(200, auditPage)
	if got := b.doc.one(t, "#verdict").words(); !strings.Contains(got, "Event number 2 was changed") {
		t.Error(got)
	}
	if list := b.get(auditPage + "?type=audit.verified").doc.all(".events tbody tr"); len(list) != 4 {
		t.Errorf("%d checks are in the log", len(list))
	}
}

// A name finds its person; several are chosen from, and nobody of another company.
func TestAuditFindsByName_S34(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.signIn(priya)
	s.AddUser(t, s.AddCompany(t, "other", "Other"), "zoe", false)
	b.get(auditPage).filter("by", "Priya N").want(200, auditPage)
	if len(b.doc.all(".events tbody tr")) == 0 {
		t.Errorf("one hit is not taken: %s", b.doc.words())
	}
	b.get(auditPage).filter("person", "test", "result", "success").want(200, auditPage)
	links := b.doc.all("section[aria-labelledby=choose-person] a")
	if len(links) != 2 || len(b.doc.all(".events")) != 0 || strings.Contains(b.doc.words(), "zoe") {
		t.Fatalf("%d people: %s", len(links), b.doc.words())
	}
	for _, l := range links {
		if strings.Contains(l.words(), "maya") {
			b.get(l.attrs["href"]).want(200, auditPage)
		}
	}
	if v := b.doc.one(t, "#person").attrs["value"]; v != maya.ID || len(b.doc.all(".events tbody tr")) != 1 {
		t.Errorf("%s: %s", v, b.doc.words())
	}
	b.get(auditPage).filter("person", "Zoe").want(422, auditPage)
}
