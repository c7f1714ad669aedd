/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "engine/err.h"
#include "tools/thawd/listen.h"

Test(listen, addresses_are_numbers_or_paths)
{
	/* clang-format off */
	static const struct { const char *text; int ret; } t[] = {
		{ "127.0.0.1:9001", 0 }, { "127.0.0.1:0", 0 }, { "[::1]:9001", 0 }, { "0.0.0.0:1", 0 }, { "unix:/a", 0 },
		{ "[2001:db8::1]:65535", 0 },
		{ "", -EINVAL }, { ":", -EINVAL }, { ":80", -EINVAL }, { "127.0.0.1", -EINVAL }, { "127.0.0.1:", -EINVAL },
		{ "127.0.0.1:65536", -EINVAL }, { "127.0.0.1:-1", -EINVAL }, { "127.0.0.1:80x", -EINVAL },
		{ "127.0.0.1: 80", -EINVAL }, { "127.1:80", -EINVAL }, { "localhost:80", -EINVAL }, { "::1:80", -EINVAL },
		{ "[::1]80", -EINVAL }, { "[::1:80", -EINVAL }, { "[]:80", -EINVAL }, { "[127.0.0.1]:80", -EINVAL },
		{ "unix:", -EINVAL }, { "unix:a", -EINVAL }, { "unix", -EINVAL }, { "/a", -EINVAL },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:80", -EINVAL },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct listen_address a;
		struct err err = { "" };

		cr_expect(eq(int, listen_parse(&a, t[i].text, &err), t[i].ret), "%s",
			  t[i].text);
		cr_expect(
			eq(int, !!strstr(err.text, "expected 127.0.0.1:PORT"), t[i].ret != 0));
	}
}

static int open_at(const char *text, bool knows_clients, struct err *err)
{
	struct listen_address a;

	cr_assert(eq(int, listen_parse(&a, text, NULL), 0), "%s", text);
	return listen_open(&a, knows_clients, err);
}

Test(listen, others_than_this_host_only_if_clients_are_known)
{
	static const char *const local[] = { "127.0.0.1:0", "127.3.2.1:0" };
	static const char *const others[] = { "0.0.0.0:0", "[::]:0", "192.0.2.1:0",
					      "[::ffff:127.0.0.1]:0", "128.0.0.1:0" };
	struct err err;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
		fd = open_at(local[i], false, &err);
		cr_expect(ge(int, fd, 0), "%s: %s", local[i], err.text);
		cr_expect(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
		close(fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect(eq(int, open_at(others[i], false, &err), -EPERM), "%s", others[i]);
	fd = open_at("0.0.0.0:0", true, &err);
	cr_expect(ge(int, fd, 0), "%s", err.text);
	close(fd);
}

Test(listen, an_address_that_is_taken_is_refused)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct err err;
	char text[40];
	int fd = open_at("127.0.0.1:0", false, &err);

	cr_assert(eq(int, getsockname(fd, (struct sockaddr *)&a, &len), 0));
	snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(a.sin_port));
	cr_expect(eq(int, open_at(text, false, &err), -EADDRINUSE));
	close(fd);
	fd = open_at(text, false, &err); /* and free again at once */
	cr_expect(ge(int, fd, 0), "%s", err.text);
	close(fd);
}

static const char *scratch(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "unix:%s/%s-%d", getenv("TMPDIR") ?: "/tmp", name,
		 (int)getpid());
	return path;
}

Test(listen, a_socket_is_this_users_and_replaces_only_dead_ones)
{
	const char *text = scratch("socket"), *path = text + 5;
	struct stat st;
	struct err err;
	int fd = open_at(text, false, &err), plain;

	cr_assert(ge(int, fd, 0), "%s", err.text);
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(u32, st.st_mode, S_IFSOCK | 0600));
	cr_expect(eq(int, open_at(text, false, &err), -EADDRINUSE));
	close(fd); /* as if the server died: the name is still there */
	fd = open_at(text, false, &err);
	cr_expect(ge(int, fd, 0), "%s", err.text);
	close(fd);
	unlink(path);
	plain = open(path, O_CREAT | O_WRONLY, 0600);
	cr_expect(eq(int, open_at(text, false, &err), -EEXIST));
	close(plain);
	unlink(path);
}

static void write_file(char path[300], const char *name, const char *text, mode_t mode)
{
	int fd;

	snprintf(path, 300, "%s", scratch(name) + 5);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(i64, write(fd, text, strlen(text)), (long)strlen(text)));
	cr_assert(eq(int, fchmod(fd, mode), 0));
	close(fd);
}

Test(listen, a_private_key_is_taken_only_from_a_private_file)
{
	char certificate[300], key[300], trust[300];
	const char *paths[3] = { certificate, key, trust };
	struct listen_tls t;
	struct http_tls pem;
	struct err err;

	write_file(certificate, "certificate", "c", 0644);
	write_file(key, "key", "k", 0600);
	write_file(trust, "trust", "t", 0644);
	cr_assert(eq(int, listen_tls_read(&t, paths, &err), 0), "%s", err.text);
	pem = listen_tls_pem(&t);
	cr_expect(eq(str, (char *)pem.certificate, "c"));
	cr_expect(eq(str, (char *)pem.key, "k"));
	cr_expect(eq(str, (char *)pem.trust, "t"));
	listen_tls_free(&t);
	cr_assert(eq(int, chmod(key, 0640), 0));
	cr_expect(eq(int, listen_tls_read(&t, paths, &err), -EPERM));
	cr_expect(ne(ptr, strstr(err.text, "has mode 0640"), NULL));
	unlink(trust);
	cr_assert(eq(int, chmod(key, 0400), 0));
	cr_expect(eq(int, listen_tls_read(&t, paths, &err), -ENOENT));
	unlink(certificate);
	unlink(key);
}
