package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/client"
)

// standIn answers as a Sallyport would, so that the examples run by themselves.
func standIn(answers map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body, _ := strings.Cut(answers[r.Method+" "+r.URL.RequestURI()], " ")
		w.Header().Set("Content-Type", "application/json")
		var code int
		fmt.Sscan(status, &code)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
}

// A sign-in with an authenticator app, on pages of one's own.
func Example() {
	server := standIn(map[string]string{
		"POST /api/v1/attempts":              `201 {"id": "att_1", "token": "sp_att_1", "state": "need_factor", "methods": [{"method": "totp", "name": "Maya's phone", "preferred": true}]}`,
		"POST /api/v1/attempts/att_1/verify": `200 {"id": "att_1", "state": "complete", "session": {"id": "ses_1", "token": "sp_ses_1", "acr": "aal2"}}`,
		"GET /api/v1/session":                `200 {"id": "ses_1", "acr": "aal2", "user": {"id": "usr_1", "login": "maya", "name": "Maya"}, "company": {"id": "cmp_1"}}`,
	})
	defer server.Close()
	ctx := context.Background()

	c, err := client.New(client.Config{BaseURL: server.URL}) // https://login.example.com
	if err != nil {
		log.Fatal(err)
	}
	attempt, err := c.Begin(ctx, client.SignIn{Login: "maya", Password: client.NewSecret("as typed")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(attempt.State, attempt.Methods[0].Name, attempt.Token)

	attempt, err = c.Verify(ctx, attempt, client.Answer{Method: client.TOTP, Code: client.NewSecret("123 456")})
	if err != nil {
		log.Fatal(err)
	}
	session, err := c.As(attempt.Session.Token).Session(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(attempt.State, session.User.Name, session.ACR)
	// Output:
	// need_factor Maya's phone [secret]
	// complete Maya aal2
}

// What to tell the person after a refusal.
func ExampleError() {
	server := standIn(map[string]string{
		"POST /api/v1/attempts/att_1/verify": `422 {"code": "wrong_code", "status": 422, "detail": "That code is not right.", "attempts_left": 2, "request_id": "req1"}`,
	})
	defer server.Close()
	c, err := client.New(client.Config{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	kept := &client.Attempt{ID: "att_1", Token: client.NewSecret("sp_att_1")} // from the request before
	_, err = c.Verify(context.Background(), kept, client.Answer{Method: client.TOTP, Code: client.NewSecret("000000")})
	var refused *client.Error
	switch {
	case err == nil:
	case errors.Is(err, client.WrongCode) && errors.As(err, &refused) && refused.HasLeft:
		fmt.Println(refused.Detail, refused.AttemptsLeft, "left.")
	case errors.Is(err, client.Paused) && errors.As(err, &refused):
		fmt.Println(refused.Detail, "Wait for", refused.RetryAfter)
	case errors.Is(err, client.Expired):
		fmt.Println("Sign in again.")
	default:
		fmt.Println("Try again in a minute.")
	}
	fmt.Println(err) // for the log: no code, no token
	// Output:
	// That code is not right. 2 left.
	// client: POST /api/v1/attempts/att_1/verify: HTTP 422 wrong_code (request req1)
}

// The people who should set up a way to verify and have not. Pages are fetched as the
// loop goes on.
func ExampleClient_Users() {
	server := standIn(map[string]string{
		"GET /api/v1/users?limit=200&set_up=due":           `200 {"items": [{"id": "usr_1", "login": "lena"}, {"id": "usr_2", "login": "omar"}], "next_cursor": "c1", "count": 3}`,
		"GET /api/v1/users?cursor=c1&limit=200&set_up=due": `200 {"items": [{"id": "usr_3", "login": "nadia"}], "count": 3}`,
	})
	defer server.Close()
	c, err := client.New(client.Config{BaseURL: server.URL, Token: client.NewSecret("sp_key_0"), Retries: 5, MaxWait: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for user, err := range c.Users(context.Background(), client.UserFilter{SetUp: "due"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.Login)
	}
	// Output:
	// lena
	// omar
	// nadia
}

// An application acts only if the person confirmed this very request.
func ExampleClient_Redeem() {
	server := standIn(map[string]string{
		"POST /api/v1/grants/redeem": `200 {"id": "grt_1", "action": "billing.change", "request_hash": "Q0lgiVoa5J_sl3nEO6-xBKc6nv4wa44eEsmo7f_y9CU", "user": {"id": "usr_1", "name": "Maya"}, "acr": "aal2"}`,
	})
	defer server.Close()
	c, err := client.New(client.Config{BaseURL: server.URL, Token: client.NewSecret("sp_key_0")})
	if err != nil {
		log.Fatal(err)
	}
	billing := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
		if err != nil {
			http.Error(w, "too long", http.StatusRequestEntityTooLarge)
			return
		}
		who, err := c.Redeem(r.Context(), client.Redemption{
			Token: client.NewSecret(r.Header.Get("Sallyport-Grant")), Action: "billing.change", MaxAge: 120, ACR: "aal2",
			RequestHash: client.RequestHash([]byte(r.Method + "\n" + r.URL.Path + "\n" + string(body))),
			User:        "usr_1", // who is signed in to the application
		})
		if err != nil { // whatever it is
			http.Error(w, "confirm that it is you", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "changed by", who.User.Name)
	}
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/billing", strings.NewReader(`{"card": "42"}`))
	request.Header.Set("Sallyport-Grant", "sp_grt_1")
	billing(answer, request)
	fmt.Print(answer.Body)
	// Output: changed by Maya
}

// A route that has no method: here the roles of the company.
func ExampleClient_Do() {
	server := standIn(map[string]string{"GET /api/v1/roles": `200 {"items": [{"name": "owner", "title": "Owner"}, {"name": "deploy", "title": "Deployments"}]}`})
	defer server.Close()
	c, err := client.New(client.Config{BaseURL: server.URL, Account: "build-bot", Token: client.NewSecret("wind over the northern pier")})
	if err != nil {
		log.Fatal(err)
	}
	var roles struct {
		Items []struct{ Name, Title string }
	}
	if err := c.Do(context.Background(), http.MethodGet, "/api/v1/roles", nil, &roles); err != nil {
		log.Fatal(err)
	}
	fmt.Println(roles.Items)
	// Output: [{owner Owner} {deploy Deployments}]
}
