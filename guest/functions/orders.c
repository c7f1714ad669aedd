/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/functions/orders.h"

#define SEED	      0x5eed0f0a11da7a00ull /* ours: any value; another one makes another table */
#define PICK(list, i) ((list)[(i) % (sizeof(list) / sizeof((list)[0]))])

/* The indexes exist before the rows: building one afterwards sorts all its rows, which takes as
 * much memory again as the table. */
const char orders_schema_sql[] =
	"CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, region INTEGER,"
	" amount INTEGER);\n"
	"CREATE INDEX orders_customer ON orders(customer);\n"
	"CREATE INDEX orders_region ON orders(region, amount);\n";

/* clang-format off */
static const char *const first_names[] = {
	"Ada", "Björn", "Chloé", "Dmitri", "Elif", "Fatima", "Grace", "Hélène", "Ingrid", "Jürgen",
	"Keiko", "Łukasz", "María", "Nils", "Oluwaseun", "Priya", "Quentin", "Renée", "Søren",
	"Tomáš", "Ursula", "Vigdís", "Wanjiru", "Xavier", "Yusuf", "Zoë", "美咲", "Ольга", "Νίκος",
};
static const char *const last_names[] = {
	"Abernathy", "Bergström", "Castellanos", "D'Angelo", "Eriksen", "Fitzgerald", "Grünwald",
	"Hernández", "Ivanova", "Jóhannesson", "Kowalczyk", "Lindqvist", "MacAllister", "Nakamura",
	"O'Sullivan", "Papadopoulos", "Quispe", "Rosenberg", "Şahin", "Thompson", "Underhill",
	"van der Berg", "Whitfield", "Xu", "Yamaguchi", "Zieliński", "佐藤", "de la Cruz",
	"O'Brien", "Nguyễn", "Smith-Jones",
};
static const char *const cities[] = {
	"Amsterdam", "Bogotá", "Casablanca", "Dar es Salaam", "Edinburgh", "Frankfurt am Main",
	"Göteborg", "Helsinki", "İstanbul", "Johannesburg", "Kraków", "La Paz", "Montréal",
	"Newcastle upon Tyne", "Osaka", "Porto", "Québec", "Reykjavík", "São Paulo", "Tromsø",
};
static const char *const mail_hosts[] = {
	"mail.example", "post.example.com", "inbox.example.net", "letters.example.org",
	"correo.example", "courriel.example.com", "nyt.example.net",
};
/* clang-format on */

/* The @stream-th random number of item @item: splitmix64's output function, which turns
 * neighbouring inputs into unrelated outputs, so that no state needs to be carried on. */
static uint64_t random_of(uint64_t stream, uint64_t item)
{
	uint64_t x = SEED + (stream << 32) + item * 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint32_t customer_make(uint32_t number, char *text)
{
	uint64_t r = random_of(1, number);
	uint32_t region = (uint32_t)(r % ORDERS_REGIONS);

	snprintf(text, ORDERS_CUSTOMER_SIZE, "%s %s, %03u %s <k%05u@%s>",
		 PICK(first_names, r >> 8), PICK(last_names, r >> 20),
		 (uint32_t)(r >> 32) % 900 + 100, PICK(cities, region), number,
		 PICK(mail_hosts, r >> 52));
	return region + 1;
}

/* Mostly small baskets, one in 16 is a trader's; one in 64 is a refund. */
static int32_t amount_make(uint64_t r)
{
	int32_t cents = (int32_t)(199 + (r >> 8) % 4800) * (int32_t)(1 + (r >> 24) % 7);

	if ((r >> 40) % 16 == 0)
		cents *= 12;
	return (r >> 48) % 64 == 0 ? -cents : cents;
}

void order_make(uint32_t id, struct order *o)
{
	uint64_t r = random_of(2, id);

	o->id = id;
	o->region = customer_make((uint32_t)(r % ORDERS_CUSTOMERS), o->customer);
	o->amount = amount_make(random_of(3, id));
}

static void quoted_dump(const char *text, FILE *out)
{
	putc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			putc('\'', out);
		putc(*text, out);
	}
	putc('\'', out);
}

int orders_dump(FILE *out)
{
	const uint32_t per_insert = 400; /* ours: 500 rows in one VALUES are sure to be taken */
	struct order o;

	/* A cache that holds all of the table, because the rows reach its indexes in no order. */
	fprintf(out, "PRAGMA synchronous=OFF;\nPRAGMA cache_size=-100000;\nBEGIN;\n%s",
		orders_schema_sql);
	for (uint32_t id = 1; id <= ORDERS_ROWS; id++) {
		order_make(id, &o);
		fputs(id % per_insert == 1 ? "INSERT INTO orders VALUES\n(" : ",\n(", out);
		fprintf(out, "%u,", o.id);
		quoted_dump(o.customer, out);
		fprintf(out, ",%u,%d)", o.region, o.amount);
		if (id % per_insert == 0 || id == ORDERS_ROWS)
			fputs(";\n", out);
	}
	fputs("COMMIT;\nANALYZE;\n", out);
	return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
