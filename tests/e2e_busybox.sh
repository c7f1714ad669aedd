#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program that nobody here wrote: BusyBox's applets, with files, print and return in a machine
# what they do on this host. Paths are relative to the files' root, where both start; tmp/ is
# the only place that both can write to.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh

need_kvm
BUSYBOX=${BUSYBOX:-/bin/busybox}
need_program "$BUSYBOX"
run=$(realpath "$THAW")

# ---- files ----

root=$WORK/root
make_root() {
	mkdir -p "$root/d/e" "$root/tmp"
	seq 1 500 | awk '{ print $1 * 7919 % 1000, "line", $1, "of", "the text" }' >"$root/text"
	sed 's/7/seven/; 40d' "$root/text" >"$root/other"
	printf 'b 2\na 1\nc 3\na 1\n' >"$root/short"
	printf 'one\ttwo\r\n\001\377 three' >"$root/odd"
	head -c 200000 /dev/urandom >"$root/random"
	printf 'hello\n' >"$root/d/e/f"
	ln -s e/f "$root/d/link"
	"$BUSYBOX" gzip -c "$root/text" >"$root/text.gz"
	(cd "$root" && "$BUSYBOX" tar cf pack.tar d text && "$BUSYBOX" bzip2 -c text >text.bz2)
	printf '<a href="x">y</a>\n' >"$root/page"
	printf 'define f(n) { if (n < 2) return n; return f(n-1) + f(n-2); }\n' >"$root/fib.bc"
	printf 'f(15)\nscale=40; 1/7; sqrt(2)\n2^200 %% 97\nquit\n' >>"$root/fib.bc"
	find "$root" -exec touch -h -d @0 {} + # an image's files have no times
}
make_root

# Run the applet of the words of $1 here and there, with the text as input; compare what they
# print and return.
same() { # LINE
	name="busybox $(printf '%s' "$1" | tr -d "\\\\" | cut -c 1-90)" # echo may expand backslashes
	eval "set -- $1"
	(cd "$root" && exec timeout 20 "$BUSYBOX" "$@") >"$WORK/want" 2>"$WORK/want.err" <"$root/text"
	want=$?
	rm -rf "$root/tmp"
	mkdir "$root/tmp"
	timeout 20 "$run" boot --mem 128M --files "$root" --env TZ=UTC "$BUSYBOX" "$@" \
		>"$WORK/got" 2>"$WORK/got.err" <"$root/text"
	got=$?
	if [ $got -ne $want ]; then
		not_ok "$name" "exit status is $got, here it is $want" "$(cat "$WORK/got.err")"
	elif ! cmp -s "$WORK/got" "$WORK/want"; then
		not_ok "$name" "output differs" "$(diff "$WORK/got" "$WORK/want" | head -n 5)"
	elif grep -q '^kindling:' "$WORK/got.err"; then
		not_ok "$name" "$(grep '^kindling:' "$WORK/got.err")"
	else
		ok "$name"
	fi
}

export TZ=UTC
# A slow host runs every fourth.
every=$((SLOW > 1 ? 4 : 1)) n=0
while IFS= read -r line; do
	n=$((n + 1))
	[ $((n % every)) -ne 0 ] || same "$line"
done <<'END'
cat text odd
cat missing
tac short
rev short
nl short
head -n 3 text other
tail -n 4 text
tail -c +100 random
wc text random odd
sort text
sort -n -r -k 3 text
sort -u short
uniq -c short
cut -d ' ' -f 1,3 text
paste short short
comm short other
tr a-z A-Z
tee tmp/copy
sort -k 2
wc -l
base64 -w 50
fold -w 20 text
expand odd
unexpand -a short
grep -n 7.*3 text
grep -c -v line text
grep -rl hello d/e
egrep '^(1|2)+ ' text
sed -n '/^9/,/^1/p' text
sed -e 's/line \([0-9]*\)/\1 line/g' -e '10,20d' text
awk '{ s += $1; n[$1 % 10]++ } END { print s; for (i = 0; i < 10; i++) print i, n[i] }' text
awk 'BEGIN { printf "%.17g %x %s\n", 1/3, 255, toupper("abc") }'
awk '{ print > "tmp/x" } END { close("tmp/x"); while ((getline l < "tmp/x") > 0) n++; print n }' text
sha1sum text random
sha256sum text random odd
sha512sum random
md5sum text random
cksum random text
crc32 random
sum random
base64 odd
od -A x -t x1z odd
hexdump -C odd
xxd odd
strings -n 2 odd
cmp text other
diff text other
diff -u short other
gzip -c text
gunzip -c text.gz
bzip2 -c text
bunzip2 -c text.bz2
xzcat missing.xz
tar tvf pack.tar
tar xOf pack.tar d/e/f
cpio --version
find d -name '?'
find d -newer missing
ls -R d
ls -l --color=never d/e/missing
stat -c '%s %A %F %Y %h' text d/link random
readlink d/link
test -f text
test -d text
expr 6 '*' 7 + 1
factor 600851475143 97
seq 3 4 30
printf '%05d|%-6s|%x|%b\n' 42 ab 255 'a\tb'
basename /a/b.c .c
dirname /a/b/c
date -u -d @0
date -u -d @1700000000 '+%Y-%m-%d %H:%M:%S %j %U'
cal 2 2024
bc fib.bc
dc -e '2 100 ^ p 17 % p'
dd if=random bs=1000 skip=3 count=50
dd if=text of=tmp/x bs=7 conv=sync
split -l 100 text tmp/part
env -i A=1
printenv PATH_IS_NOT_SET
echo -e 'a\tb\c'
true
false
sleep 0.01
usleep 1000
id -u
shuf -n 0 text
tsort short
uuencode -m odd name
cp -r d tmp/copy
mkdir -p tmp/a/b/c
rm -r tmp/nothing
touch tmp/new
ln -s target tmp/link
install -m 640 text tmp/installed
truncate -s 100 tmp/cut
fsync missing
sh -c 'x=5; while [ $x -gt 0 ]; do echo $x; x=$((x - 1)); done; case abc in a*) echo yes;; esac'
sh -c 'f() { local v=$1; echo "${v%.c}.o" "${#v}"; }; for i in a.c bb.c; do f "$i"; done; set -- 1 2 3; echo "$# $*"'
sh -c 'cd tmp && echo one >a && echo two >>a && while read -r l; do echo "<$l>"; done <a; test -s a && echo full; umask; pwd >/dev/null'
sh -c 'read -r a b <short; echo "$b-$a"; exec 5>tmp/five; echo five >&5; exec 5>&-; read -r c <tmp/five; echo "$c"; printf "%s\n" d/*; echo $((0x1f ^ 3)); exit 7'
sh -c 'trap "echo bye" EXIT; trap "echo usr1" USR1; kill -USR1 $$; eval "echo $((1 + 1))"; type cd'
END

finish
