/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - the addresses that thawd takes requests at:
 *
 *	unix:/PATH		only this user may connect
 *	127.0.0.1:PORT		a loopback address; every user of this host may connect
 *	[::1]:PORT
 *	ADDRESS:PORT		others only where clients show who they are
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "tools/thaw/blob.h"
#include "tools/thawd/http.h"

struct err;

struct listen_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage; /* AF_INET or AF_INET6 */
	};
	socklen_t len;
	const char *path; /* points into what was parsed; NULL: not a Unix socket */
};

/* Numbers only: a name could mean another host tomorrow. Errors: -EINVAL. */
int listen_parse(struct listen_address *a, const char *text, struct err *err) must_check;

/*
 * listen_open - a descriptor for struct http_door. What a server that died left at a path is
 * replaced, and the path stays when the descriptor is closed.
 *
 * @knows_clients: clients prove who they are, by signature or certificate
 *
 * Errors: -EPERM others than this host could come in, unknown; -EADDRINUSE somebody listens
 * there; -EEXIST it is no socket; what socket, bind and listen say.
 */
int listen_open(const struct listen_address *a, bool knows_clients, struct err *err) must_check;

/* PEM files for struct http_tls. */
struct listen_tls {
	struct blob certificate, key, trust;
};

/*
 * listen_tls_read - read them.
 * Errors: -EPERM others may read the key; what open and read say.
 */
int listen_tls_read(struct listen_tls *t, const char *const paths[3],
		    struct err *err) must_check;
void listen_tls_free(struct listen_tls *t);
/* Points into @t. */
struct http_tls listen_tls_pem(const struct listen_tls *t);

/*
 * listen_read_secret - read a file that only its owner may read, and end it with a NUL.
 * Errors: -EPERM others may read it; -EFBIG above @max bytes.
 */
int listen_read_secret(struct blob *b, const char *path, uint64_t max,
		       struct err *err) must_check;
