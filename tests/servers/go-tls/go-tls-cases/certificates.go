package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// identity is a certificate with its key.
type identity struct {
	der []byte
	key crypto.Signer
}

// change makes a certificate unlike the usual one.
type change func(*x509.Certificate)

var serial = big.NewInt(1000)

// template is a certificate that is valid now.
func template(name string) *x509.Certificate {
	serial = new(big.Int).Add(serial, big.NewInt(1))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
}

// authority is an authority's certificate, signed by parent, or by itself if there is none.
func authority(name string, key crypto.Signer, parent *identity, changes ...change) *identity {
	certificate := template(name)
	certificate.IsCA, certificate.BasicConstraintsValid = true, true
	certificate.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return sign(certificate, key, parent, changes)
}

// leaf is a certificate for 127.0.0.1, ::1, localhost and vault.example, signed by parent, or by
// itself if there is none.
func leaf(key crypto.Signer, parent *identity, changes ...change) *identity {
	certificate := template("vault")
	certificate.KeyUsage = x509.KeyUsageDigitalSignature
	certificate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	certificate.DNSNames = []string{"localhost", "vault.example"}
	certificate.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	return sign(certificate, key, parent, changes)
}

func sign(certificate *x509.Certificate, key crypto.Signer, parent *identity, changes []change) *identity {
	for _, change := range changes {
		change(certificate)
	}
	issuer, issuerKey := certificate, key
	if parent != nil {
		parsed, err := x509.ParseCertificate(parent.der)
		check(err)
		issuer, issuerKey = parsed, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, issuer, key.Public(), issuerKey)
	check(err)
	return &identity{der, key}
}

func p256() crypto.Signer { return onCurve(elliptic.P256()) }
func p384() crypto.Signer { return onCurve(elliptic.P384()) }
func p521() crypto.Signer { return onCurve(elliptic.P521()) }

func onCurve(curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	check(err)
	return key
}

func edKey() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	return key
}

var rsaKeys = map[int]crypto.Signer{}

// rsaKey returns one key for each size: making them takes long.
func rsaKey(bits int) crypto.Signer {
	if rsaKeys[bits] == nil {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		check(err)
		rsaKeys[bits] = key
	}
	return rsaKeys[bits]
}

func by(algorithm x509.SignatureAlgorithm) change {
	return func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm }
}

// tbs is the signed part of a certificate.
type tbs struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

type signedCertificate struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// rewritten is a certificate with its signed part changed in ways that Go would not make, signed
// anew by a P-256 key with SHA-256.
func rewritten(old *identity, signer crypto.Signer, change func(*tbs)) *identity {
	var whole signedCertificate
	_, err := asn1.Unmarshal(old.der, &whole)
	check(err)
	var inner tbs
	_, err = asn1.Unmarshal(whole.TBS.FullBytes, &inner)
	check(err)
	change(&inner)
	signed, err := asn1.Marshal(inner)
	check(err)
	hash := sha256.Sum256(signed)
	signature, err := signer.Sign(rand.Reader, hash[:], crypto.SHA256)
	check(err)
	whole.TBS = asn1.RawValue{FullBytes: signed}
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}
	der, err := asn1.Marshal(whole)
	check(err)
	return &identity{der, old.key}
}

func version1(inner *tbs) { inner.Version, inner.Extensions = 0, nil }

func certificatePEM(all ...*identity) []byte {
	var text []byte
	for _, one := range all {
		text = append(text, block("CERTIFICATE", one.der)...)
	}
	return text
}

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}
