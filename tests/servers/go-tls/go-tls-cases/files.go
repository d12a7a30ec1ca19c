package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
)

func (t *table) bundles() {
	root := authority("root", p256(), nil)
	good := certificatePEM(root)
	other := certificatePEM(authority("other", p256(), nil))
	add := func(name string, parts ...[]byte) {
		t.add("bundle: "+name, bytes.Join(parts, nil), leaf(p256(), root))
	}
	broken := bytes.Replace(other, []byte("MII"), []byte("M!I"), 1)
	damaged := block("CERTIFICATE", root.der[:100])
	key := block("PRIVATE KEY", []byte("key"))
	headers := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.der, Headers: map[string]string{"a": "b"}})
	add("a block that is not base64 first", broken, good)
	add("a block that is not base64 last", good, broken)
	add("a damaged certificate first", damaged, good)
	add("damaged certificates alone", damaged, damaged)
	add("a block without its end", other[:len(other)-30], []byte("\n"), good)
	add("an end of another label", bytes.Replace(other, []byte("END CERT"), []byte("END XCERT"), 1), good)
	add("a key first", key, good)
	add("a key alone", key)
	add("TRUSTED CERTIFICATE alone", block("TRUSTED CERTIFICATE", root.der))
	add("TRUSTED CERTIFICATE first", block("TRUSTED CERTIFICATE", root.der), good)
	add("X509 CERTIFICATE alone", block("X509 CERTIFICATE", root.der))
	add("headers alone", headers)
	add("headers first", headers, good)
	add("text around", []byte("subject=CN = root\nissuer: x\n"), good, []byte("\nend\n"))
	add("CRLF", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	add("a byte order mark", []byte("\xef\xbb\xbf"), good)
	add("spaces before lines", []byte("  "), bytes.ReplaceAll(bytes.TrimSpace(good), []byte("\n"), []byte("\n  ")), []byte("\n"))
	add("spaces behind lines", bytes.ReplaceAll(good, []byte("\n"), []byte(" \n")))
	add("one long line of base64", []byte(oneLine(good)))
	add("no newline at the end", bytes.TrimSpace(good))
	add("bytes after the certificate", block("CERTIFICATE", append(bytes.Clone(root.der), 0, 0)))
	add("DER", root.der)
	add("empty")
	add("text alone", []byte("no certificate\n"))
	add("a hundred times the same", bytes.Repeat(good, 100))
}

func oneLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[0] + "\n" + strings.Join(lines[1:len(lines)-1], "") + "\n" + lines[len(lines)-1] + "\n"
}

func (t *table) directories() {
	root := authority("root", p256(), nil)
	good := certificatePEM(root)
	other := certificatePEM(authority("other", p256(), nil))
	add := func(name string, fill func(at string)) {
		made := t.add("directory: "+name, nil, leaf(p256(), root))
		made.CAPath = filepath.Dir(t.write("ca/first.pem", other))
		fill(made.CAPath)
	}
	file := func(path string, text []byte) {
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, text, 0o644))
	}
	add("a file", func(at string) { file(at+"/ca.crt", good) })
	add("a file in a directory", func(at string) { file(at+"/a/b/ca.crt", good) })
	add("a hidden file", func(at string) { file(at+"/.ca", good) })
	add("a file that is not PEM", func(at string) { file(at+"/ca.crt", good); file(at+"/README", []byte("text")) })
	add("an empty file", func(at string) { file(at+"/ca.crt", good); file(at+"/empty", nil) })
	add("a link to a file", func(at string) {
		file(at+"/../elsewhere.pem", good)
		check(os.Symlink("../elsewhere.pem", at+"/ca.crt"))
	})
	add("a link that leads nowhere", func(at string) { file(at+"/ca.crt", good); check(os.Symlink("nowhere", at+"/link")) })
	add("a link to a directory", func(at string) {
		file(at+"/ca.crt", good)
		check(os.MkdirAll(at+"/../d", 0o755))
		check(os.Symlink("../d", at+"/link"))
	})
	add("as kubelet makes it", func(at string) {
		check(os.Remove(at + "/first.pem"))
		file(at+"/..2026/ca.crt", good)
		check(os.Symlink("..2026", at+"/..data"))
		check(os.Symlink("..data/ca.crt", at+"/ca.crt"))
	})
	made := t.add("directory: a file in its place", nil, leaf(p256(), root))
	made.CAPath = t.write("ca.pem", good)
	made = t.add("file: a directory in its place", nil, leaf(p256(), root))
	made.CAFile = filepath.Dir(t.write("ca/ca.pem", good))
	made = t.add("directory: none", nil, leaf(p256(), root))
	made.CAPath = filepath.Join(t.directory, "none")
	made = t.add("directory: empty", nil, leaf(p256(), root))
	made.CAPath = filepath.Join(t.directory, "empty")
	check(os.MkdirAll(made.CAPath, 0o755))
}

