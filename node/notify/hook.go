package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// sender delivers one message, once. An error says that it may not have arrived.
type sender interface {
	send(ctx context.Context, m Message) error
	close()
}

// attempt is why an attempt failed, where more is known than that it did.
type attempt struct {
	err     error
	refused bool          // the receiver blames the message itself
	after   time.Duration // it asked not to be tried sooner
}

func (a *attempt) Error() string { return a.err.Error() }
func (a *attempt) Unwrap() error { return a.err }

// hook is a web hook.
type hook struct {
	url     *url.URL
	secrets [][]byte
	client  *http.Client
	now     func() time.Time
	time    time.Duration // that it may take
}

func newHook(t Target, log *slog.Logger, now func() time.Time) (*hook, error) {
	u, err := parseHook(t.URL)
	if err != nil {
		return nil, err
	}
	if len(t.Secrets) == 0 {
		return nil, errors.New("there is no secret to sign with")
	}
	var once sync.Once
	dialer := net.Dialer{Timeout: hookTime, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := at.Addr().Unmap()
		if u.Scheme == "http" && !ip.IsLoopback() {
			return fmt.Errorf("%s leads to %s: plain http goes to this machine only", u.Hostname(), ip)
		}
		if private(ip) {
			once.Do(func() {
				log.Warn("a web hook leads into a local network: whoever answers there gets what this node tells", "target", t.Name, "address", ip.String())
			})
		}
		return nil
	}}
	return &hook{url: u, secrets: t.Secrets, now: now, time: hookTime, client: &http.Client{
		Transport: &http.Transport{ // without a proxy: where it would go must stand in the config
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    hookTime,
			ResponseHeaderTimeout:  hookTime,
			MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConns:           1,
			IdleConnTimeout:        90 * time.Second,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (h *hook) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, h.time)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(m.Body))
	if err != nil {
		return errors.New("make a request of the url") // (the error repeats it)
	}
	at := h.now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "hashfeed")
	r.Header.Set("webhook-id", m.ID)
	r.Header.Set("webhook-timestamp", stamp(at))
	r.Header.Set("webhook-signature", signature(h.secrets, m.ID, at, m.Body))
	resp, err := h.client.Do(r)
	if err != nil {
		var wrapped *url.Error // its text has the URL, and that may be a secret
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("post to %s: %w", h.url.Host, err)
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // what it says is of no use here
	resp.Body.Close()
	return h.judge(resp)
}

// judge says whether an answer means delivery.
func (h *hook) judge(resp *http.Response) error {
	status := resp.StatusCode
	if status/100 == 2 {
		return nil
	}
	a := &attempt{err: fmt.Errorf("post to %s: it answers %d", h.url.Host, status)}
	switch {
	case status/100 == 3:
		a.err = fmt.Errorf("post to %s: it answers %d: redirects aren't followed; put the place itself into the config", h.url.Host, status)
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		a.refused = true
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if s, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
			a.after = min(time.Duration(s)*time.Second, longestWait)
		}
	}
	return a
}

func (h *hook) close() { h.client.CloseIdleConnections() }
