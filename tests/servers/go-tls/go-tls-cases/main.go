// Command go-tls-cases makes servers with certificates of many kinds, and tries each with Go's own
// TLS client, configured as Vault's client is. It writes one line of JSON for each case to standard
// output, an empty line, and serves until its standard input ends. Its argument is a directory for
// the files of the cases.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	rootcerts "github.com/hashicorp/go-rootcerts"
)

// Case is a server, and how clients are to be configured for it.
type Case struct {
	Name       string `json:"name"`
	Address    string `json:"address"`
	CAFile     string `json:"ca_file,omitempty"`
	CAPath     string `json:"ca_path,omitempty"`
	ServerName string `json:"server_name,omitempty"`
	ClientCert string `json:"client_cert,omitempty"`
	ClientKey  string `json:"client_key,omitempty"`
	// Go is why Go's client refuses; empty if it does not.
	Go string `json:"go"`
}

func main() {
	cases := makeCases(os.Args[1])
	out := bufio.NewWriter(os.Stdout)
	for _, made := range cases {
		made.Address = serve(made.host, made.server)
		if err := made.try(); err != nil {
			made.Go = err.Error()
		}
		line, err := json.Marshal(made.Case)
		check(err)
		fmt.Fprintf(out, "%s\n", line)
	}
	fmt.Fprintln(out)
	check(out.Flush())
	io.Copy(io.Discard, os.Stdin)
}

// serve answers as a Vault would, at a port of its own, and returns the address.
func serve(host string, config *tls.Config) string {
	config.NextProtos = []string{"h2", "http/1.1"}
	var protocols map[string]func(*http.Server, *tls.Conn, http.Handler)
	if config.CipherSuites != nil {
		// Go refuses to speak HTTP/2 with these suites.
		config.NextProtos, protocols = nil, map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	check(err)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/kubernetes/login", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"auth":{"client_token":"hvs.case","lease_duration":3600,"renewable":true}}`)
	})
	mux.HandleFunc("GET /v1/kv/app", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":{"k":"v"}}`)
	})
	mux.HandleFunc("/v1/auth/token/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":{"ttl":3600,"renewable":true}}`)
	})
	server := &http.Server{Handler: mux, TLSConfig: config, TLSNextProto: protocols, ErrorLog: quiet}
	go server.Serve(listener)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	check(err)
	return "https://" + net.JoinHostPort(host, port)
}

// try makes one request, as Vault's client would.
func (made *madeCase) try() error {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: made.ServerName}
	roots := &rootcerts.Config{CAFile: made.CAFile, CAPath: made.CAPath}
	if err := rootcerts.ConfigureTLS(config, roots); err != nil {
		return err
	}
	if made.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(made.ClientCert, made.ClientKey)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Get(made.Address + "/v1/kv/app")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
