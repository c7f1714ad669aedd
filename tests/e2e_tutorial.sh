#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/tutorial.md as it stands: its files are written, its commands run one after the other, and
# what they print is compared. A file's block has its name as the second word of its first line.
# In a `console` block a line "$ COMMAND" is run, and what follows is its output: times, sizes
# and numbers of pages may be others, and from a line "..." on it may be anything.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm
need_program gcc

# DIR/N.file with DIR/N.name, or DIR/N.run with DIR/N.want, in the order of the document.
blocks_write() { # DOCUMENT DIR
	awk -v dir="$2" '
		function next_step(kind) {
			path = sprintf("%s/%03d.%s", dir, ++n, kind)
			printf "" >path
		}
		/^```console$/ { console = 1; next }
		/^```(c|lua)$/ { file = 1; next }
		/^```$/ { console = file = 0; next }
		file == 1 {
			next_step("name")
			print $2 >path
			sub(/name$/, "file", path)
			file = 2
		}
		console && /^\$ / {
			next_step("run")
			print substr($0, 3) >path
			sub(/run$/, "want", path)
			printf "" >path
			next
		}
		file || console { print >path }
	' "$1"
}

numbers_hide() {
	sed -E 's/[0-9.]+ ms/N ms/g; s/[0-9.]+ [KM]iB of n/N of n/; s/image [0-9.]+ [KM]iB/image N/
		s/touches [0-9]+ pages and writes to [0-9]+/touches N pages and writes to N/'
}

# Cut both off where WANT says that anything may follow.
compare() { # NAME GOT WANT
	lines=$(awk '$0 == "..." { print NR - 1; exit }' "$3")
	head -n "${lines:--0}" "$2" | numbers_hide >"$WORK/got"
	head -n "${lines:--0}" "$3" | numbers_hide >"$WORK/want"
	if difference=$(diff "$WORK/want" "$WORK/got"); then
		ok "$1"
	else
		not_ok "$1" "$difference"
	fi
}

# The folder that the tutorial is typed in: the built programs, and nothing else.
root=$WORK/root
mkdir -p "$WORK/steps" "$root/bin" "$root/build"
ln -s "$(realpath "$THAW")" "$root/bin/thaw"
ln -s "$(realpath "$GUEST")" "$root/build/guest"
blocks_write docs/tutorial.md "$WORK/steps"
cd "$root" || exit 1
for step in "$WORK"/steps/*.name "$WORK"/steps/*.run; do
	echo "$step"
done | sort >"$WORK/order"
while IFS= read -r step; do
	case $step in
	*.name) cp "${step%.name}.file" "$(cat "$step")" ;;
	*.run)
		sh "$step" >"$WORK/printed" 2>&1 </dev/null
		compare "$(tr '\134' / <"$step")" "$WORK/printed" "${step%.run}.want"
		;;
	esac
done <"$WORK/order"
finish
