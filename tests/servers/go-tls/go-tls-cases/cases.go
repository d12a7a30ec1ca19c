package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

var quiet = log.New(io.Discard, "", 0)

type madeCase struct {
	Case
	host   string
	server *tls.Config
}

// table collects cases, and writes their files.
type table struct {
	directory string
	cases     []*madeCase
}

func makeCases(directory string) []*madeCase {
	all := &table{directory: directory}
	all.keysAndSignatures()
	all.chains()
	all.oddities()
	all.names()
	all.bundles()
	all.directories()
	all.clients()
	all.listeners()
	return all.cases
}

// write writes a file of the last case and returns its path.
func (t *table) write(name string, text []byte) string {
	path := filepath.Join(t.directory, fmt.Sprintf("%03d", len(t.cases)), name)
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	check(os.WriteFile(path, text, 0o644))
	return path
}

// add adds a server that shows this chain. Clients trust the certificates in roots.
func (t *table) add(name string, roots []byte, chain ...*identity) *madeCase {
	certificate := tls.Certificate{PrivateKey: chain[0].key}
	for _, one := range chain {
		certificate.Certificate = append(certificate.Certificate, one.der)
	}
	made := &madeCase{Case: Case{Name: name}, host: "127.0.0.1"}
	made.server = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10}
	t.cases = append(t.cases, made)
	if roots != nil {
		made.CAFile = t.write("ca.pem", roots)
	}
	return made
}

func (t *table) keysAndSignatures() {
	keys := []struct {
		name string
		make func() crypto.Signer
	}{
		{"P-256", p256}, {"P-384", p384}, {"P-521", p521}, {"Ed25519", edKey},
		{"RSA 2048", func() crypto.Signer { return rsaKey(2048) }},
		{"RSA 4096", func() crypto.Signer { return rsaKey(4096) }},
		{"RSA 1024", func() crypto.Signer { return rsaKey(1024) }},
	}
	for _, key := range keys {
		root := authority("root "+key.name, p256(), nil)
		t.add("server key "+key.name, certificatePEM(root), leaf(key.make(), root))
		root = authority("root "+key.name, key.make(), nil)
		t.add("authority key "+key.name, certificatePEM(root), leaf(p256(), root))
		made := t.add("server key "+key.name+" over TLS 1.2", certificatePEM(root), leaf(key.make(), root))
		made.server.MaxVersion = tls.VersionTLS12
	}
	ecdsa := []x509.SignatureAlgorithm{x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512}
	for _, key := range keys[:3] {
		for _, algorithm := range ecdsa {
			root := authority("root", key.make(), nil)
			t.add(fmt.Sprintf("%v by %s", algorithm, key.name), certificatePEM(root), leaf(p256(), root, by(algorithm)))
		}
	}
	for _, algorithm := range []x509.SignatureAlgorithm{
		x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	} {
		root := authority("root", rsaKey(2048), nil)
		t.add(fmt.Sprintf("%v by RSA", algorithm), certificatePEM(root), leaf(p256(), root, by(algorithm)))
	}
}

func (t *table) names() {
	root := authority("root", p256(), nil)
	roots := certificatePEM(root)
	named := func(names ...string) *identity {
		return leaf(p256(), root, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, nil })
	}
	wanted := func(name, server string, certificate *identity) {
		t.add(name, roots, certificate).ServerName = server
	}
	t.add("host name", roots, named("localhost")).host = "localhost"
	t.add("IP address without an IP name", roots, named("localhost"))
	t.add("IP address as DNS name", roots, named("127.0.0.1"))
	wanted("another name", "other.example", named("vault.example"))
	wanted("a name", "vault.example", named("vault.example"))
	wanted("upper case", "VAULT.Example", named("vault.exAMPLE"))
	wanted("a dot at the end", "vault.example.", named("vault.example"))
	wanted("an underscore", "my_vault.example", named("my_vault.example"))
	wanted("a wildcard", "vault.example", named("*.example"))
	wanted("a wildcard for two labels", "a.vault.example", named("*.example"))
	wanted("a wildcard for no label", "example", named("*.example"))
	wanted("a part of a label as wildcard", "vault.example", named("va*.example"))
	wanted("an IP address as server name", "127.0.0.1", leaf(p256(), root))
	wanted("another IP address as server name", "127.0.0.2", leaf(p256(), root))
	wanted("an IPv6 address as server name", "::1", leaf(p256(), root))
	common := leaf(p256(), root, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames, c.IPAddresses = "vault.example", nil, nil
	})
	wanted("the common name alone", "vault.example", common)
}

func (t *table) listeners() {
	root := authority("root", p256(), nil)
	roots := certificatePEM(root)
	t.add("only TLS 1.1", roots, leaf(p256(), root)).server.MaxVersion = tls.VersionTLS11
	t.add("only TLS 1.2", roots, leaf(p256(), root)).server.MaxVersion = tls.VersionTLS12
	t.add("only TLS 1.3", roots, leaf(p256(), root)).server.MinVersion = tls.VersionTLS13
	suite := func(name string, suite uint16) {
		made := t.add(name, roots, leaf(p256(), root))
		made.server.MaxVersion, made.server.CipherSuites = tls.VersionTLS12, []uint16{suite}
	}
	suite("a suite with CBC", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)
	suite("a suite with ChaCha20", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305)
	for _, curve := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			made := t.add(fmt.Sprintf("key exchange %v over %s", curve, tls.VersionName(version)), roots, leaf(p256(), root))
			made.server.CurvePreferences, made.server.MaxVersion = []tls.CurveID{curve}, version
		}
	}
}
