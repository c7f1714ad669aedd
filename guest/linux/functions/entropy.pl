#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# entropy.pl - replies with 16 bytes of getrandom(2) in hex: no two copies of a machine say the same.
use strict;
use warnings;

my $SYS_GETRANDOM = 318;

open(my $events, '<&=', 3) or die "no event stream: $!\n";
open(my $replies, '>&=', 4) or die "no reply stream: $!\n";
while (defined sysread($events, my $text, 6 << 20)) {
	my $bytes = "\0" x 16;

	syscall($SYS_GETRANDOM, $bytes, 16, 0) == 16 or die "getrandom: $!\n";
	syswrite($replies, unpack('H*', $bytes));
}