func (t *table) clients() {
	root := authority("root", p256(), nil)
	inner := authority("inner", p256(), root)
	add := func(name string, certificate, key []byte) *madeCase {
		made := t.add("client: "+name, certificatePEM(root), leaf(p256(), root))
		made.server.ClientAuth, made.server.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		made.server.ClientCAs.AppendCertsFromPEM(certificatePEM(root))
		if certificate != nil {
			made.ClientCert, made.ClientKey = t.write("client.pem", certificate), t.write("client.key", key)
		}
		return made
	}
	own := func(key crypto.Signer) []byte { return certificatePEM(leaf(key, root)) }
	pkcs8 := func(key crypto.Signer) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		check(err)
		return der
	}
	sec1 := func(key crypto.Signer) []byte {
		der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
		check(err)
		return der
	}
	pkcs1 := func(key crypto.Signer) []byte { return x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey)) }
	private := func(der []byte) []byte { return block("PRIVATE KEY", der) }

	add("none", nil, nil)
	add("none over TLS 1.2", nil, nil).server.MaxVersion = tls.VersionTLS12
	for _, curve := range []func() crypto.Signer{p256, p384, p521} {
		key := curve()
		name := key.(*ecdsa.PrivateKey).Params().Name
		add(name+" in PKCS #8", own(key), private(pkcs8(key)))
		add(name+" in SEC 1", own(key), block("EC PRIVATE KEY", sec1(key)))
		add(name+" over TLS 1.2", own(key), private(pkcs8(key))).server.MaxVersion = tls.VersionTLS12
		add(name+" in SEC 1 without the public key", own(key), block("EC PRIVATE KEY", withoutPublicKey(key)))
	}
	for _, bits := range []int{1024, 2048, 4096} {
		key := rsaKey(bits)
		name := map[int]string{1024: "RSA 1024", 2048: "RSA 2048", 4096: "RSA 4096"}[bits]
		add(name+" in PKCS #1", own(key), block("RSA PRIVATE KEY", pkcs1(key)))
		add(name+" in PKCS #8", own(key), private(pkcs8(key)))
		add(name+" over TLS 1.2", own(key), private(pkcs8(key))).server.MaxVersion = tls.VersionTLS12
	}
	ed := edKey()
	add("Ed25519", own(ed), private(pkcs8(ed)))

	key := p256()
	certificate := own(key)
	parameters := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	add("EC PARAMETERS before the key", certificate, append(parameters, block("EC PRIVATE KEY", sec1(key))...))
	add("PKCS #8 with the label of SEC 1", certificate, block("EC PRIVATE KEY", pkcs8(key)))
	add("SEC 1 with the label of PKCS #8", certificate, private(sec1(key)))
	add("PKCS #1 with the label of PKCS #8", own(rsaKey(2048)), private(pkcs1(rsaKey(2048))))
	add("PKCS #8 with the label of PKCS #1", own(rsaKey(2048)), block("RSA PRIVATE KEY", pkcs8(rsaKey(2048))))
	add("another label", certificate, block("ANY PRIVATE KEY", pkcs8(key)))
	both := append(bytes.Clone(certificate), private(pkcs8(key))...)
	add("certificate and key in one file", both, both)
	both = append(private(pkcs8(key)), certificate...)
	add("key and certificate in one file", both, both)
	add("text around", append([]byte("a: text\n"), certificate...), append([]byte("Key: x\n\n"), private(pkcs8(key))...))
	add("CRLF", crlf(certificate), crlf(private(pkcs8(key))))
	add("two keys", certificate, append(private(pkcs8(key)), private(pkcs8(p256()))...))
	add("another key", certificate, private(pkcs8(p256())))
	add("another kind of key", certificate, private(pkcs8(ed)))
	add("a key alone", private(pkcs8(key)), private(pkcs8(key)))
	add("no key", certificate, certificate)
	add("an encrypted key", certificate, block("ENCRYPTED PRIVATE KEY", scrambled(pkcs8(key))))
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: scrambled(sec1(key)), Headers: map[string]string{
		"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00",
	}})
	add("a key encrypted in the old way", certificate, encrypted)
	add("a damaged key", certificate, private(pkcs8(key)[:40]))
	add("an empty key", certificate, nil)
	add("a key in DER", certificate, pkcs8(key))
	byInner := leaf(key, inner)
	add("with its chain", certificatePEM(byInner, inner), private(pkcs8(key)))
	add("without its chain", certificatePEM(byInner), private(pkcs8(key)))
	add("with its chain in the wrong order", certificatePEM(inner, byInner), private(pkcs8(key)))
	add("of another authority", certificatePEM(leaf(key, authority("other", p256(), nil))), private(pkcs8(key)))
	onlyServer := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	add("for servers alone", certificatePEM(leaf(key, root, onlyServer)), private(pkcs8(key)))
}

func crlf(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) }

// scrambled returns bytes that are no key any more.
func scrambled(der []byte) []byte {
	for n := range der {
		der[n] ^= 0x5a
	}
	return der
}

// withoutPublicKey returns a key in SEC 1 as some programs write it.
func withoutPublicKey(key crypto.Signer) []byte {
	own := key.(*ecdsa.PrivateKey)
	curves := map[string]asn1.ObjectIdentifier{
		"P-256": {1, 2, 840, 10045, 3, 1, 7}, "P-384": {1, 3, 132, 0, 34}, "P-521": {1, 3, 132, 0, 35},
	}
	number, err := own.Bytes()
	check(err)
	der, err := asn1.Marshal(struct {
		Version int
		Number  []byte
		Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	}{1, number, curves[own.Params().Name]})
	check(err)
	return der
}
