package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync/atomic"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactshttp/apidocs"
)

type serveCommand struct {
	ledgerFlags
	Addr             string   `env:"CONTACTS_ADDR" default:"127.0.0.1:8080" help:"The address to listen on. Port 0 is a free one."`
	Prefix           string   `env:"CONTACTS_PREFIX" placeholder:"/api/v1" help:"The path of the API; / is the root. Default: /api/v1."`
	RateLimit        int      `env:"CONTACTS_RATE_LIMIT" default:"60" help:"How many requests one API key may make in a minute. 0: no limit."`
	TLSCert          string   `name:"tls-cert" env:"CONTACTS_TLS_CERT" and:"tls" placeholder:"FILE" help:"The certificate and its chain, for HTTPS."`
	TLSKey           string   `name:"tls-key" env:"CONTACTS_TLS_KEY" and:"tls" placeholder:"FILE" help:"The private key of the certificate."`
	Insecure         bool     `help:"Serve other machines without TLS, for a proxy in front that has it."`
	KeyInQuery       bool     `help:"Accept the API key in the query too. Queries appear in logs."`
	Docs             bool     `help:"Serve the reference page of the API at PREFIX/docs."`
	DefaultRegion    region   `placeholder:"US" help:"The region whose national phone numbers are accepted too."`
	ValidNumbersOnly bool     `help:"Refuse phone numbers that are in no assigned range."`
	Grace            duration `default:"10s" help:"How long requests under way may take once the server is told to stop."`
	Log              string   `enum:"json,text" default:"json" help:"The form of the log on standard error: json or text."`
}

// Run serves until ctx is done.
func (c *serveCommand) Run(ctx context.Context, s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	log := c.logger(s)
	return untilSignal(ctx, s.withNewStore(ctx, func(store contacts.Store) error {
		svc, err := c.service(store, secrets, log)
		if err != nil {
			return err
		}
		if err := svc.CheckDoNotCall(ctx); err != nil {
			return err
		}
		if err := welcome(ctx, store, log); err != nil {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
		if err != nil {
			return err
		}
		return c.serve(ctx, listener, store, svc, log)
	}))
}

// service returns the Service, whose log names the request of each line.
func (c *serveCommand) service(store contacts.Store, secrets [][]byte, log *slog.Logger) (*contacts.Service, error) {
	return contacts.New(store, &contacts.Options{
		DefaultRegion: string(c.DefaultRegion), ValidNumbersOnly: c.ValidNumbersOnly, DoNotCallSecrets: secrets,
		Logger: slog.New(requestHandler{log.Handler()}),
	})
}

// A requestHandler adds the id of the request, by which the line of the API is found.
type requestHandler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := contactshttp.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// check refuses to send API keys and contacts over a network in the clear.
func (c *serveCommand) check() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return usage("--addr is %q: give HOST:PORT, such as 127.0.0.1:8080", c.Addr)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && c.TLSCert == "" && !c.Insecure {
		return usage("other machines can reach %s: give --tls-cert and --tls-key, or --insecure if a proxy in front has TLS", c.Addr)
	}
	return nil
}

func (c *serveCommand) logger(s *session) *slog.Logger {
	opts := new(slog.HandlerOptions)
	if s.Quiet {
		opts.Level = slog.LevelError
	}
	if c.Log == "text" {
		return slog.New(slog.NewTextHandler(s.errors, opts))
	}
	return slog.New(slog.NewJSONHandler(s.errors, opts))
}

// welcome says what to do with a store that nobody can use yet.
func welcome(ctx context.Context, store contacts.Store, log *slog.Logger) error {
	for _, err := range contacts.NewAdmin(store, nil).Accounts(ctx) {
		return err
	}
	log.Warn("the store has no account yet, so no API key is valid",
		"create_account", "contacts accounts create NAME",
		"issue_key", "contacts keys issue --name NAME --can can_read_contacts,can_write_contacts --all-teams")
	return nil
}

// serve serves until ctx is done. Then it takes no new requests, and gives those
// under way the time of --grace.
func (c *serveCommand) serve(ctx context.Context, listener net.Listener, store contacts.Store, svc *contacts.Service, log *slog.Logger) error {
	var stopping atomic.Bool
	server := newServer(c.handler(store, svc, &stopping, log), log)
	if c.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	api := c.url(listener.Addr())
	log.Info("listening", "url", api.String())
	if c.Docs {
		log.Info("the reference page", "url", api.JoinPath("docs").String())
	}
	served := make(chan error, 1)
	go func() {
		if c.TLSCert == "" {
			served <- server.Serve(listener)
		} else {
			served <- server.ServeTLS(listener, "", "")
		}
	}()
	select {
	case err := <-served:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	stopping.Store(true)
	log.Info("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(c.Grace))
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		log.Warn("requests under way took longer than --grace and were cut off")
		return server.Close()
	}
	log.Info("stopped")
	return nil
}

// newServer returns a server with bounds for what a slow or hostile client can use.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute, // a batch may have 16 MiB
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// prefix is the path of the API: a slash and more, or a slash alone.
func (c *serveCommand) prefix() string { return path.Clean("/" + cmp.Or(c.Prefix, "/api/v1")) }

// url is where the API is, as seen from this machine.
func (c *serveCommand) url(address net.Addr) *url.URL {
	api := &url.URL{Scheme: "http", Host: address.String(), Path: c.prefix()}
	if c.TLSCert != "" {
		api.Scheme = "https"
	}
	if a, ok := address.(*net.TCPAddr); ok && a.IP.IsUnspecified() {
		_, port, _ := net.SplitHostPort(api.Host) // a TCPAddr has this form
		api.Host = net.JoinHostPort("localhost", port)
	}
	return api
}

// handler returns the API, and what tells whether it is served.
func (c *serveCommand) handler(store contacts.Store, svc *contacts.Service, stopping *atomic.Bool, log *slog.Logger) http.Handler {
	opts := &contactshttp.Options{Prefix: c.prefix(), KeyInQuery: c.KeyInQuery, RateLimit: c.RateLimit, Logger: log}
	if c.Docs {
		opts.Docs = apidocs.Handler(nil)
	}
	api := contactshttp.NewHandler(svc, opts)
	ready := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		_, err := store.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1})
		switch {
		case stopping.Load():
			http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
		case err != nil:
			log.Error("the store does not answer", "cause", secretFree(err.Error()))
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte("ok\n")) // it fails only if the client is gone
		}
	}
	// A ServeMux would redirect a path that is not clean to a Location with the key of its query.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /healthz", "HEAD /healthz":
			_, _ = w.Write([]byte("ok\n")) // as in ready
		case "GET /readyz", "HEAD /readyz":
			ready(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}
