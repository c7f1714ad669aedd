# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# certificates.sh - sourced after tests/e2e.sh: certificates to try, as $WORK/NAME.pem with $WORK/NAME.key.

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -days 2 \
		-keyout "$WORK/$1.key" -out "$WORK/$1.pem" 2>/dev/null
}

certificate() { # NAME ISSUER [ADDRESS]: signed by ISSUER; of a server at ADDRESS
	echo "subjectAltName=IP:${3:-127.0.0.1}" >"$WORK/names"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
		-keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
	openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/$2.pem" -CAkey "$WORK/$2.key" -days 2 \
		-CAcreateserial -extfile "$WORK/names" -out "$WORK/$1.pem" 2>/dev/null
}
