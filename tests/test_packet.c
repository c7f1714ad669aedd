/* SPDX-License-Identifier: Apache-2.0 */
/* test_packet.c - packets between caller, zygote and shells, and what a hostile shell may send. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snapshot/packet.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

static uint8_t buf[PACKET_MAX_DATA];

static void make_pair(int pair[2])
{
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0));
}

Test(packet, message_data_and_descriptors_arrive)
{
	struct packet_msg msg = { .type = PACKET_LOG, .value = 77 }, got;
	struct packet_parts parts = { .data = "abc", .len = 3, .nfds = 2 };
	struct packet_parts took = { .nfds = 2 };
	char text[4] = { 0 };
	int pair[2];

	make_pair(pair);
	parts.fds[0] = bytes_memfd("one", 3);
	parts.fds[1] = bytes_memfd("two", 3);
	cr_assert(eq(int, packet_send(pair[0], &msg, &parts, 0), 0));
	cr_assert(eq(int, packet_recv(pair[1], &got, &took, buf, 0), 1));
	cr_expect(eq(u64, got.value, 77));
	cr_expect(eq(sz, took.len, 3));
	cr_expect(eq(int, memcmp(took.data, "abc", 3), 0));
	cr_assert(eq(uint, took.nfds, 2));
	cr_expect(eq(sz, (size_t)pread(took.fds[1], text, 3, 0), 3));
	cr_expect(eq(str, text, "two"));
	packet_close_fds(&took);
	close(pair[0]);
	cr_expect(eq(int, packet_recv(pair[1], &got, &took, buf, 0), 0));
	cr_expect(eq(int, packet_send(pair[1], &msg, NULL, 0), -EPIPE));
}

Test(packet, what_was_sent_before_the_end_is_read_though_the_other_side_did_not_listen)
{
	struct packet_msg msg = { .type = PACKET_DIED, .value = 9 }, got;
	int pair[2];

	make_pair(pair);
	cr_assert(eq(int, packet_send(pair[0], &msg, NULL, 0), 0));
	cr_assert(eq(int, packet_send(pair[1], &msg, NULL, 0), 0)); /* stays unread */
	close(pair[0]);
	cr_assert(eq(int, packet_recv(pair[1], &got, NULL, NULL, 0), 1));
	cr_expect(eq(u64, got.value, 9));
	cr_expect(eq(int, packet_recv(pair[1], &got, NULL, NULL, 0), 0));
}

Test(packet, nonsense_is_refused_or_made_harmless)
{
	struct packet_msg msg, got;
	struct packet_parts took = { 0 };
	static char large[sizeof(msg) + PACKET_MAX_DATA + 1];
	int pair[2];

	make_pair(pair);
	cr_assert(eq(int, send(pair[0], "short", 5, 0), 5));
	cr_expect(eq(int, packet_recv(pair[1], &got, &took, buf, 0), -EPROTO));
	cr_assert(eq(int, send(pair[0], large, sizeof(large), 0), sizeof(large)));
	cr_expect(eq(int, packet_recv(pair[1], &got, &took, buf, 0), -EPROTO));

	memset(&msg, 'x', sizeof(msg));
	msg.ret = 5;
	cr_assert(eq(int, packet_send(pair[0], &msg, NULL, 0), 0));
	cr_assert(eq(int, packet_recv(pair[1], &got, &took, buf, 0), 1));
	cr_expect(eq(int, got.ret, -EPROTO));
	cr_expect(eq(sz, strlen(got.err.text), sizeof(got.err.text) - 1));
}

Test(packet, descriptors_that_may_not_come_are_not_in_this_process)
{
	struct packet_parts many = { .nfds = PACKET_MAX_FDS };
	struct packet_msg msg = { .type = PACKET_LOG }, got;
	int pair[2], before;

	make_pair(pair);
	for (unsigned int i = 0; i < many.nfds; i++)
		many.fds[i] = pair[0];
	before = count_entries("/proc/self/fd");
	for (unsigned int room = 0; room <= PACKET_MAX_FDS; room++) {
		struct packet_parts took = { .nfds = room };
		bool fits = room == PACKET_MAX_FDS;

		cr_assert(eq(int, packet_send(pair[0], &msg, &many, 0), 0));
		cr_expect(
			eq(int, packet_recv(pair[1], &got, &took, buf, 0), fits ? 1 : -EPROTO));
		cr_expect(eq(uint, took.nfds, fits ? room : 0));
		packet_close_fds(&took);
	}
	cr_assert(eq(int, packet_send(pair[0], &msg, &many, 0), 0));
	cr_expect(eq(int, packet_recv(pair[1], &got, NULL, NULL, 0), -EPROTO));
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
}
