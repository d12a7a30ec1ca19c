package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"time"
)

func (t *table) chains() {
	root := authority("root", p256(), nil)
	roots := certificatePEM(root)
	inner := authority("inner", p256(), root)
	deeper := authority("deeper", p256(), inner)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	t.add("an intermediate", roots, leaf(p256(), inner), inner)
	t.add("an intermediate is missing", roots, leaf(p256(), inner))
	t.add("an intermediate in the bundle alone", certificatePEM(root, inner), leaf(p256(), inner))
	t.add("an intermediate alone is trusted", certificatePEM(inner), leaf(p256(), inner))
	t.add("two intermediates in the wrong order", roots, leaf(p256(), deeper), inner, deeper)
	t.add("the root is sent too", roots, leaf(p256(), inner), inner, root)
	t.add("an unrelated certificate is sent too", roots, leaf(p256(), root), authority("other", p256(), nil))
	t.add("an unreadable certificate is sent too", roots, leaf(p256(), root), &identity{der: []byte("no certificate")})
	t.add("an unknown root is sent", roots, leaf(p256(), authority("other", p256(), nil)))
	t.add("a root of the same name with another key", roots, leaf(p256(), authority("root", p256(), nil)))
	t.add("two roots of one name", certificatePEM(authority("root", p256(), nil), root), leaf(p256(), root))
	t.add("expired", roots, leaf(p256(), root, expired))
	t.add("not yet valid", roots, leaf(p256(), root, early))
	oldInner := authority("inner", p256(), root, expired)
	t.add("an expired intermediate", roots, leaf(p256(), oldInner), oldInner)
	oldRoot := authority("root", p256(), nil, expired)
	t.add("an expired root", certificatePEM(oldRoot), leaf(p256(), oldRoot))
	youngRoot := authority("root", p256(), nil, early)
	t.add("a root that is not yet valid", certificatePEM(youngRoot), leaf(p256(), youngRoot))

	t.add("self-signed, unknown", roots, leaf(p256(), nil))
	pinned := leaf(p256(), nil)
	t.add("self-signed, trusted itself", certificatePEM(pinned), pinned)
	pinned = leaf(p256(), nil, expired)
	t.add("self-signed, trusted itself, expired", certificatePEM(pinned), pinned)
	pinned = leaf(p256(), nil, func(c *x509.Certificate) { c.IPAddresses = nil })
	t.add("self-signed, trusted itself, another name", certificatePEM(pinned), pinned)
	pinned = leaf(p521(), nil)
	t.add("self-signed on P-521, trusted itself", certificatePEM(pinned), pinned)
	pinned = leaf(p256(), root)
	t.add("signed by another, trusted itself", certificatePEM(pinned), pinned)
	pinned = leaf(p256(), nil, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	t.add("self-signed for clients, trusted itself", certificatePEM(pinned), pinned)

	isCA := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	pinned = leaf(p256(), nil, isCA)
	t.add("CA:TRUE, trusted itself", certificatePEM(pinned), pinned)
	t.add("CA:TRUE, trusted itself, among others", certificatePEM(root, pinned), pinned)
	t.add("CA:TRUE, unknown", roots, pinned)
	// an identical key and name do not make an identical certificate
	again := leaf(pinned.key, nil, isCA)
	t.add("CA:TRUE, another with that key and name is trusted", certificatePEM(pinned), again)
	pinned = leaf(p256(), nil, isCA, expired)
	t.add("CA:TRUE, trusted itself, expired", certificatePEM(pinned), pinned)
	pinned = leaf(p256(), nil, isCA, func(c *x509.Certificate) { c.IPAddresses = nil })
	t.add("CA:TRUE, trusted itself, another name", certificatePEM(pinned), pinned)
	pinned = leaf(rsaKey(2048), nil, isCA)
	t.add("CA:TRUE with RSA, trusted itself", certificatePEM(pinned), pinned)
	t.add("CA:TRUE, signed by a trusted authority", roots, leaf(p256(), root, isCA))
	noCA := leaf(p256(), nil)
	t.add("a trusted server certificate signs another", certificatePEM(noCA), leaf(p256(), noCA, func(c *x509.Certificate) {
		c.Subject.CommonName = "another"
	}))
	notRoot := leaf(p256(), root)
	t.add("a server certificate as intermediate", roots, leaf(p256(), notRoot, func(c *x509.Certificate) {
		c.Subject.CommonName = "another"
	}), notRoot)
}

func (t *table) oddities() {
	root := authority("root", p256(), nil)
	roots := certificatePEM(root)
	usage := func(usages ...x509.ExtKeyUsage) change {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
	}
	t.add("no extended key usage", roots, leaf(p256(), root, usage()))
	t.add("extended key usage any", roots, leaf(p256(), root, usage(x509.ExtKeyUsageAny)))
	t.add("extended key usage for clients", roots, leaf(p256(), root, usage(x509.ExtKeyUsageClientAuth)))
	inner := authority("inner", p256(), root, usage(x509.ExtKeyUsageClientAuth))
	t.add("an intermediate for clients", roots, leaf(p256(), inner), inner)
	forClients := authority("root", p256(), nil, usage(x509.ExtKeyUsageClientAuth))
	t.add("a root for clients", certificatePEM(forClients), leaf(p256(), forClients))
	noSigning := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }
	inner = authority("inner", p256(), root, noSigning)
	t.add("an intermediate that may not sign certificates", roots, leaf(p256(), inner), inner)
	noSigner := authority("root", p256(), nil, noSigning)
	t.add("a root that may not sign certificates", certificatePEM(noSigner), leaf(p256(), noSigner))
	t.add("key usage without signatures", roots, leaf(p256(), root, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageKeyEncipherment
	}))
	noLength := func(c *x509.Certificate) { c.MaxPathLenZero = true }
	short := authority("root", p256(), nil, noLength)
	inner = authority("inner", p256(), short)
	t.add("a root that allows no intermediate", certificatePEM(short), leaf(p256(), inner), inner)
	outer := authority("outer", p256(), root, noLength)
	inner = authority("inner", p256(), outer)
	t.add("an intermediate that allows no other", roots, leaf(p256(), inner), inner, outer)
	long := []*identity{authority("inner 0", p256(), root)}
	for n := 1; n < 8; n++ {
		long = append([]*identity{authority("inner "+string(rune('0'+n)), p256(), long[0])}, long...)
	}
	t.add("eight intermediates", roots, append([]*identity{leaf(p256(), long[0])}, long...)...)

	permits := func(changes ...change) *identity { return authority("root", p256(), nil, changes...) }
	permitted := permits(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example"} })
	t.add("name constraints that permit", certificatePEM(permitted), leaf(p256(), permitted, func(c *x509.Certificate) {
		c.DNSNames = []string{"vault.example"}
	})).ServerName = "vault.example"
	t.add("name constraints that permit another", certificatePEM(permitted), leaf(p256(), permitted))
	excluded := permits(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"example"} })
	t.add("name constraints that exclude", certificatePEM(excluded), leaf(p256(), excluded))
	_, network, _ := net.ParseCIDR("127.0.0.0/8")
	addresses := permits(func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{network} })
	only := func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{net.IPv4(127, 0, 0, 1)} }
	t.add("name constraints that permit the address", certificatePEM(addresses), leaf(p256(), addresses, only))
	innerPermits := authority("inner", p256(), root, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other"} })
	t.add("name constraints of an intermediate", roots, leaf(p256(), innerPermits), innerPermits)

	extension := func(critical bool) change {
		value := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: critical, Value: []byte{5, 0}}
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{value} }
	}
	t.add("an unknown extension", roots, leaf(p256(), root, extension(false)))
	t.add("an unknown critical extension", roots, leaf(p256(), root, extension(true)))

	zero := func(inner *tbs) { inner.Serial = big.NewInt(0) }
	negative := func(inner *tbs) { inner.Serial = big.NewInt(-5) }
	t.add("serial number 0", roots, rewritten(leaf(p256(), root), root.key, zero))
	t.add("a negative serial number", roots, rewritten(leaf(p256(), root), root.key, negative))
	t.add("version 1", roots, rewritten(leaf(p256(), root), root.key, version1))
	oldRoot := rewritten(root, root.key, version1)
	t.add("a root of version 1", certificatePEM(oldRoot), leaf(p256(), root))
	oldInner := authority("inner", p256(), root)
	t.add("an intermediate of version 1", roots, leaf(p256(), oldInner), rewritten(oldInner, root.key, version1))
	noConstraints := rewritten(root, root.key, func(inner *tbs) { inner.Extensions = nil })
	t.add("a root without basic constraints", certificatePEM(noConstraints), leaf(p256(), root))
	wrong := leaf(p256(), root)
	wrong.der[len(wrong.der)-1] ^= 1
	t.add("a wrong signature", roots, wrong)
	t.add("valid until 9999", roots, leaf(p256(), root, func(c *x509.Certificate) {
		c.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}))
}
