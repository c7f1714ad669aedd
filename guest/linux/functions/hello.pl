#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# hello.pl - a handler in Perl: {"name":"..."} in, a greeting out, both in JSON.
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->canonical;
my $count = 0;

sub handle {
	my ($event) = @_;
	my $name = $event->{name} // 'world';

	return { hello => "hello, $name", count => ++$count, time => time };
}

# Once before the freeze, so that what is loaded at the first use is in the image.
$json->encode(handle($json->decode('{"name":"nobody"}')));
$count = 0;

open(my $events, '<&=', 3) or die "no event stream: $!\n";
open(my $replies, '>&=', 4) or die "no reply stream: $!\n";
while (defined sysread($events, my $text, 6 << 20)) {
	my $reply = eval { handle($json->decode($text)) } // { error => "$@" };

	syswrite($replies, $json->encode($reply));
}
