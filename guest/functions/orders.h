/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders.h - the table that the sql function answers from: 200,000 orders of 40,000 customers
 * in 20 regions. Every row is a pure function of its id and of one fixed seed, so the function
 * and the SQL text that tests load into the sqlite3 program hold the same table on every host.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#define ORDERS_ROWS	     200000u
#define ORDERS_CUSTOMERS     40000u
#define ORDERS_REGIONS	     20u
#define ORDERS_CUSTOMER_SIZE 128u /* ours: the longest customer takes fewer than 100 bytes */

struct order {
	uint32_t id;	 /* 1..ORDERS_ROWS */
	uint32_t region; /* 1..ORDERS_REGIONS; a customer stays in one region */
	int32_t amount;	 /* cents; a refund is negative */
	char customer[ORDERS_CUSTOMER_SIZE]; /* UTF-8: name, address <mail address> */
};

/* SQL that makes the empty table and its indexes. After the rows comes ANALYZE. */
extern const char orders_schema_sql[];

/* Make the order with this id. */
void order_make(uint32_t id, struct order *o);

/* Write the SQL text that recreates the table: returns 0, or -1 when @out took not all of it. */
int orders_dump(FILE *out);
