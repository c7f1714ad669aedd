# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# thaw.bash - bash completion for thaw(1): commands, options, tiers, functions, and images, which are
# directories with a manifest.json.

# Images whose path starts with $1; where there is none, directories on the way to one.
_thaw_images() {
	local dir others=()
	while IFS= read -r dir; do
		if [[ -e ${dir/#\~/$HOME}/manifest.json ]]; then
			COMPREPLY+=("$dir")
		else
			others+=("$dir")
		fi
	done < <(compgen -d -- "$1")
	((${#COMPREPLY[@]})) || COMPREPLY=("${others[@]}")
	compopt -o filenames
}

# Completes with files if $2 is empty, else with the words in $2 that start with $1.
_thaw_words() {
	local word
	if [[ -z $2 ]]; then
		compopt -o default
		return
	fi
	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen -W "$2" -- "$1")
}

_thaw() {
	local commands="build run boot snapshot flatten drive inspect verify bench fn top version help"
	local linux="--linux --rootfs --drive --kernel --initrd --cmdline --entry"
	local guest="--mem --files --env $linux" thawd="--at --cacert --cert --key"
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}
	COMPREPLY=()

	# Bash makes three words of --option=value. Only so can --timeline have a value.
	if [[ $cur == "=" ]]; then
		cur=""
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $prev == --timeline ]]; then
		prev=""
	fi
	if ((COMP_CWORD == 1)); then
		_thaw_words "$cur" "$commands"
		return
	fi
	case $prev in
	--tier)
		_thaw_words "$cur" "auto map warm raw ready lazy eager"
		return
		;;
	--parent)
		_thaw_images "$cur"
		return
		;;
	--mode)
		_thaw_words "$cur" "rewind reuse fresh"
		return
		;;
	--entry)
		_thaw_words "$cur" "pvh 64"
		return
		;;
	--mem)
		_thaw_words "$cur" "16M 32M 64M 128M 256M 512M 1G 2G 3G"
		return
		;;
	-o | --output | --rootfs | --kernel | --initrd | --files | --payload-file | --timeline | --sample | --png | --out | --listen | --connect | \
		--cacert | --cert | --key | --base)
		_thaw_words "$cur" ""
		return
		;;
	--env | --cmdline | --drive | --payload | --timeout | --record-runs | -n | --at | --min | --max | --idle-timeout | \
		--reserved | --provisioned | --weight | --slot-memory | --description) # whatever the user has in mind
		return
		;;
	esac
	case $command in
	build)
		_thaw_program "$cur" "-o --output $guest --sample --record-runs --raw --no-sync \
			--timeout --json"
		;;
	boot) _thaw_program "$cur" "$guest" ;;
	run)
		_thaw_image "$cur" "-n --tier --verify --payload --payload-file --timeout --timeline \
			--json --drive --parent --listen --connect --shells --slot-memory"
		;;
	snapshot)
		if [[ $cur == -* ]]; then
			_thaw_words "$cur" "-o --output --no-sync --json"
		else
			compopt -o default
		fi
		;;
	flatten) _thaw_image "$cur" "-o --output --parent --raw --no-sync" ;;
	drive) _thaw_image "$cur" "-o --output --base --parent" ;;
	inspect) _thaw_image "$cur" "--state --json --png --parent" ;;
	verify) _thaw_image "$cur" "--json --parent" ;;
	bench) _thaw_image "$cur" "-n --tier --payload --payload-file --timeout --out --json" ;;
	fn) _thaw_fn "$cur" ;;
	top) _thaw_words "$cur" "$thawd --once --json" ;;
	version) _thaw_words "$cur" "--host --json" ;;
	help) ((COMP_CWORD > 2)) || _thaw_words "$cur" "$commands" ;;
	esac
}

# Options or a program; what follows the program is the program's.
_thaw_program() {
	if [[ $1 == -* ]]; then
		_thaw_words "$1" "$2"
	else
		compopt -o default
	fi
}

# Options or an image.
_thaw_image() {
	if [[ $1 == -* ]]; then
		_thaw_words "$1" "$2"
	else
		_thaw_images "$1"
	fi
}

# Verbs, their options, and what they are about: a name comes first.
_thaw_fn() {
	local options
	case ${COMP_WORDS[2]} in
	add)
		options="--mem --files --env --sample --timeout --mode --min --max --idle-timeout \
			--reserved --provisioned --weight --slot-memory --description"
		;;
	invoke) options="--event --tail --output" ;;
	list) options="--versions" ;;
	logs) options="--follow" ;;
	esac
	if ((COMP_CWORD == 2)); then
		_thaw_words "$1" "add invoke list rm logs publish alias"
	elif [[ $1 == -* ]]; then
		_thaw_words "$1" "$options $thawd --json"
	elif ((COMP_CWORD == 3)); then
		# The space: nothing at all would mean files.
		_thaw_words "$1" " $(thaw fn list 2>/dev/null | awk 'NR > 1 { print $1 }')"
	elif [[ ${COMP_WORDS[2]} == add ]]; then
		compopt -o default
	fi
}

complete -F _thaw thaw
