#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh [ROOT] - engine < devices < snapshot < tools: a folder, subfolders included,
# may include only folders to its left, and only tools/ prints or ends the process (but for
# processes of its own that snapshot/zygote.c forks). guest/ may
# include guest/abi.h, guest/thaw.h and what lies in the including file's own folder.
# Prints one line for each breach, `file:line: what`; exit status 1 if there is one.
set -u
cd "${1:-.}" || exit 2

in_layer() { # FOLDER PATTERN WHAT
	find "$1" -name '*.[chS]' -exec grep -nHE "$2" {} + 2>/dev/null |
		sed -n "s|^\([^:]*:[0-9]*\):[[:space:]]*\(.*\)|\1: $3: \2|p"
}

includes='^[[:space:]]*#[[:space:]]*include[[:space:]]*"([.][.]/)*'
ends='(^|[^_[:alnum:].>])(v?f?printf|v?dprintf|puts|putchar|perror|_?exit|_Exit|quick_exit|abort|'
ends="$ends"'v?(err|warn)x?)[[:space:]]*[(]'

guest_includes() { # every quoted include of guest/ that is not one of the three kinds allowed
	find guest -name '*.[chS]' -exec grep -nHE "$includes" {} + 2>/dev/null | awk -F: '
		{
			path = $3
			sub(/^[^"]*"/, "", path)
			sub(/".*/, "", path)
			own = $1
			sub(/[^\/]*$/, "", own)
			folder = path
			sub(/[^\/]*$/, "", folder)
			if (path == "guest/abi.h" || path == "guest/thaw.h" || folder == "" || folder == own)
				next
			print $1 ":" $2 ": guest/ may not include: " path
		}'
}

bad=$(
	above='bench|tests|guest/[a-z]+' # of guest/ the host sees only abi.h
	in_layer engine "$includes(devices|snapshot|tools|$above)/" "engine may not"
	in_layer devices "$includes(snapshot|tools|$above)/" "devices may not"
	in_layer snapshot "$includes(tools|$above)/" "snapshot may not"
	in_layer tools "$includes($above)/" "tools may not"
	guest_includes
	for layer in engine devices snapshot; do
		in_layer $layer "$ends" "only tools may print or exit"
	done | grep -v '^snapshot/zygote[.]c:.*[ \t]_exit(' # of the processes that it makes
)
[ -z "$bad" ] && exit 0
echo "$bad"
echo "check-layers: see docs/style.md"
exit 1
