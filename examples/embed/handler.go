package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

func newHandler(svc *contacts.Service, log *slog.Logger) http.Handler {
	s := &server{svc: svc, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /people", s.create)
	mux.HandleFunc("GET /people/{id}", s.get)
	return mux
}

type server struct {
	svc *contacts.Service
	log *slog.Logger
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	c, err := s.svc.CreateContactJSON(r.Context(), apiKey(r), r.Body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/people/"+c.ID.String())
	s.answer(w, r, http.StatusCreated, c)
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	id, _ := uuid.Parse(r.PathValue("id")) // the zero id if it does not parse; no contact has it
	c, err := s.svc.GetContact(r.Context(), apiKey(r), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, c)
}

// apiKey returns the key of the request; "": it has none.
func apiKey(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.Header.Get("X-API-Key")
}

// fail sends the error as the documented body. It is safe to send: the Service has
// logged the cause of a server error, and the body does not contain it.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok {
		e = &contacts.Error{Code: contacts.CodeServerError, Message: "an unexpected server error"}
	}
	status := e.Code.HTTPStatus()
	if errors.Is(err, contacts.ErrBodyTooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.answer(w, r, status, e)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.InfoContext(r.Context(), "writing the answer failed", "cause", err)
	}
}
