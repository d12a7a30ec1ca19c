#!/bin/sh
# An authority, a role that issues certificates for one name, and who may have one issued: service
# account nginx-tls of namespace nginx-tls, with tokens for the audience vault.
# Usage: sh vault.sh vault|bao, logged in with the right to write these.
set -eu
cli=${1:?which command line: vault or bao}

if ! "$cli" read pki/cert/ca >/dev/null 2>&1; then
    "$cli" secrets enable -max-lease-ttl=87600h pki
    "$cli" write -field=certificate pki/root/generate/internal common_name="Example root" ttl=87600h
fi
"$cli" write pki/roles/nginx-tls allowed_domains=nginx-tls.nginx-tls.svc allow_bare_domains=true \
    key_type=ec key_bits=256 ttl=24h max_ttl=24h

"$cli" policy write nginx-tls - <<POLICY
path "pki/issue/nginx-tls" { capabilities = ["create", "update"] }
POLICY

"$cli" write auth/kubernetes/role/nginx-tls bound_service_account_names=nginx-tls \
    bound_service_account_namespaces=nginx-tls audience=vault policies=nginx-tls ttl=1h
