#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sql function answers, from restored machines, what the sqlite3 program answers for the
# same table; and a restore is worth a hundred initialisations.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm
need_program sqlite3

expect_status 0 "sql is built" "$THAW" build --json -o "$WORK/sql" "$GUEST/sql"
cp "$E2E_OUT" "$WORK/build.json"
# An emulated host is given the table in place of the text: there, making it takes 20 s.
orders=build/tcg/orders.db
if [ -f build/orders.sql ]; then
	orders=$WORK/orders.db
	expect_status 0 "the table is made" sqlite3 "$orders" ".read build/orders.sql"
fi
nonzero=$(jq .nonzero_size_bytes "$WORK/build.json")
expect_equal "memory is at least 40 MiB" "$((nonzero >= 40 * 1048576))" 1

query='select count(*), sum(amount) from orders where region=7'
"$THAW" run --payload "$query" "$WORK/sql" >"$WORK/got" 2>/dev/null
sqlite3 -json "$orders" "$query" >"$WORK/want"
expect_same_file "the query of the README" "$WORK/got" "$WORK/want"

seed=${SEED:-$(date +%s)}
echo "# queries of seed $seed"
queries=$((50 / SLOW))
sh tests/e2e/queries.sh $queries "$seed" >"$WORK/queries"
same=0 asked=0
while IFS= read -r query; do
	printf '%s\n' "$query" >"$WORK/query"
	"$THAW" run --tier map --payload-file "$WORK/query" "$WORK/sql" >"$WORK/got" 2>/dev/null
	asked=$((asked + 1))
	# What sqlite3 says on stderr the function says in its reply, as {"error":...}.
	sqlite3 -json "$orders" <"$WORK/query" >"$WORK/want" 2>/dev/null ||
		tail -n 1 "$WORK/got" | grep '^{"error":"..*"}$' >>"$WORK/want"
	if cmp -s "$WORK/got" "$WORK/want"; then
		same=$((same + 1))
	else
		echo "# differs: $query"
	fi
done <"$WORK/queries"
expect_equal "fifty random queries have sqlite3's answers" "$same of $asked" "$queries of $queries"

for _ in 1 2 3 4; do
	"$THAW" run --payload 'select random() as r' "$WORK/sql" 2>/dev/null
done >"$WORK/drawn"
expect_equal "clones draw different random numbers" "$(jq '.[].r' "$WORK/drawn" | sort -u | wc -l)" 4

expect_status 0 "restores of one row by its key" "$THAW" run --json -n $((100 / SLOW)) --tier map \
	--payload 'select * from orders where id=4711' "$WORK/sql"
# Initialisation once against the median of the restores, both on this host in this run.
ratio=$(jq -n --slurpfile b "$WORK/build.json" --slurpfile r "$E2E_ERR" \
	'$b[0].ready_ms * 1000 / $r[0].stamps.first_response.p50_us | floor')
echo "# boot and initialisation / restore to response: $ratio"
if [ "$SLOW" -gt 1 ]; then
	skip "cold over thawed is at least 100" "times of a host that is $SLOW times slower say little"
else
	expect_equal "cold over thawed is at least 100" "$((ratio >= 100))" 1
fi
finish
