#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# queries.sh N SEED - print N random SQL queries over the table orders, one a line.
#
# The same N and SEED give the same lines with every awk: the random numbers are our own. The
# answers are a function of the table alone (no clock, no random()), take well below a second and
# 8 MiB each, and cover each kind of value that the sql function has to print.
set -eu
[ $# -eq 2 ] || { echo "usage: queries.sh N SEED" >&2; exit 2; }

LC_ALL=C exec awk -v count="$1" -v seed="$2" '
# 0 .. n-1. Park and Miller, minimal standard: every product stays below 2^53.
function below(n) {
	state = (state * 48271) % 2147483647
	return int(state / 2147483647 * n)
}
function pick(list,    words, n) {
	n = split(list, words, "|")
	return words[1 + below(n)]
}
function id() { return 1 + below(200000) }
function region() { return 1 + below(21) }	# 21 has no orders
function cents() { return below(60000) - 5000 }

# Text that a JSON writer may get wrong: quotes, escapes, control and multi-byte characters.
function literal(    s, i, n) {
	n = below(6)
	for (i = 0; i < n; i++)
		s = s pick("a|Zoë|\047\047|\"|\\|\\n|/|é|€|😀|\t|\001|\033|\177| |%|_|{|[|,|:|" \
			   "\302\200|\377|\355\240\200")
	return "\047" s "\047"
}
function blob(    s, i, n) {
	n = below(8)
	for (i = 0; i < n; i++)
		s = s sprintf("%02x", below(256))
	return "x\047" s "\047"
}
function real() {
	return pick("0.1|-2.5e-7|1e15|1e16|123456.789|9e999|-9e999|0.0|-0.0|1e-300|3.0|2e20|" \
		    "0.30000000000000004|1.7976931348623157e308|5e-324|99999999999999999999")
}
function value() {
	return pick("null|1|-1|9223372036854775807|-9223372036854775808|0x7f|true|" \
		    literal() "|" blob() "|" real())
}
function condition() {
	return pick("region=" region() "|amount>" cents() "|amount<0|" \
		    "region in (" region() "," region() ",null)|" \
		    "id between " id() - 50000 " and " id() + 50000 "|" \
		    "customer like \047" pick("%son%|K%|%example.net>|_a%|%O\047\047Brien%|%ö%") "\047|" \
		    "customer glob \047" pick("Ada *|*[0-9]5*|Zo*|*@post*") "\047|" \
		    "id%" (2 + below(40)) "=" below(3) "|not region=" region() "|customer is null")
}
function where() {
	return pick("| where " condition() "| where " condition() " and " condition() \
		    "| where " condition() " or " condition())
}
function aggregate() {
	return pick("count(*)|sum(amount)|avg(amount)|min(amount)|max(customer)|total(amount)|" \
		    "count(distinct region)|sum(amount)/count(*)|sum(amount)*1.0/count(*)|" \
		    "min(customer)|avg(amount*amount)|sum(amount)/100.0|group_concat(distinct region)")
}
function limit() { return " limit " below(20) pick("|| offset " below(50)) }

function rows() {
	return "select " pick("*|id, amount|customer|id, customer, amount/100.0 as euros|" \
			      "amount*1.0/region r, region|rowid, upper(customer)|" \
			      "id, substr(customer, " (1 + below(9)) ", 7) as \"a \"\"name\"\"\"") \
	       " from orders" where() " order by " \
	       pick("id|amount, id|amount desc, id|region, id desc|customer, id") limit()
}
function unordered() { return "select id, region from orders" where() limit() }
function by_key() { return "select * from orders where id=" (below(8) ? id() : 200001 + below(99)) }
function aggregates() {
	return "select " aggregate() ", " aggregate() ", " aggregate() " as x from orders" where()
}
# Other groups than by region are sorted, all rows at once: of a part of the table, so that it
# fits beside the table in a small machine.
function groups(    i) {
	i = id()
	return "select " pick("region as k|region as k|amount/10000 as k|id%7 as k|" \
			      "length(customer) as k|substr(customer,1,1) as k") \
	       ", " aggregate() ", " aggregate() " from orders where " \
	       pick("region>0|" condition() "|not " condition()) \
	       " and id between " i " and " (i + below(40000)) " group by k" \
	       pick("| having count(*)>" below(2000)) " order by " pick("1|2, 1|k desc") limit()
}
function customers() {
	return "select customer, count(*) n, sum(amount) from orders where " condition() \
	       " group by customer having n>" below(7) " order by " pick("n desc, 1|customer|3, 1") \
	       limit()
}
function join(    i) {
	i = id()
	return "select a.id, b.id, a.amount-b.amount as d, a.amount/(b.amount*1.0) from orders a" \
	       pick(" join| left join") " orders b on " \
	       pick("b.id=a.id+" (below(9) - 4) "|b.customer=a.customer and b.id>a.id|" \
		    "b.amount=a.amount and b.region<>a.region") \
	       " where a.id between " i " and " (i + below(60)) " order by 1, 2" limit()
}
function nested() {
	return pick("select id, amount from orders where amount=(select " \
		    pick("min|max") "(amount) from orders where " condition() ") order by id" limit() "|" \
		    "select count(*) from (select distinct region, amount from orders" where() ")|" \
		    "with t(r, s) as (select region, sum(amount) from orders group by 1) " \
		    "select r, s, s*100.0/(select sum(s) from t) from t order by s desc" limit() "|" \
		    "select id, sum(amount) over (order by id) from orders where id<" (2 + below(30)) "|" \
		    "select region from orders where id=" id() " union select " region() \
		    " except select " region() " order by 1")
}
function values() { return "select " value() ", " value() " as v, " value() " as \"\"" }
function functions() {
	return "select " pick("typeof|quote|hex|length|upper|abs|trim|unicode|json_quote") "(" \
	       pick(literal() "|" real() "|" blob() "|null|" below(1000)) ") as f, " \
	       pick("printf(\047%.3f\047, " real() ")|round(" real() ", 2)|cast(" blob() " as text)|" \
		    "char(" below(200) "," below(60000) ")|json_array(" literal() ", 1.5, null)|" \
		    "date(\0472024-01-31\047, \047+" below(99) " days\047)|" \
		    "replace(" literal() ",\047a\047," literal() ")") " as g"
}
function several() {
	return pick(values() "; " by_key() "|" by_key() ";; -- end|" aggregates() ";" unordered() ";" \
		    "|select 1 where 0; select 2|/* nothing */|;|" \
		    "with recursive n(i) as (values(1) union all select i+1 from n where i<" \
		    below(200) ") select i, i/3.0, -i from n")
}
function wrong() {
	return pick("select nothing from orders|selec 1|select " literal() "; select * from nowhere|" \
		    "select abs(" pick("-9223372036854775808|1") "), 2|select 1 \047open|" \
		    "select id from orders where|select count(*) from orders group by sum(1)")
}
function query(    k) {
	k = below(40)
	return k < 8 ? rows() : k < 10 ? unordered() : k < 14 ? by_key() : k < 18 ? aggregates() : \
	       k < 22 ? groups() : k < 25 ? customers() : k < 28 ? join() : k < 31 ? nested() : \
	       k < 34 ? values() : k < 37 ? functions() : k < 39 ? several() : wrong()
}
BEGIN {
	state = (seed * 7919 + 12345) % 2147483646 + 1
	below(2)
	while (count-- > 0)
		print query()
}'
