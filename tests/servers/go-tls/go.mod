module coffer.invalid/servers/go-tls

go 1.26.0

require github.com/hashicorp/go-rootcerts v1.1.0

require github.com/mitchellh/go-homedir v1.1.0 // indirect
